//! `armillary-train train`: the run from logs to a checkpoint, interrupted and resumed at will.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use trainer::checkpoint::{self, CheckpointError, Provenance, TaskOfLogs};
use trainer::dataset::{Dataset, Loader};
use trainer::learner::Learner;
use trainer::loss::Batch;
use trainer::preset::Preset;
use trainer::strip::{self, OpenLoop};
use trainer::tensorboard::EventWriter;

use super::losses::Losses;
use super::{DeviceName, at_least_one, default_threads};

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
    /// Folder for the checkpoint, losses.csv and TensorBoard events.
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
    log::info!(
        "{} logs, {} agent steps below {}",
        dataset.logs(),
        dataset.steps(),
        folders.join(", ")
    );
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{}: cannot make the folder", arguments.out.display()))?;
    let (mut learner, dataset) = match resumed {
        Some((learner, provenance)) => {
            resume_checks(
                &checkpoint_path,
                &learner,
                &provenance,
                &preset,
                &dataset.tasks(),
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
            Learner::new(preset, dataset.action(), arguments.seed, device),
            dataset,
        ),
    };
    let until = arguments.until.unwrap_or(learner.preset.optimiser.updates);
    let losses = Losses::open(&arguments.out.join("losses.csv"), learner.update)?;
    // What is usual is known from before.
    for loss in losses.all()? {
        let _ = learner.watch.exploded(loss);
    }
    updates(
        &mut learner,
        &Arc::new(dataset),
        arguments,
        until,
        losses,
        &checkpoint_path,
    )
}

fn resume_checks(
    path: &Path,
    learner: &Learner,
    provenance: &Provenance,
    preset: &Preset,
    tasks: &[TaskOfLogs],
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
    let robots = |tasks: &[TaskOfLogs]| {
        let robots = tasks.iter().map(|task| task.robot.clone());
        robots.collect::<Vec<_>>()
    };
    let (was, is) = (robots(&provenance.tasks), robots(tasks));
    if was != is {
        bail!(
            "{}: trained on {was:?}, the logs are of {is:?}; name the same --runs in the same order, or another --out",
            path.display()
        );
    }
    Ok(())
}

