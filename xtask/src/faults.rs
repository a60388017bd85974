//! The fault table of `tests/faults`.

use std::process::Command;

use clap::Args;

use crate::{cargo, libtorch, root, run as command};

#[derive(Args)]
pub(crate) struct Faults {
    /// Rows whose names contain one of these words; all if none is given. `stuck` alone is the table of emergency stop timings.
    rows: Vec<String>,
    /// Few trials: for every change.
    #[arg(long, conflicts_with = "full")]
    short: bool,
    /// As many trials as are published, also of rows that take long.
    #[arg(long)]
    full: bool,
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
            .args(["--example", "faults", "--bin", "armillary"])
            .current_dir(&root),
    )?;
    let mut table = Command::new(root.join("target/release/examples/faults"));
    if arguments.short {
        table.arg("--short");
    }
    if arguments.full {
        table.arg("--full");
    }
    table.args(&arguments.rows);
    table.env("LD_LIBRARY_PATH", libtorch::search_path(&root));
    command(table.current_dir(&root))
}
