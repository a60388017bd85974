//! The fault table of `tests/faults`.

use std::process::Command;

use clap::Args;

use crate::{cargo, libtorch, root, run as command};

#[derive(Args)]
pub(crate) struct Faults {
    /// Rows whose names contain one of these words; all if none is given.
    rows: Vec<String>,
    /// Few trials: for every change.
    #[arg(long)]
    short: bool,
}

/// Builds the table's program, and runs it.
pub(crate) fn run(arguments: &Faults) -> anyhow::Result<()> {
    let root = root();
    libtorch::ensure(&root)?;
    // The whole workspace, as for the tests: another choice of packages would compile what they depend on anew.
    command(
        Command::new(cargo())
            .args([
                "build",
                "--release",
                "--workspace",
                "--features",
                "armillary/libtorch",
            ])
            .args([
                "--example",
                "faults",
                "--example",
                "shifted_clock",
                "--bin",
                "armillary",
            ])
            .current_dir(&root),
    )?;
    let mut table = Command::new(root.join("target/release/examples/faults"));
    if arguments.short {
        table.arg("--short");
    }
    table.args(&arguments.rows);
    table.env("LD_LIBRARY_PATH", libtorch::search_path(&root));
    command(table.current_dir(&root))
}
