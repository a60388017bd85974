//! The fault table of `tests/faults`, and hours of faults in real time (`tests/live_faults`).

use std::process::Command;

use clap::Args;

use crate::{cargo, root, run as command};

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

#[derive(Args)]
pub(crate) struct LiveFaults {
    /// How long.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Draws the faults and their times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Builds the table's program, and runs it.
pub(crate) fn run(arguments: &Faults) -> anyhow::Result<()> {
    let mut table = program("faults")?;
    if arguments.short {
        table.arg("--short");
    }
    if arguments.full {
        table.arg("--full");
    }
    table.args(&arguments.rows);
    command(&mut table)
}

/// Drives a simulated arm with which something goes wrong every few seconds.
pub(crate) fn live(arguments: &LiveFaults) -> anyhow::Result<()> {
    let mut program = program("live-faults")?;
    program.args(["--minutes", &arguments.minutes.to_string()]);
    program.args(["--seed", &arguments.seed.to_string()]);
    command(&mut program)
}

/// Builds an example of the tests and the program beside it, as it is by default: with LibTorch it takes half a second of a CPU to start, and
/// hundreds of them are started.
fn program(name: &str) -> anyhow::Result<Command> {
    let root = root();
    // The whole workspace, as for the tests: another choice of packages would compile what they depend on anew.
    command(
        Command::new(cargo())
            .args(["build", "--release", "--workspace"])
            .args(["--example", name, "--example", "shifted_clock"])
            .args(["--bin", "armillary"])
            .current_dir(&root),
    )?;
    let mut built = Command::new(root.join("target/release/examples").join(name));
    built.current_dir(&root);
    Ok(built)
}
