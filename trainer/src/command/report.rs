//! `armillary-train report`: a page about a training run.

use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Report {
    /// The --out folder of `armillary-train train`.
    run: PathBuf,
}

/// Writes the page.
pub(crate) fn run(arguments: &Report) -> anyhow::Result<()> {
    println!("{}", trainer::report::write(&arguments.run)?.display());
    Ok(())
}
