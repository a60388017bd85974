//! What making up for a late camera is worth: the return of a shipped model with pictures that are late, with and without the delay in the robot
//! file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use robot::config::edit;
use serde_json::{Value, json};

use crate::curve::{Line, draw_lines};
use crate::scratch;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchDelay {
    /// The model.
    #[arg(long, default_value = "models/reach-planar")]
    bundle: PathBuf,
    /// Robot file that fits it, of a simulated arm.
    #[arg(long, default_value = "configs/sim-planar.ron")]
    robot: PathBuf,
    /// How late pictures are, in milliseconds.
    #[arg(long, value_delimiter = ',', default_values = ["0", "80", "160", "240"])]
    delays_ms: Vec<u32>,
    /// Targets, never trained on.
    #[arg(long, default_value_t = 20)]
    episodes: u64,
    /// Where picture and numbers go, without their extensions.
    #[arg(long, default_value = "out/bench-delay")]
    out: PathBuf,
}

const KINDS: [(&str, bool); 2] = [("made up for", true), ("believed to be of now", false)];

/// Measures.
pub(crate) fn run(arguments: &BenchDelay) -> anyhow::Result<()> {
    let root = crate::root();
    crate::run(
        Command::new(crate::cargo())
            .args(["build", "--release", "--package", "armillary"])
            .current_dir(&root),
    )?;
    scratch::within(&root, "bench-delay", |folder| measure(arguments, &root, folder))
}

fn measure(arguments: &BenchDelay, root: &Path, folder: &Path) -> anyhow::Result<()> {
    let random = evaluate(arguments, root, &arguments.robot, "random")?;
    println!("random actions: {:.1}\n", random.0);
    println!("{:>9}  {:24} {:>15}", "late, ms", "pictures are", "return");
    let mut rows = Vec::new();
    let mut lines = KINDS.map(|(name, _)| Line {
        name: name.to_owned(),
        points: Vec::new(),
    });
    for &delay_ms in &arguments.delays_ms {
        for (line, (name, told)) in lines.iter_mut().zip(KINDS) {
            let robot = folder.join(format!("{delay_ms}-{told}.ron"));
            let delay_s = f64::from(delay_ms) / 1000.0;
            let text = late(&arguments.robot, delay_s, told)?;
            files::put(&robot, text.as_bytes(), &|_| false)?;
            let (mean, interval_95) = evaluate(arguments, root, &robot, "agent")?;
            println!("{delay_ms:>9}  {name:24} {mean:>8.1} +- {interval_95:<4.1}");
            line.points.push((f64::from(delay_ms), mean, interval_95));
            rows.push(json!({
                "delay_ms": delay_ms,
                "made_up_for": told,
                "return": mean,
                "interval_95": interval_95,
            }));
        }
    }
    let report = json!({"episodes": arguments.episodes, "random": random.0, "rows": rows});
    let numbers = arguments.out.with_extension("json");
    crate::numbers::write(&numbers, report)?;
    let picture = arguments.out.with_extension("png");
    let levels = [("random", random.0)];
    draw_lines(
        &picture,
        "return by the camera's delay",
        "delay in ms",
        &lines,
        &levels,
    )?;
    println!("\n{}\n{}", numbers.display(), picture.display());
    Ok(())
}

/// The robot file with a camera that is late by `delay_s`, and with that delay written down where the filter is `told` of it.
fn late(robot: &Path, delay_s: f64, told: bool) -> anyhow::Result<String> {
    let mut text = files::read_to_string(robot).with_context(|| robot.display().to_string())?;
    let told_s = if told { delay_s } else { 0.0 };
    for (names, value_s) in [
        (["simulator", "camera_delay_s"], delay_s),
        (["capture", "delay_s"], told_s),
    ] {
        text = edit::with_field(&text, &names, &format!("{value_s:?}"))
            .with_context(|| format!("{}: has no field `{}`", robot.display(), names[0]))?;
    }
    Ok(text)
}

/// Mean return, and half of its 95 % interval.
fn evaluate(arguments: &BenchDelay, root: &Path, robot: &Path, agent: &str) -> anyhow::Result<(f64, f64)> {
    let output = Command::new(root.join("target/release/armillary"))
        .args(["eval", "--json", "--agents", agent])
        .args(["--episodes", &arguments.episodes.to_string()])
        .arg("--bundle")
        .arg(&arguments.bundle)
        .arg("--robot")
        .arg(robot)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start target/release/armillary")?;
    if !output.status.success() {
        bail!("armillary eval ended with {}", output.status);
    }
    let report: Value = serde_json::from_slice(&output.stdout).context("armillary eval printed no JSON")?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    Ok((
        number(&report[agent]["mean"]),
        number(&report[agent]["interval_95"]),
    ))
}
