//! Faults put into what keeps an arm safe, one at a time: the tests must notice each.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::part::Part;
use crate::{cargo, root, tools};

/// Known to understand these options.
const VERSION: &str = "27.1.0";

#[derive(Args)]
pub(crate) struct Mutants {
    /// Which part; all if none is given.
    parts: Vec<Part>,
    /// Only mutants whose descriptions match this regular expression.
    #[arg(long)]
    only: Option<String>,
    /// Only mutants that were not noticed the last time.
    #[arg(long)]
    again: bool,
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
        let (name, scope) = (part.name(), part.scope());
        let out = root.join("out").join(format!("mutants-{name}"));
        std::fs::create_dir_all(&out)?;
        println!("mutants of {name}; what becomes of each is in {}", out.display());
        let mut command = Command::new(&program);
        command
            .args([
                "mutants",
                "--profile",
                "release",
                "--no-shuffle",
                "--test-package",
                scope.package,
            ])
            // Of this package its unit tests and one program alone, in the build as well as in the run.
            .arg("--cargo-arg=--lib")
            .arg(format!("--cargo-arg=--test={}", scope.test))
            .args(["--minimum-test-timeout", &scope.patience_s.to_string()])
            .arg("--output")
            .arg(&out);
        for source in scope.sources {
            command.args(["--file", source]);
        }
        if let Some(only) = &arguments.only {
            command.args(["--re", only]);
        }
        if arguments.again {
            command.arg("--iterate");
        }
        if !scope.names.is_empty() {
            command.args(["--", scope.names]);
        }
        command
            .env("CARGO", cargo())
            // What the sources depend on is there already.
            .env("CARGO_TARGET_DIR", root.join("target"))
            // A mutant changes one function: what the rest of its crate compiles to is kept.
            .env("CARGO_INCREMENTAL", "1")
            // Where a fault keeps something from coming, tests wait for it: many at a time.
            .env("RUST_TEST_THREADS", "8")
            .env("LIBTORCH", root.join(".libtorch"))
            .current_dir(&root);
        // 2: some were not noticed. 3: some made a test hang, which is a way to notice, and others may not have been noticed.
        let code = command.status()?.code();
        if !matches!(code, Some(0 | 2 | 3)) {
            bail!(
                "cargo-mutants ended with {code:?}; its logs are in {}",
                out.display()
            );
        }
        let list = out.join("mutants.out/missed.txt");
        let text = std::fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
        if !text.trim().is_empty() {
            missed.push(name);
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
