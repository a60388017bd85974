//! `armillary-train export`: a checkpoint to a bundle.

use std::path::PathBuf;

use robot::Config;
use trainer::checkpoint;
use trainer::export::export;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Export {
    /// Checkpoint to export.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The robot file it will drive.
    #[arg(long)]
    robot: PathBuf,
    /// The task, if one agent learned several with this robot.
    #[arg(long)]
    task: Option<String>,
    /// Folder of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// Leave the image decoder out (the controller then cannot show what it imagines).
    #[arg(long)]
    no_decoder: bool,
}

/// Exports, and proves that the bundle computes the same.
pub(crate) fn run(arguments: &Export) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    let (learner, provenance) = checkpoint::load(&arguments.checkpoint, tch::Device::Cpu)?;
    // Parity inputs are drawn from the checkpoint's own position: exporting twice gives the same bundle.
    tch::manual_seed(learner.update as i64);
    let error = export(
        &learner.model,
        &provenance,
        &config,
        !arguments.no_decoder,
        arguments.task.as_deref(),
        &arguments.out,
    )?;
    log::info!(
        "{}: update {}, largest relative error of tract against LibTorch {error:.1e}",
        arguments.out.display(),
        learner.update
    );
    Ok(())
}
