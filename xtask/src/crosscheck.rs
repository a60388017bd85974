//! Second opinions from outside: the public Python readers of the formats we write.

use std::path::PathBuf;
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
