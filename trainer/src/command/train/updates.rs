//! Update after update, with what is kept of them: losses, events, checkpoints, pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use trainer::checkpoint::{self, CheckpointError, Provenance};
use trainer::dataset::{Dataset, Loader};
use trainer::learner::{Diverged, Learner, Report};
use trainer::loss::Batch;
use trainer::report::DRAWN_AT;
use trainer::strip::{self, OpenLoop};
use trainer::tensorboard::EventWriter;

use super::Train;
use crate::command::losses::Losses;

/// Updates between two points of TensorBoard's curves.
const EVENTS_EVERY: u64 = 10;

/// Updates between two sets of pictures.
const PICTURES_EVERY: u64 = 1000;

/// Files of the pictures of a set.
const PICTURES: [&str; 3] = ["open-loop.png", "open-loop.gif", "traversal.png"];

/// A run under way.
pub(super) struct Updates<'a> {
    arguments: &'a Train,
    learner: Learner,
    dataset: Arc<Dataset>,
    checkpoint: PathBuf,
    losses: Losses,
    events: EventWriter,
    /// Whether the last checkpoint has been trained on, and with a usual loss.
    proven: bool,
    /// Whether the run goes on from a checkpoint. Files that earlier versions left beside one are not marked, and are taken then.
    resumed: bool,
}

impl<'a> Updates<'a> {
    /// Goes on where `learner` is.
    pub(super) fn new(
        arguments: &'a Train,
        mut learner: Learner,
        dataset: Dataset,
        checkpoint: PathBuf,
    ) -> anyhow::Result<Self> {
        // Before hours of training.
        let resumed = checkpoint.exists();
        for name in PICTURES {
            files::check(&arguments.out.join(name), &|head| is_picture(head, resumed))?;
        }
        files::check(&arguments.out.join(DRAWN_AT), &|head| is_number(head, resumed))?;
        let losses = Losses::open(&arguments.out.join("losses.csv"), learner.update, resumed)?;
        // What is usual is known from before.
        for loss in losses.all()? {
            let _ = learner.watch.exploded(loss);
        }
        let folder = arguments.out.join("tensorboard");
        let events = EventWriter::create(&folder).with_context(|| no_events(&folder))?;
        Ok(Self {
            arguments,
            learner,
            dataset: Arc::new(dataset),
            checkpoint,
            losses,
            events,
            proven: false,
            resumed,
        })
    }

