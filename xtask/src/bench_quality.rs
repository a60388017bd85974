//! What time is worth: the return of the shipped model's planner against its deadline, for each way to plan.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::curve::{Line, draw_lines};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchQuality {
    /// The model.
    #[arg(long, default_value = "models/reach")]
    bundle: PathBuf,
    /// Robot file that fits it.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    robot: PathBuf,
    /// Deadlines, in milliseconds.
    #[arg(long, value_delimiter = ',', default_values = ["10", "25", "50", "100"])]
    deadlines_ms: Vec<f64>,
    /// Targets, never trained on.
    #[arg(long, default_value_t = 10)]
    episodes: u64,
    /// Planning threads; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// What `cargo xtask bench-peers` wrote on this machine: how many iterations PyTorch has time for.
    #[arg(long, default_value = "out/bench-peers.json")]
    peers: PathBuf,
    /// Where picture and numbers go, without their extensions.
    #[arg(long, default_value = "out/bench-quality")]
    out: PathBuf,
    /// Measure nothing, and draw the picture again from the numbers that are there.
    #[arg(long)]
    redraw: bool,
}

const PAPER: &str = "10x1000x12x100";
const PAPER_ITERATIONS: f64 = 10.0;

/// The paper's budget, cold, and as many iterations as fit.
const PLANET: [&str; 4] = ["--method", "planet", "--budget", PAPER];

/// Small iterations from a warm start, and as many as fit.
const ICEM: [&str; 4] = ["--method", "icem", "--budget", "20x128x8x12"];

/// One evaluation.
struct Scored {
    mean: f64,
    interval_95: f64,
    iterations: f64,
    late: u64,
}

/// Measures.
pub(crate) fn run(arguments: &BenchQuality) -> anyhow::Result<()> {
    let numbers = arguments.out.with_extension("json");
    if arguments.redraw {
        let text = files::read_to_string(&numbers)
            .with_context(|| format!("{}: run `cargo xtask bench-quality` first", numbers.display()))?;
        return draw(&serde_json::from_str(&text)?, arguments);
    }
    let root = crate::root();
    crate::run(
        Command::new(crate::cargo())
            .args(["build", "--release", "--package", "armillary"])
            .current_dir(&root),
    )?;
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let iteration_ms = pytorch_iteration_ms(&arguments.peers, threads, &arguments.bundle)?;
    let random = evaluate(arguments, "random", &[])?;
    println!("random actions: {:.1}", random.mean);
    let full = evaluate(arguments, "agent", &PLANET)?;
    println!(
        "the paper's budget with all the time it takes: {:.1} +- {:.1}\n",
        full.mean, full.interval_95
    );
    println!(
        "{:16} {:>11} {:>15} {:>11} {:>12} {:>6}",
        "planner", "deadline ms", "return", "iterations", "without plan", "kept"
    );
    let mut rows = Vec::new();
    for name in ["planet", "icem", "pytorch planet"] {
        for &deadline in &arguments.deadlines_ms {
            let text = deadline.to_string();
            let scored = match name {
                "planet" => evaluate(
                    arguments,
                    "agent",
                    &[&PLANET[..], &["--deadline-ms", &text]].concat(),
                )?,
                "icem" => evaluate(
                    arguments,
                    "agent",
                    &[&ICEM[..], &["--deadline-ms", &text]].concat(),
                )?,
                // The same search, with as many iterations as PyTorch has time for; with none, there is no plan.
                _ => match (deadline / iteration_ms) as usize {
                    0 => evaluate(arguments, "agent", &["--deadline-ms", "0"])?,
                    count => {
                        let budget = format!("{}x1000x12x100", count.min(10));
                        evaluate(arguments, "agent", &["--method", "planet", "--budget", &budget])?
                    }
                },
            };
            let kept = (scored.mean - random.mean) / (full.mean - random.mean);
            println!(
                "{name:16} {deadline:>11} {:>8.1} +- {:<4.1} {:>10.2} {:>12} {kept:>6.3}",
                scored.mean, scored.interval_95, scored.iterations, scored.late
            );
            rows.push(json!({
                "planner": name,
                "deadline_ms": deadline,
                "return": scored.mean,
                "interval_95": scored.interval_95,
                "iterations": scored.iterations,
                "without_plan": scored.late,
                "kept": kept,
            }));
        }
    }
    let out = json!({
        "episodes": arguments.episodes,
        "random": random.mean,
        "full_budget": full.mean,
        "pytorch_iteration_ms": iteration_ms,
        "rows": rows,
    });
    crate::numbers::write(&numbers, out.clone())?;
    println!("\n{}", numbers.display());
    draw(&out, arguments)
}

/// Return against deadline, a line a planner.
fn draw(report: &Value, arguments: &BenchQuality) -> anyhow::Result<()> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut lines: Vec<Line> = Vec::new();
    for row in report["rows"].as_array().into_iter().flatten() {
        let name = row["planner"].as_str().unwrap_or_default();
        if lines.last().is_none_or(|line| line.name != name) {
            lines.push(Line {
                name: name.to_owned(),
                points: Vec::new(),
            });
        }
        if let Some(line) = lines.last_mut() {
            line.points.push((
                number(&row["deadline_ms"]),
                number(&row["return"]),
                number(&row["interval_95"]),
            ));
        }
    }
    let levels = [
        ("random", number(&report["random"])),
        ("full budget, any time", number(&report["full_budget"])),
    ];
    let picture = arguments.out.with_extension("png");
    draw_lines(
        &picture,
        "return by planning deadline",
        "deadline in ms",
        &lines,
        &levels,
    )?;
    println!("{}", picture.display());
    Ok(())
}

/// Milliseconds of one iteration of the fastest PyTorch planner.
fn pytorch_iteration_ms(path: &Path, threads: usize, bundle: &Path) -> anyhow::Result<f64> {
    let text = files::read_to_string(path)
        .with_context(|| format!("{}: run `cargo xtask bench-peers` first", path.display()))?;
    let report: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let same = report["threads"] == threads && report["bundle"] == json!(bundle) && report["budget"] == PAPER;
    if !same {
        bail!(
            "{}: is of other work; run `cargo xtask bench-peers --threads {threads} --bundle {}`",
            path.display(),
            bundle.display()
        );
    }
    let plan_ms = report["median_ms"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("pytorch") && !name.ends_with("bf16"))
        .filter_map(|(_, took)| took.as_f64())
        .fold(f64::INFINITY, f64::min);
    if !plan_ms.is_finite() {
        bail!("{}: holds no PyTorch planner's time", path.display());
    }
    Ok(plan_ms / PAPER_ITERATIONS)
}

fn evaluate(arguments: &BenchQuality, agent: &str, options: &[&str]) -> anyhow::Result<Scored> {
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let output = Command::new(crate::root().join("target/release/armillary"))
        .args(["eval", "--json", "--jobs", "1", "--agents", agent])
        .args(["--episodes", &arguments.episodes.to_string()])
        .args(["--threads", &threads.to_string()])
        .arg("--bundle")
        .arg(&arguments.bundle)
        .arg("--robot")
        .arg(&arguments.robot)
        .args(options)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start target/release/armillary")?;
    if !output.status.success() {
        bail!("armillary eval ended with {}", output.status);
    }
    let report: Value = serde_json::from_slice(&output.stdout).context("armillary eval printed no JSON")?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    Ok(Scored {
        mean: number(&report[agent]["mean"]),
        interval_95: number(&report[agent]["interval_95"]),
        iterations: number(&report["iterations"]),
        late: report["late"].as_u64().unwrap_or(0),
    })
}
