//! The Python that runs rigs: the package in `bridges/python`, in an environment of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::python;

/// Where an `armillary` that was built in this repository looks for it.
const ENVIRONMENT: &str = ".venv-rig";

/// Makes the environment unless it is there already, with the versions that the package now asks for.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let source = root.join("bridges/python");
    let package = format!("--editable={}[dmc,gym,test]", source.display());
    let pins = source.join("pyproject.toml");
    let require = fs::read_to_string(&pins).with_context(|| format!("{}: cannot read", pins.display()))?;
    python::environment_of(&root.join(ENVIRONMENT), &[&package], &format!("\n{require}"))?;
    Ok(())
}

/// What a rig says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Spec {
    /// Environment steps a control period.
    pub(crate) action_repeat: u64,
    /// Control periods an episode.
    pub(crate) episode_ticks: u32,
}

/// Asks a rig.
pub(crate) fn describe(root: &Path, rig: &str) -> anyhow::Result<Spec> {
    let output = Command::new(root.join(ENVIRONMENT).join("bin/python"))
        .args(["-m", "armillary_bridge", rig, "--describe"])
        .output()
        .context("cannot start .venv-rig/bin/python")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "rig `{rig}` does not start: {}",
            said.trim_end().lines().next_back().unwrap_or("it said nothing")
        );
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{rig}: did not describe itself in JSON"))
}

/// Lets dm_control itself go through what the log in `out` says was done.
fn beside(root: &Path, out: &Path, task: &str) -> anyhow::Result<()> {
    let log = episode::read_episode(&out.join("episode-000000.mcap"))?;
    let actions: Vec<&[f32]> = log
        .ticks
        .iter()
        .filter(|tick| tick.actuate.sent)
        .map(|tick| tick.actuate.action.as_slice())
        .collect();
    let rewards: Vec<Option<f32>> = log.ticks.iter().map(|tick| tick.capture.reward).collect();
    let seed = log.info.episode_seed;
    let text = serde_json::json!({ "seed": seed, "actions": actions, "rewards": rewards }).to_string();
    fs::write(out.join("episode.json"), text)?;
    let pixels: Vec<u8> = log
        .frames
        .iter()
        .flatten()
        .flat_map(|frame| frame.rgb().to_vec())
        .collect();
    fs::write(out.join("frames.rgb"), pixels)?;
    crate::run(
        Command::new(root.join(ENVIRONMENT).join("bin/python"))
            .arg(root.join("tests/python/check_rig.py"))
            .args([task, &out.display().to_string()]),
    )
}

/// Tests the package, then drives environments with it.
pub(crate) fn test(root: &Path) -> anyhow::Result<()> {
    ensure(root)?;
    crate::run(
        Command::new(root.join(ENVIRONMENT).join("bin/python"))
            .args(["-m", "pytest", "-q", "bridges/python/tests"])
            .current_dir(root),
    )?;
    let armillary = |arguments: &[&str]| {
        crate::run(
            Command::new(crate::cargo())
                .args(["run", "--release", "--quiet", "--package", "armillary", "--"])
                .args(arguments)
                // Where plants of one's own are found.
                .env("PYTHONPATH", root.join("tests/python"))
                .current_dir(root),
        )
    };
    crate::scratch::within(root, "test-rig", |out| go_through(root, out, &armillary))
}

