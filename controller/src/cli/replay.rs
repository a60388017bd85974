//! `armillary replay`.

use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The log.
    log: PathBuf,
    /// The bundle it was recorded with.
    #[arg(long)]
    bundle: Option<PathBuf>,
}

/// Replays.
pub(crate) fn run(arguments: &Replay) -> anyhow::Result<()> {
    let reproduced = controller::replay::replay(&arguments.log, arguments.bundle.as_deref())?;
    println!(
        "{}: {reproduced} actions reproduced bit for bit",
        arguments.log.display()
    );
    Ok(())
}
