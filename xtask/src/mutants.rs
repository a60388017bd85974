//! Faults put into what keeps an arm safe, one at a time: the tests must notice each.

use std::process::Command;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::{cargo, root, tools};

/// Known to read `.cargo/mutants.toml`.
const VERSION: &str = "27.1.0";

#[derive(Args)]
pub(crate) struct Mutants {
    /// Which part; all if none is given.
    parts: Vec<Part>,
    /// Only mutants whose descriptions match this regular expression.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The firmware core and the codec of the wire.
    Firmware,
    /// The guard.
    Guard,
    /// The ways of the emergency stop to an arm.
    Line,
    /// The emergency stop's thread, and its socket (hours).
    EStop,
}

impl Part {
    /// Sources that are changed, and the tests that must notice.
    fn scope(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Firmware => (
                &[
                    "firmware-bridge/src/firmware.rs",
                    "firmware-bridge/src/firmware/*.rs",
                    "firmware-bridge/src/wire.rs",
                    "firmware-bridge/src/wire/*.rs",
                ],
                &["--test", "core"],
            ),
            Self::Guard => (&["guard/src/*.rs"], &["--test", "guard"]),
            Self::Line => (
                &[
                    "robot/src/device/e_stop.rs",
                    "devices/src/link/e_stop.rs",
                    "devices/src/hosted/e_stop.rs",
                ],
                &["--test", "line"],
            ),
            Self::EStop => (
                &["armillary/src/e_stop.rs", "armillary/src/e_stop/*.rs"],
                &["--test", "e_stop"],
            ),
        }
    }
}

/// Has cargo-mutants change a copy of the sources. The copy is built with this repository's build folder, so that only what depends on
/// the change is built anew.
pub(crate) fn run(arguments: &Mutants) -> anyhow::Result<()> {
    let root = root();
    let program = tools::ensure("cargo-mutants", VERSION)?;
    let parts = if arguments.parts.is_empty() {
        Part::value_variants()
    } else {
        &arguments.parts
    };
    let mut missed = Vec::new();
    for part in parts {
        let name = part
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        let out = root.join("out").join(format!("mutants-{name}"));
        std::fs::create_dir_all(&out)?;
        let (files, tests) = part.scope();
        println!("mutants of {name}; what becomes of each is in {}", out.display());
        let mut command = Command::new(&program);
        // The whole workspace, as for the tests: another choice of packages would compile what they depend on anew.
        command
            .args([
                "mutants",
                "--test-workspace",
                "true",
                "--profile",
                "release",
                "--no-shuffle",
                "--output",
            ])
            .arg(&out);
        for file in files {
            command.args(["--file", file]);
        }
        if let Some(only) = &arguments.only {
            command.args(["--re", only]);
        }
        command
            .arg("--")
            .args(tests)
            .env("CARGO", cargo())
            .env("CARGO_TARGET_DIR", root.join("target"))
            .env("LIBTORCH", root.join(".libtorch"))
            .current_dir(&root);
        // 2: some were not noticed. 3: some made a test hang, which is a way to notice.
        match command.status()?.code() {
            Some(0 | 3) => {}
            Some(2) => missed.push(name),
            code => bail!(
                "cargo-mutants ended with {code:?}; its logs are in {}",
                out.display()
            ),
        }
    }
    if !missed.is_empty() {
        bail!(
            "tests noticed nothing of some mutants of {}: each needs a test, or a line in tests/EVIDENCE.md that says why it has none",
            missed.join(", ")
        );
    }
    Ok(())
}
