//! `armillary-train train`: the run from logs to a checkpoint, interrupted and resumed at will.

mod updates;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use trainer::checkpoint::{self, Provenance, TaskOfLogs};
use trainer::dataset::Dataset;
use trainer::learner::Learner;
use trainer::preset::Preset;

use self::updates::Updates;
use super::{DeviceName, at_least_one, default_threads, warn_of_slow_precision};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Train {
    /// Folder of run logs (*.mcap), searched recursively. Given more than once, one agent learns a task from each: actions of
    /// robots with fewer joints are padded with zeros.
    #[arg(long, required = true)]
    runs: Vec<PathBuf>,
    /// Training preset.
    #[arg(long)]
    preset: PathBuf,
    /// Folder for the checkpoint, losses.csv, TensorBoard events, pictures and the cache of frames (about 440 bytes a frame of
    /// 64x64 pixels of a simulated arm, more of a camera's).
    #[arg(long)]
    out: PathBuf,
    /// Stop at this update; the preset's `updates` if not given.
    #[arg(long)]
    until: Option<u64>,
    /// Names all randomness of the run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
    /// CPU threads; results are bit-equal only between runs with the same number.
    #[arg(long, default_value_t = default_threads(), value_parser = at_least_one)]
    threads: usize,
    /// Threads that put batches together ahead of time.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    loader_threads: usize,
    /// Updates between checkpoints. The one before the last is kept beside it.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
}

/// Trains.
pub(crate) fn run(arguments: &Train) -> anyhow::Result<()> {
    tch::set_num_threads(arguments.threads as i32);
    let device = arguments.device.open()?;
    let preset = Preset::load(&arguments.preset)?;
    warn_of_slow_precision(&preset, device);
    let checkpoint_path = arguments.out.join("checkpoint.safetensors");
    // Resuming is decided before the logs are read: a damaged checkpoint is reported at once.
    let resumed = checkpoint_path
        .exists()
        .then(|| checkpoint::load(&checkpoint_path, device))
        .transpose()?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "reading logs {bar:30} {pos}/{len}, {eta} left",
    )?);
    let dataset = Dataset::open(&arguments.runs, &arguments.out, &preset, &|read, all| {
        bar.set_length(all as u64);
        bar.set_position(read as u64);
    })?;
    bar.finish_and_clear();
    let folders: Vec<String> = arguments
        .runs
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    let pictures = if preset.model.observation.pixels() {
        format!(", pictures of {0}x{0} pixels", dataset.side().pixels())
    } else {
        String::new()
    };
    log::info!(
        "{} logs, {} agent steps below {}{pictures}",
        dataset.logs(),
        dataset.steps(),
        folders.join(", ")
    );
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{}: cannot make the folder", arguments.out.display()))?;
    let (learner, dataset) = match resumed {
        Some((learner, provenance)) => {
            resume_checks(
                &checkpoint_path,
                &learner,
                &provenance,
                &preset,
                &dataset,
                arguments,
            )?;
            if provenance.data_fingerprint != dataset.fingerprint() {
                log::info!("the logs are not those of the checkpoint: going on with the new set");
            }
            log::info!("resuming at update {}", learner.update);
            // What is new in the logs changes nothing of what was learned to see.
            (
                learner.with_preset(preset),
                dataset.in_terms_of(&provenance.tasks),
            )
        }
        None => (
            Learner::new(preset, dataset.side(), dataset.action(), arguments.seed, device),
            dataset,
        ),
    };
    let until = arguments.until.unwrap_or(learner.preset.optimiser.updates);
    Updates::new(arguments, learner, dataset, checkpoint_path)?.run(until)
}

fn resume_checks(
    path: &Path,
    learner: &Learner,
    provenance: &Provenance,
    preset: &Preset,
    dataset: &Dataset,
    arguments: &Train,
) -> anyhow::Result<()> {
    if learner.preset.model != preset.model {
        bail!(
            "{}: field `model` of the preset differs from the checkpoint's; name another --out",
            path.display()
        );
    }
    if learner.seed != arguments.seed {
        let (was, is) = (learner.seed, arguments.seed);
        bail!(
            "{}: its seed is {was}, --seed is {is}; pass the same seed or name another --out",
            path.display()
        );
    }
    let (was, is) = (learner.model.side.pixels(), dataset.side().pixels());
    if was != is {
        bail!(
            "{}: trained on pictures of {was}x{was}, and those of the logs are {is}x{is}; name --runs whose robot file has {was} as \
             `capture.side`, or another --out",
            path.display()
        );
    }
    let robots = |tasks: &[TaskOfLogs]| {
        let robots = tasks.iter().map(|task| task.robot.clone());
        robots.collect::<Vec<_>>()
    };
    let (was, is) = (robots(&provenance.tasks), robots(&dataset.tasks()));
    if was != is {
        bail!(
            "{}: trained on {was:?}, the logs are of {is:?}; name the same --runs in the same order, or another --out",
            path.display()
        );
    }
    Ok(())
}