/// Lets the Control Suite go through firmware, wire, log and search, in `out`.
fn go_through(
    root: &Path,
    out: &Path,
    armillary: &dyn Fn(&[&str]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let logs = out.display().to_string();
    let rig = "dmc:cartpole-balance";
    armillary(&[
        "record", "--rig", rig, "--policy", "random", "--ticks", "20", "--out", &logs,
    ])?;
    armillary(&["replay", &out.join("episode-000000.mcap").display().to_string()])?;
    beside(root, out, "cartpole-balance")?;
    own(root, &out.join("own"), armillary)?;
    broken(root, &out.join("broken"))?;
    sized(out, armillary)?;
    // The robot file that recording left is as good as the name, with the name beside it.
    let robot = out.join("robot.ron").display().to_string();
    refused(root, &robot, rig)?;
    armillary(&[
        "eval",
        "--robot",
        &robot,
        "--rig",
        rig,
        "--planner",
        "true-simulator",
        "--oracle-budget",
        "robot",
        "--episodes",
        "1",
        "--ticks",
        "5",
    ])
}

/// Asks for an environment by its robot file alone: that starts no program, and the refusal says what does.
fn refused(root: &Path, robot: &str, rig: &str) -> anyhow::Result<()> {
    let output = Command::new(root.join("target/release/armillary"))
        .args(["eval", "--robot", robot, "--episodes", "1", "--ticks", "1"])
        .current_dir(root)
        .output()
        .context("cannot start armillary eval")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let words = [robot, "simulator.task", &format!("--rig {rig}")];
    if output.status.success() || !words.iter().all(|word| said.contains(word)) {
        bail!("{robot}: should be refused with {words:?}, and said: {said}");
    }
    Ok(())
}

/// Records environments with pictures of other sides than 64: what draws at any side, and what draws 64 x 64 whatever it is asked for.
fn sized(out: &Path, armillary: &dyn Fn(&[&str]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for (made, rig, side) in [
        ("robot.ron", "dmc:cartpole-balance", 96),
        ("own/logs/robot.ron", "py:own_plant:Point", 128),
    ] {
        let made = out.join(made);
        let text = fs::read_to_string(&made).with_context(|| format!("{}: cannot read", made.display()))?;
        let larger = text.replacen("gap_ticks: 5", &format!("gap_ticks: 5, side: {side}"), 1);
        let (robot, logs) = (out.join(format!("{side}.ron")), out.join(format!("side-{side}")));
        fs::write(&robot, larger).with_context(|| format!("{}: cannot write", robot.display()))?;
        let [robot, logs_given] = [&robot, &logs].map(|path| path.display().to_string());
        armillary(&[
            "record",
            "--robot",
            &robot,
            "--rig",
            rig,
            "--policy",
            "random",
            "--ticks",
            "8",
            "--out",
            &logs_given,
        ])?;
        let log = logs.join("episode-000000.mcap");
        let episode = episode::read_episode(&log)?;
        let first = episode.frames.first().cloned().flatten();
        let moved = episode.frames.iter().any(|frame| *frame != first);
        if episode.frame_side() != Some(side) || !moved {
            bail!(
                "{}: should hold pictures of {side}x{side} in which something moves",
                log.display()
            );
        }
        armillary(&["replay", &log.display().to_string()])?;
    }
    Ok(())
}

/// Records a plant whose reward is no number in its third period: the refusal names the period, and the log keeps those before it.
fn broken(root: &Path, out: &Path) -> anyhow::Result<()> {
    const RIG: &str = "py:own_plant:Broken";
    let output = Command::new(root.join("target/release/armillary"))
        .args(["record", "--rig", RIG, "--policy", "random", "--out"])
        .arg(out)
        .env("PYTHONPATH", root.join("tests/python"))
        .current_dir(root)
        .output()
        .context("cannot start armillary record")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let words = [RIG, "tick 3: its reward is nan"];
    if output.status.success() || !words.iter().all(|word| said.contains(word)) {
        bail!("{RIG}: should be refused with {words:?}, and said: {said}");
    }
    let log = episode::read_episode(&out.join("episode-000000.mcap"))?;
    let ticks: Vec<u32> = log.ticks.iter().map(|row| row.tick).collect();
    if log.complete || ticks != [0, 1, 2] {
        bail!(
            "{}: should hold ticks 0 to 2 and not be whole, and holds {ticks:?}",
            out.display()
        );
    }
    Ok(())
}

/// Records a plant that is called otherwise than its rig, from a name and from the robot file that this left, then drives it in
/// real time.
fn own(root: &Path, out: &Path, armillary: &dyn Fn(&[&str]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    const RIG: &str = "py:own_plant:Point";
    let place = |name: &str| out.join(name).display().to_string();
    let (logs, again, driven) = (place("logs"), place("again"), place("driven"));
    armillary(&["record", "--rig", RIG, "--policy", "random", "--out", &logs])?;
    let robot = out.join("logs/robot.ron").display().to_string();
    armillary(&[
        "record", "--robot", &robot, "--rig", RIG, "--policy", "random", "--out", &again,
    ])?;
    let [first, second] =
        [&logs, &again].map(|dir| episode::read_episode(&Path::new(dir).join("episode-000000.mcap")));
    let (first, second) = (first?, second?);
    let rewards = |log: &episode::Episode| -> Vec<Option<f32>> {
        log.ticks.iter().map(|row| row.capture.reward).collect()
    };
    if first.info.task != RIG || rewards(&first) != rewards(&second) || rewards(&first).len() != 11 {
        bail!("{logs} and {again}: should be the same {RIG}, whole");
    }
    // In real time it has been looked at before anybody begins an episode.
    let (serial, frames) = (place("arm"), place("camera"));
    let mut served = Command::new(root.join("target/release/armillary"))
        .args([
            "sim",
            "--rig",
            RIG,
            "--serial",
            &serial,
            "--frames",
            &frames,
            "--watch-parent",
        ])
        .env("PYTHONPATH", root.join("tests/python"))
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start armillary sim")?;
    let mut line = String::new();
    if let Some(output) = served.stdout.take() {
        // It says so once both ends are there.
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
    }
    let ran = armillary(&[
        "run", "--rig", RIG, "--policy", "random", "--port", &serial, "--frames", &frames, "--out", &driven,
    ]);
    let _ = served.kill();
    let _ = served.wait();
    ran
}
