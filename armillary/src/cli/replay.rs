//! `armillary replay`.

use std::path::PathBuf;

use controller::replay::{Computed, replay};

use super::planner::BackendName;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The log.
    log: PathBuf,
    /// The bundle it was recorded with.
    #[arg(long)]
    pub(super) bundle: Option<PathBuf>,
    /// Plan with another back end than the robot file's. `scalar`, `simd`, `portable`, `avx2` and `avx512` give the same
    /// bits; with another, actions will differ.
    #[arg(long, value_enum)]
    backend: Option<BackendName>,
    /// Plan on another number of threads than the robot file's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=robot::config::PLANNER_THREADS_MAX as u64))]
    threads: Option<u64>,
}

/// Replays.
pub(crate) fn run(arguments: &Replay) -> anyhow::Result<()> {
    let computed = Computed {
        backend: arguments.backend.map(Into::into),
        threads: arguments.threads.map(|threads| threads as usize),
    };
    let reproduced = replay(&arguments.log, arguments.bundle.as_deref(), computed)?;
    armillary::say!(
        "{}: {reproduced} actions reproduced bit for bit",
        arguments.log.display()
    );
    Ok(())
}