fn updates(
    learner: &mut Learner,
    dataset: &Arc<Dataset>,
    arguments: &Train,
    until: u64,
    mut losses: Losses,
    checkpoint_path: &Path,
) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let on_interrupt = Arc::clone(&stop);
    ctrlc::set_handler(move || on_interrupt.store(true, Ordering::SeqCst)).context("cannot catch Ctrl-C")?;
    let folder = arguments.out.join("tensorboard");
    let cannot = || {
        format!(
            "{}: cannot write TensorBoard events; free space on its disk, and the same command goes on from the last checkpoint",
            folder.display()
        )
    };
    let mut events = EventWriter::create(&folder).with_context(cannot)?;
    // One that has not been trained on takes nobody's place.
    let save = |learner: &Learner, dataset: &Dataset, proven: bool| {
        if proven && checkpoint_path.exists() {
            checkpoint::keep(checkpoint_path)?;
        }
        let provenance = Provenance::of(
            learner,
            &dataset.tasks(),
            dataset.fingerprint(),
            dataset.steps() as u64,
        );
        checkpoint::save(checkpoint_path, learner, &provenance)
    };
    let bar = ProgressBar::new(until)
        .with_position(learner.update)
        .with_style(ProgressStyle::with_template(
            "{bar:30} {pos}/{len} updates, {elapsed_precise}, {eta} left  {msg}",
        )?);
    bar.reset_eta();
    let mut loader = Loader::start(
        dataset,
        learner.seed,
        learner.update + 1,
        &learner.preset.optimiser,
        arguments.loader_threads,
    )
    .context("cannot start a thread that loads batches")?;
    let (begun, mut waited) = (Instant::now(), Duration::ZERO);
    let pictures = arguments.out.join("open-loop.png");
    // Whether the last checkpoint has been trained on, and with a usual loss.
    let mut proven = false;
    while learner.update < until && !stop.load(Ordering::SeqCst) {
        let batch = loader.batch()?.on(learner.model.device);
        let report = match learner.step(&batch) {
            Ok(report) => report,
            Err(diverged) => {
                // Whatever becomes of files, what went wrong is said.
                let kept = arguments.out.join("diverged.safetensors");
                let saved = match checkpoint::save_batch(&kept, &batch) {
                    Ok(()) => format!("the batch is in {}", kept.display()),
                    Err(error) => format!("and the batch could not be kept: {error}"),
                };
                let noted = match losses.flush() {
                    Ok(()) => String::new(),
                    Err(error) => format!("; the last losses could not be written: {error}"),
                };
                let good = good_again(checkpoint_path, proven).unwrap_or_else(|error| error.to_string());
                return Err(diverged).with_context(|| format!("{good}; {saved}{noted}"));
            }
        };
        proven |= learner.watch.calm();
        losses.write(&report)?;
        if report.update.is_multiple_of(10) || report.update == until {
            events
                .scalars(report.update, report.scalars.iter().copied())
                .with_context(cannot)?;
            let since = loader.waited();
            waited += since;
            events
                .scalars(report.update, [("loader_wait_s", since.as_secs_f64())])
                .with_context(cannot)?;
            let value = |name| {
                report
                    .scalars
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map_or(0.0, |(_, v)| *v)
            };
            bar.set_message(format!(
                "loss {:.1} image {:.1} joints {:.2} reward {:.4} open loop {:.4} kl {:.1}",
                value("loss"),
                value("image"),
                value("joints"),
                value("reward_mse"),
                value("open_loop_reward_mse"),
                value("kl")
            ));
        }
        bar.set_position(report.update);
        let due = report.update.is_multiple_of(arguments.checkpoint_every) && learner.watch.calm();
        if due || report.update == until {
            losses.flush()?;
            save(learner, dataset, proven)?;
            proven = false;
        }
        // A loop that stops every few hundred updates need not draw each time.
        let last =
            report.update == until && (until >= learner.preset.optimiser.updates || !pictures.exists());
        if report.update.is_multiple_of(1000) || last {
            draw(learner, &batch, &mut events, &arguments.out, &cannot)?;
        }
    }
    bar.abandon();
    if stop.load(Ordering::SeqCst) {
        losses.flush()?;
        save(learner, dataset, proven)?;
        bail!(
            "interrupted at update {}; the same command goes on from there",
            learner.update
        );
    }
    log::info!(
        "{} updates done; checkpoint at {}; {:.2} % of the time was spent waiting for batches",
        learner.update,
        checkpoint_path.display(),
        100.0 * waited.as_secs_f64() / begun.elapsed().as_secs_f64().max(1e-9)
    );
    Ok(())
}

/// Leaves a checkpoint that can be gone on from, after the one that was last saved has `proven` so or not, and says which.
fn good_again(path: &Path, proven: bool) -> Result<String, CheckpointError> {
    let kept = if !path.exists() {
        return Ok(
            "it comes before the first checkpoint; lower `optimiser.learning_rate` or `optimiser.gradient_clip`".to_owned(),
        );
    } else if proven {
        Some(checkpoint::provenance(path)?)
    } else {
        checkpoint::step_back(path)?
    };
    Ok(match kept {
        Some(provenance) => format!(
            "{} is that of update {}, the last that is known to be good; lower `optimiser.learning_rate` or \
             `optimiser.gradient_clip` before you go on from it, since the same settings would do the same again",
            path.display(),
            provenance.update
        ),
        None => format!(
            "{}: no checkpoint is known to be good; name another --out",
            path.display()
        ),
    })
}

/// Pictures and distributions, for TensorBoard and the report.
fn draw(
    learner: &Learner,
    batch: &Batch,
    events: &mut EventWriter,
    out: &Path,
    cannot: &dyn Fn() -> String,
) -> anyhow::Result<()> {
    for (name, parameter) in learner.model.params.entries() {
        events
            .histogram(learner.update, name, &checkpoint::numbers(parameter))
            .with_context(cannot)?;
    }
    if !learner.model.sizes.observation.pixels() {
        // It has no pictures in mind.
        return Ok(());
    }
    let open_loop = OpenLoop::of(&learner.model, batch);
    for (tag, file, picture) in [
        ("open_loop", "open-loop.png", open_loop.strip(6)?),
        ("open_loop_video", "open-loop.gif", open_loop.video(6)?),
        (
            "traversal",
            "traversal.png",
            strip::traversal(&learner.model, batch, 8)?,
        ),
    ] {
        events
            .picture(learner.update, tag, &picture.bytes, picture.width, picture.height)
            .with_context(cannot)?;
        let path = out.join(file);
        std::fs::write(&path, &picture.bytes).with_context(|| format!("{}: cannot write", path.display()))?;
    }
    Ok(())
}
