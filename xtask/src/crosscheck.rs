//! Second opinions from outside: the public Python readers of the formats we write.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Crosscheck {
    /// Bundle to check.
    #[arg(long, default_value = "models/reach-planar")]
    bundle: PathBuf,
    /// Log to check; one is recorded if none is given.
    #[arg(long)]
    log: Option<PathBuf>,
}

const PACKAGES: [&str; 7] = [
    "numpy",
    "onnx==1.19.1",
    "onnxruntime==1.23.2",
    "safetensors",
    "mcap",
    "mcap-protobuf-support",
    "foxglove-schemas-protobuf",
];

/// Checks.
pub(crate) fn run(arguments: &Crosscheck) -> anyhow::Result<()> {
    let root = crate::root();
    let python = crate::python::environment(&root, &PACKAGES)?;
    crate::run(
        Command::new(&python)
            .arg(root.join("tests/python/check_bundle.py"))
            .arg(&arguments.bundle),
    )?;
    let log = match &arguments.log {
        Some(log) => log.clone(),
        None => {
            let out = root.join("out/crosscheck");
            crate::run(
                Command::new(crate::cargo())
                    .args([
                        "run",
                        "--release",
                        "--quiet",
                        "--package",
                        "armillary",
                        "--",
                        "record",
                    ])
                    .args([
                        "--policy",
                        "random",
                        "--ticks",
                        "20",
                        "--robot",
                        "configs/sim-planar.ron",
                        "--out",
                    ])
                    .arg(&out)
                    .current_dir(&root),
            )?;
            out.join("episode-000000.mcap")
        }
    };
    crate::run(
        Command::new(&python)
            .arg(root.join("episode/tests/read_log.py"))
            .arg(log),
    )
}

/// What the check of LeRobotDatasets needs.
const LEROBOT: [&str; 5] = [
    "lerobot==0.4.4",
    "mcap",
    "mcap-protobuf-support",
    "foxglove-schemas-protobuf",
    "imageio-ffmpeg",
];

/// Our data sets in LeRobot's reader, and LeRobot's in ours, trained on.
pub(crate) fn lerobot() -> anyhow::Result<()> {
    let root = crate::root();
    crate::libtorch::ensure(&root)?;
    crate::rig::ensure(&root)?;
    let python = crate::python::environment_in(&root.join(".venv-lerobot"), &LEROBOT)?;
    crate::build(&root)?;
    crate::scratch::within(&root, "crosscheck-lerobot", |out| {
        there_and_back(&root, &python, out)
    })
}

/// The checks, in `out`.
fn there_and_back(root: &Path, python: &Path, out: &Path) -> anyhow::Result<()> {
    let path = |name: &str| out.join(name).display().to_string();
    let script = root.join("datasets/tests/check_lerobot.py");
    let check = |arguments: &[&str]| {
        crate::run(
            Command::new(python)
                .arg(&script)
                .args(arguments)
                // What LeRobot fetches from its hub it must not need for a folder on this disk.
                .env("HF_HUB_OFFLINE", "1")
                .current_dir(root),
        )
    };
    let armillary = |arguments: &[&str]| {
        crate::run(
            Command::new(root.join("target/release/armillary"))
                .args(arguments)
                .current_dir(root),
        )
    };
    let train = |arguments: &[&str]| {
        crate::run(
            Command::new(root.join("target/release/armillary-train"))
                .args(arguments)
                .current_dir(root),
        )
    };
    let (runs, set, back, again) = (path("runs"), path("set"), path("back"), path("again"));
    armillary(&[
        "record",
        "--robot",
        "configs/sim-arm.ron",
        "--policy",
        "random",
        "--episodes",
        "3",
        "--ticks",
        "40",
        "--out",
        &runs,
    ])?;
    armillary(&["export", &runs, "--out", &set])?;
    check(&["read", &set, &runs])?;
    // One joint, and a period that is no whole number of frames a second.
    let (single, single_set) = (path("single"), path("single-set"));
    armillary(&[
        "record",
        "--rig",
        "dmc:cartpole-balance",
        "--policy",
        "random",
        "--episodes",
        "2",
        "--ticks",
        "30",
        "--out",
        &single,
    ])?;
    armillary(&["export", &single, "--out", &single_set])?;
    check(&["read", &single_set, &single])?;
    // There and back, and there again: what LeRobot sees is still what was recorded.
    armillary(&["import", &set, "--out", &back])?;
    armillary(&["export", &back, "--out", &again])?;
    check(&["read", &again, &runs])?;
    for kind in ["write", "write-video"] {
        let (theirs, logs, model, bundle) = (
            path(kind),
            path(&format!("{kind}-runs")),
            path(&format!("{kind}-model")),
            path(&format!("{kind}-bundle")),
        );
        check(&[kind, &theirs])?;
        import(root, python, out, &theirs, &logs)?;
        check(&["imported", &theirs, &logs])?;
        train(&[
            "train",
            "--runs",
            &logs,
            "--preset",
            "trainer/tests/small.ron",
            "--until",
            "20",
            "--out",
            &model,
        ])?;
        train(&[
            "export",
            "--checkpoint",
            &format!("{model}/checkpoint.safetensors"),
            "--robot",
            &format!("{logs}/robot.ron"),
            "--out",
            &bundle,
        ])?;
    }
    Ok(())
}

/// Imports with the `ffmpeg` that the Python environment has, where the machine has none.
fn import(root: &Path, python: &Path, out: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    let found = Command::new(python)
        .args([
            "-c",
            "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())",
        ])
        .output()?;
    let ffmpeg = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let links = out.join("bin");
    std::fs::create_dir_all(&links)?;
    let link = links.join("ffmpeg");
    if !link.exists() {
        std::os::unix::fs::symlink(ffmpeg, &link)?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    crate::run(
        Command::new(root.join("target/release/armillary"))
            .args(["import", from, "--out", to])
            .env("PATH", format!("{path}:{}", links.display()))
            .current_dir(root),
    )
}
