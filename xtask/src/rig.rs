//! The Python that runs rigs: the package in `bridges/python`, in an environment of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::python;

/// Where `armillary` looks for it.
const ENVIRONMENT: &str = ".venv-rig";

/// Makes the environment unless it is there already.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let package = format!(
        "--editable={}[dmc,gym,test]",
        root.join("bridges/python").display()
    );
    python::environment_in(&root.join(ENVIRONMENT), &[&package])?;
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
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start .venv-rig/bin/python")?;
    if !output.status.success() {
        bail!("{rig}: no such rig; what it said is above");
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
    let rewards: Vec<f32> = log.ticks.iter().map(|tick| tick.capture.reward).collect();
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

/// Tests the package, then lets the Control Suite go through firmware, wire, log and search.
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
                .current_dir(root),
        )
    };
    let out = root.join("out/test-rig");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let logs = out.display().to_string();
    let rig = "dmc:cartpole-balance";
    armillary(&[
        "record", "--rig", rig, "--policy", "random", "--ticks", "20", "--out", &logs,
    ])?;
    armillary(&["replay", &out.join("episode-000000.mcap").display().to_string()])?;
    beside(root, &out, "cartpole-balance")?;
    // The robot file that recording left is as good as the name.
    let robot = out.join("robot.ron").display().to_string();
    armillary(&[
        "eval",
        "--robot",
        &robot,
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
