//! Our update beside one in plain PyTorch, of the same sizes and terms, in one run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::bench_peers::{PACKAGES, Peers};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchTrain {
    /// Training preset.
    #[arg(long, default_value = "configs/train-arm.ron")]
    preset: PathBuf,
    /// Threads for everyone; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Updates a round, after as many to warm up.
    #[arg(long, default_value_t = 8)]
    updates: u64,
    /// Rounds; in each, everyone takes a turn.
    #[arg(long, default_value_t = 13)]
    rounds: usize,
    /// Where the numbers go, as JSON.
    #[arg(long, default_value = "out/bench-train.json")]
    out: PathBuf,
}

const PRECISIONS: [&str; 2] = ["f32", "bf16"];

/// Measures.
pub(crate) fn run(arguments: &BenchTrain) -> anyhow::Result<()> {
    crate::numbers::check(&arguments.out)?;
    let root = crate::root();
    crate::libtorch::ensure(&root)?;
    let python = crate::python::environment_in(&root.join(".venv-peers"), &PACKAGES)?;
    crate::build(&root)?;
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let ours = |precision: &str| -> anyhow::Result<Value> {
        let output = Command::new(root.join("target/release/armillary-train"))
            .args(["bench", "--json", "--convolutions", precision])
            .args([
                "--threads",
                &threads.to_string(),
                "--updates",
                &arguments.updates.to_string(),
            ])
            .arg("--preset")
            .arg(&arguments.preset)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start target/release/armillary-train")?;
        if !output.status.success() {
            bail!("armillary-train bench ended with {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("armillary-train bench printed no JSON")
    };
    // The sizes, as the trainer reads them.
    let mut sizes = serde_json::Map::new();
    let profile = ours(PRECISIONS[0])?;
    for part in ["model", "loss", "optimiser"] {
        sizes.extend(profile["preset"][part].as_object().cloned().unwrap_or_default());
    }
    sizes.insert("action".to_owned(), profile["action"].clone());
    sizes.insert("updates".to_owned(), json!(arguments.updates));
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let sizes_path = folder.path().join("sizes.json");
    std::fs::write(&sizes_path, serde_json::to_vec_pretty(&sizes)?)
        .with_context(|| format!("{}: cannot write", sizes_path.display()))?;
    let mut command = Command::new(python);
    command
        .arg(root.join("bench/peers/trainer.py"))
        .arg(&sizes_path)
        .arg(threads.to_string());
    let mut peers = Peers::start(&mut command)?;
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut profiles = Vec::new();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for precision in PRECISIONS {
            let profile = ours(precision)?;
            let took = profile["update_s"].as_f64().unwrap_or(f64::NAN) * 1e3;
            times
                .entry(format!("armillary {precision}"))
                .or_default()
                .push(took);
            profiles.push(profile);
            match peers.time(precision)? {
                Ok(took) => times
                    .entry(format!("PyTorch {precision}"))
                    .or_default()
                    .push(took),
                Err(problem) => bail!("PyTorch in {precision}: {problem}"),
            }
        }
    }
    let median = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let base = times.get("PyTorch f32").map_or(f64::NAN, |values| median(values));
    println!(
        "\n{} on {threads} threads, medians of {} alternated rounds\n",
        arguments.preset.display(),
        arguments.rounds
    );
    println!(
        "{:16} {:>10} {:>19} {:>12}",
        "update", "ms", "range", "PyTorch f32"
    );
    for (name, each) in &times {
        let low = each.iter().copied().fold(f64::INFINITY, f64::min);
        let high = each.iter().copied().fold(0.0, f64::max);
        let range = format!("{low:.0} - {high:.0}");
        println!(
            "{name:16} {:>10.1} {range:>19} {:>10.2} x",
            median(each),
            base / median(each)
        );
    }
    let out = json!({"preset": sizes, "threads": threads, "update_ms": times, "profiles": profiles});
    crate::numbers::write(&arguments.out, out)?;
    println!("\nnumbers: {}", arguments.out.display());
    Ok(())
}
