//! Hand-overs between threads, in every order in which the threads can take turns.

use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::{cargo, root, run as command};

#[derive(Args)]
pub(crate) struct ModelCheck {
    /// Models whose names contain this; all if it is not given.
    name: Option<String>,
}

/// Builds the crate `hand-over` with the model checker's atomics and threads, and checks every model.
pub(crate) fn run(arguments: &ModelCheck) -> anyhow::Result<()> {
    let begun = Instant::now();
    let root = root();
    command(
        Command::new(cargo())
            .args(["test", "--release", "--quiet", "--package", "armillary-hand-over"])
            .args(["--test", "model", "--target-dir"])
            // Of its own: the flag goes to every crate, and would have the whole workspace built anew.
            .arg(root.join("target/model-check"))
            .arg("--")
            .arg("--nocapture")
            .args(&arguments.name)
            .env("RUSTFLAGS", "--cfg loom")
            .current_dir(&root),
    )?;
    println!(
        "all models hold; building and checking took {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