    /// Trains up to update `until`, or until it is interrupted.
    pub(super) fn run(mut self, until: u64) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let on_interrupt = Arc::clone(&stop);
        ctrlc::set_handler(move || on_interrupt.store(true, Ordering::SeqCst))
            .context("cannot catch Ctrl-C")?;
        let bar = ProgressBar::new(until)
            .with_position(self.learner.update)
            .with_style(ProgressStyle::with_template(
                "{bar:30} {pos}/{len} updates, {elapsed_precise}, {eta} left  {msg}",
            )?);
        bar.reset_eta();
        let mut loader = Loader::start(
            &self.dataset,
            self.learner.seed,
            self.learner.update + 1,
            &self.learner.preset.optimiser,
            self.arguments.loader_threads,
        )
        .context("cannot start a thread that loads batches")?;
        let (begun, mut waited) = (Instant::now(), Duration::ZERO);
        while self.learner.update < until && !stop.load(Ordering::SeqCst) {
            let batch = loader.batch()?.on(self.learner.model.device);
            let report = match self.learner.step(&batch) {
                Ok(report) => report,
                Err(diverged) => return Err(self.give_up(diverged, &batch)),
            };
            self.proven |= self.learner.watch.calm();
            self.losses.write(&report)?;
            let update = report.update;
            if update.is_multiple_of(EVENTS_EVERY) || update == until {
                let since = loader.waited();
                waited += since;
                self.tell(&report, since)?;
                bar.set_message(summary(&report));
            }
            bar.set_position(update);
            let due = update.is_multiple_of(self.arguments.checkpoint_every) && self.learner.watch.calm();
            if due || update == until {
                self.save()?;
            }
            // A loop that stops every few hundred updates need not draw each time.
            let whole = until >= self.learner.preset.optimiser.updates;
            let last = update == until && (whole || !self.arguments.out.join(DRAWN_AT).exists());
            if update.is_multiple_of(PICTURES_EVERY) || last {
                self.draw(&batch)?;
            }
        }
        bar.abandon();
        if stop.load(Ordering::SeqCst) {
            self.save()?;
            bail!(
                "interrupted at update {}; the same command goes on from there",
                self.learner.update
            );
        }
        log::info!(
            "{} updates done; checkpoint at {}; {:.2} % of the time was spent waiting for batches",
            self.learner.update,
            self.checkpoint.display(),
            100.0 * waited.as_secs_f64() / begun.elapsed().as_secs_f64().max(1e-9)
        );
        Ok(())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.losses.flush()?;
        // One that has not been trained on takes nobody's place.
        if self.proven && self.checkpoint.exists() {
            checkpoint::keep(&self.checkpoint)?;
        }
        let provenance = Provenance::of(
            &self.learner,
            &self.dataset.tasks(),
            self.dataset.fingerprint(),
            self.dataset.steps() as u64,
        );
        checkpoint::save(&self.checkpoint, &self.learner, &provenance)?;
        self.proven = false;
        Ok(())
    }

    /// Keeps what can be kept. Whatever becomes of files, what went wrong is said.
    fn give_up(&mut self, diverged: Diverged, batch: &Batch) -> anyhow::Error {
        let kept = self.arguments.out.join("diverged.safetensors");
        let saved = match checkpoint::save_batch(&kept, batch) {
            Ok(()) => format!("the batch is in {}", kept.display()),
            Err(error) => format!("and the batch could not be kept: {error}"),
        };
        let noted = match self.losses.flush() {
            Ok(()) => String::new(),
            Err(error) => format!("; the last losses could not be written: {error}"),
        };
        let good = good_again(&self.checkpoint, self.proven).unwrap_or_else(|error| error.to_string());
        anyhow::Error::from(diverged).context(format!("{good}; {saved}{noted}"))
    }

    /// The terms of the loss, and how long batches were waited for, to TensorBoard.
    fn tell(&mut self, report: &Report, waited: Duration) -> anyhow::Result<()> {
        let wait = ("loader_wait_s", waited.as_secs_f64());
        let scalars = report.scalars.iter().copied().chain([wait]);
        self.events
            .scalars(report.update, scalars)
            .with_context(|| no_events(&self.arguments.out.join("tensorboard")))
    }

    /// Pictures and distributions, for TensorBoard and the report.
    fn draw(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let (learner, out) = (&self.learner, &self.arguments.out);
        let cannot = || no_events(&out.join("tensorboard"));
        for (name, parameter) in learner.model.params.entries() {
            self.events
                .histogram(learner.update, name, &checkpoint::numbers(parameter))
                .with_context(cannot)?;
        }
        if !learner.model.sizes.observation.pixels() {
            // It has no pictures in mind.
            return Ok(());
        }
        let open_loop = OpenLoop::of(&learner.model, batch);
        let pictures = [
            ("open_loop", open_loop.strip(6)?),
            ("open_loop_video", open_loop.video(6)?),
            ("traversal", strip::traversal(&learner.model, batch, 8)?),
        ];
        for ((tag, picture), file) in pictures.into_iter().zip(PICTURES) {
            self.events
                .picture(learner.update, tag, &picture.bytes, picture.width, picture.height)
                .with_context(cannot)?;
            files::put(&out.join(file), &picture.bytes, &|head| {
                is_picture(head, self.resumed)
            })?;
        }
        let text = format!("{}\n{}\n", learner.update, String::from_utf8_lossy(files::MARK));
        files::put(&out.join(DRAWN_AT), text.as_bytes(), &|head| {
            is_number(head, self.resumed)
        })?;
        Ok(())
    }
}

/// Whether this program drew a picture. Those of earlier versions have no mark: they are what its encoders write, and lie beside a
/// checkpoint (`resumed`).
fn is_picture(head: &[u8], resumed: bool) -> bool {
    // The pixels of our PNGs follow the header at once.
    let is_png = head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(37..41) == Some(b"IDAT");
    files::is_marked(head) || (resumed && (is_png || head.starts_with(b"GIF89a")))
}

/// Whether a file is the note of the update that drew the pictures. Earlier versions wrote the number alone, beside a checkpoint
/// (`resumed`).
fn is_number(head: &[u8], resumed: bool) -> bool {
    files::is_marked(head) || (resumed && head.iter().all(u8::is_ascii_digit))
}

fn no_events(folder: &Path) -> String {
    format!(
        "{}: cannot write TensorBoard events; free space on its disk, and the same command goes on from the last checkpoint",
        folder.display()
    )
}

/// What a look at the progress bar should tell.
fn summary(report: &Report) -> String {
    let value = |name| {
        let found = report.scalars.iter().find(|(n, _)| *n == name);
        found.map_or(0.0, |(_, value)| *value)
    };
    format!(
        "loss {:.1} image {:.1} joints {:.2} reward {:.4} open loop {:.4} kl {:.1}",
        value("loss"),
        value("image"),
        value("joints"),
        value("reward_mse"),
        value("open_loop_reward_mse"),
        value("kl")
    )
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
