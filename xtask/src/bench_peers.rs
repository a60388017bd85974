//! Our planner beside those of PyTorch and onnxruntime, on the same weights and the same work, in one run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchPeers {
    /// Bundle whose weights everyone plans with.
    #[arg(long, default_value = "models/reach")]
    bundle: PathBuf,
    /// Robot file that fits it.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    robot: PathBuf,
    /// Iterations x candidates x horizon x elites.
    #[arg(long, default_value = "10x1000x12x100")]
    budget: String,
    /// Threads for everyone; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Rounds; in each, everyone plans once.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the table's numbers go, as JSON.
    #[arg(long, default_value = "out/bench-peers.json")]
    out: PathBuf,
}

pub(crate) const PACKAGES: [&str; 5] = [
    "numpy",
    "onnx==1.19.1",
    "onnxruntime==1.23.2",
    "torch==2.11.0",
    "setuptools",
];

const PEERS: [&str; 6] = [
    "pytorch-eager",
    "pytorch-torchscript",
    "pytorch-compile",
    "pytorch-eager-bf16",
    "pytorch-compile-bf16",
    "onnxruntime",
];

const OURS: [&str; 3] = ["avx512", "avx2", "bf16"];

/// Python programs that time what they are asked for by name.
pub(crate) struct Peers {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let (Some(ask), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("no pipes to {command:?}");
        };
        Ok(Self {
            process,
            ask,
            answers: BufReader::new(answers),
        })
    }

    /// Milliseconds that it took, or why it did not.
    pub(crate) fn time(&mut self, name: &str) -> anyhow::Result<Result<f64, String>> {
        writeln!(self.ask, "{name}").context("the Python program ended early; its last words are above")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the Python program ended early; its last words are above");
        }
        let line = line.trim();
        Ok(line
            .parse()
            .map(|seconds: f64| seconds * 1e3)
            .map_err(|_| line.to_owned()))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It ends with its input; killing it is for when it does not.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures.
pub(crate) fn run(arguments: &BenchPeers) -> anyhow::Result<()> {
    crate::numbers::check(&arguments.out)?;
    let root = crate::root();
    let python = crate::python::environment_in(&root.join(".venv-peers"), &PACKAGES)?;
    crate::run(
        Command::new(crate::cargo())
            .args(["build", "--release", "--package", "armillary"])
            .current_dir(&root),
    )?;
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut command = Command::new(python);
    command
        .arg(root.join("bench/peers/planner.py"))
        .arg(&arguments.bundle)
        .args(arguments.budget.split('x'))
        .arg(threads.to_string());
    let mut peers = Peers::start(&mut command)?;
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut failed: BTreeMap<String, String> = BTreeMap::new();
    let mut peaks = Value::Null;
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for name in PEERS {
            match peers.time(name)? {
                Ok(took) => times.entry(name.to_owned()).or_default().push(took),
                Err(problem) => {
                    failed.insert(name.to_owned(), problem);
                }
            }
        }
        let report = ours(arguments, threads)?;
        for plan in report["plans"].as_array().into_iter().flatten() {
            if let (Some(name), Some(took)) = (plan["backend"].as_str(), plan["plan_ms"].as_f64()) {
                times.entry(format!("armillary-{name}")).or_default().push(took);
            }
        }
        peaks = report["peaks"].clone();
    }
    print(arguments, threads, &times, &failed, &peaks)
}

/// One plan of each of our back ends, in a process of its own.
fn ours(arguments: &BenchPeers, threads: usize) -> anyhow::Result<Value> {
    let mut names = OURS.join(",");
    names.push_str(",tract");
    let root = crate::root();
    let output = Command::new(root.join("target/release/armillary"))
        .args(["bench", "plan", "--json", "--rounds", "1", "--backend", &names])
        .args(["--budget", &arguments.budget, "--threads", &threads.to_string()])
        .arg("--bundle")
        .arg(&arguments.bundle)
        .arg("--robot")
        .arg(&arguments.robot)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start target/release/armillary")?;
    if !output.status.success() {
        bail!("armillary bench plan ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("armillary bench plan printed no JSON")
}

fn print(
    arguments: &BenchPeers,
    threads: usize,
    times: &BTreeMap<String, Vec<f64>>,
    failed: &BTreeMap<String, String>,
    peaks: &Value,
) -> anyhow::Result<()> {
    let median = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let medians: BTreeMap<&str, f64> = times
        .iter()
        .map(|(name, values)| (name.as_str(), median(values)))
        .collect();
    let best_of = |bf16: bool| {
        medians
            .iter()
            .filter(|(name, _)| name.starts_with("pytorch") && name.ends_with("bf16") == bf16)
            .map(|(_, &took)| took)
            .fold(f64::INFINITY, f64::min)
    };
    let (single, half) = (best_of(false), best_of(true));
    let mut order: Vec<(&str, f64)> = medians.iter().map(|(name, took)| (*name, *took)).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    println!(
        "\n{} on {threads} threads, weights of {}, medians of {} alternated rounds\n",
        arguments.budget,
        arguments.bundle.display(),
        arguments.rounds
    );
    println!(
        "{:22} {:>9} {:>17} {:>15} {:>15} {:>9}",
        "planner", "plan ms", "range", "best f32 torch", "best bf16 torch", "tract"
    );
    for (name, took) in &order {
        let each = &times[*name];
        let low = each.iter().copied().fold(f64::INFINITY, f64::min);
        let high = each.iter().copied().fold(0.0, f64::max);
        let tract = medians.get("armillary-tract").copied().unwrap_or(f64::NAN);
        println!(
            "{name:22} {took:>9.1} {:>17} {:>13.2} x {:>13.2} x {:>7.2} x",
            format!("{low:.0} - {high:.0}"),
            single / took,
            half / took,
            tract / took
        );
    }
    for (name, problem) in failed {
        println!("{name:22} {problem}");
    }
    let out = json!({
        "budget": arguments.budget,
        "threads": threads,
        "bundle": arguments.bundle,
        "plan_ms": times,
        "median_ms": medians,
        "failed": failed,
        "peaks": peaks,
    });
    crate::numbers::write(&arguments.out, out)?;
    println!("\nnumbers: {}", arguments.out.display());
    Ok(())
}
