//! `armillary-train`: learns a world model from run logs and exports it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use robot::Config;
use trainer::audit::{Alignment, audit};
use trainer::checkpoint::{self, Provenance, RobotOfLogs};
use trainer::dataset::{Dataset, Loader};
use trainer::device;
use trainer::export::export;
use trainer::learner::Learner;
use trainer::loss::Batch;
use trainer::preset::{Precision, Preset};
use trainer::strip::{self, OpenLoop};
use trainer::tensorboard::EventWriter;

#[derive(Parser)]
#[command(
    name = "armillary-train",
    version,
    about = "Learns a world model from run logs and exports it"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look through run logs for gaps, frozen pictures and actions that belong to other pictures, before training on them.
    Audit(AuditArguments),
    /// Train on run logs. Resumes from OUT/checkpoint.safetensors if there is one.
    Train(TrainArguments),
    /// Time updates on a made-up batch, and show where the time goes.
    Bench(BenchArguments),
    /// Write a training run's curves and pictures into one HTML page.
    Report(ReportArguments),
    /// Export a checkpoint as a bundle for the controller, and prove that it computes the same numbers.
    Export(ExportArguments),
}

#[derive(clap::Args)]
struct AuditArguments {
    /// Folder of run logs (*.mcap), searched recursively.
    runs: PathBuf,
}

#[derive(clap::Args)]
struct TrainArguments {
    /// Folder of run logs (*.mcap), searched recursively.
    #[arg(long)]
    runs: PathBuf,
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
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Threads that put batches together ahead of time.
    #[arg(long, default_value_t = 1)]
    loader_threads: usize,
    /// Updates between checkpoints.
    #[arg(long, default_value_t = 250)]
    checkpoint_every: u64,
}

#[derive(clap::Args)]
struct ReportArguments {
    /// The --out folder of `armillary-train train`.
    run: PathBuf,
}

#[derive(clap::Args)]
struct BenchArguments {
    /// Training preset: sizes, terms of the loss and batch.
    #[arg(long)]
    preset: PathBuf,
    /// Precision of encoder and decoder instead of the preset's.
    #[arg(long, value_enum)]
    convolutions: Option<PrecisionName>,
    /// Numbers an action.
    #[arg(long, default_value_t = 3)]
    action: i64,
    /// Updates to time, after as many to warm up.
    #[arg(long, default_value_t = 5)]
    updates: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
    /// CPU threads.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Precisions by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PrecisionName {
    F32,
    Bf16,
}

/// Devices by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DeviceName {
    /// This machine's processor.
    Cpu,
    /// Its first GPU, by a LibTorch that was built for CUDA.
    Cuda,
}

impl DeviceName {
    /// The device, if it is there.
    fn open(self) -> anyhow::Result<tch::Device> {
        match self {
            Self::Cpu => Ok(tch::Device::Cpu),
            Self::Cuda => Ok(device::cuda()?),
        }
    }
}

#[derive(clap::Args)]
struct ExportArguments {
    /// Checkpoint to export.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The robot file it will drive.
    #[arg(long)]
    robot: PathBuf,
    /// Folder of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// Leave the image decoder out (the controller then cannot show what it imagines).
    #[arg(long)]
    no_decoder: bool,
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = simple_logger::SimpleLogger::new()
        .with_level(log::LevelFilter::Info)
        .init()
    {
        eprintln!("cannot start logging: {error}");
    }
    tune_allocator();
    device::load_cuda();
    let result = match arguments.command {
        Command::Audit(arguments) => audit_logs(&arguments),
        Command::Train(arguments) => train(&arguments),
        Command::Report(arguments) => report(&arguments),
        Command::Bench(arguments) => bench(&arguments),
        Command::Export(arguments) => export_bundle(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps large tensors' memory instead of returning it after every update: page faults would cost up to 40 %.
fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes the allocator's thresholds, before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

fn audit_logs(arguments: &AuditArguments) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} logs")?);
    let found = audit(&arguments.runs, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    println!("{} logs, {} control periods\n", found.logs, found.ticks);
    println!(
        "the sizes of actions explain {:.3} of the pictures' change; what no other lag explains, by how many periods",
        found.explained
    );
    println!("later a picture is than the trainer assumes:\n");
    for (lag, alone) in &found.alone {
        let bar = "#".repeat((alone / found.explained.max(1e-9) * 80.0).max(0.0) as usize);
        println!("{lag:>4} {alone:>7.4} {bar}");
    }
    println!();
    for finding in &found.findings {
        println!("{}: {}", finding.path.display(), finding.problem);
    }
    match found.alignment {
        Alignment::Right => {
            println!("actions belong to the pictures they are stored with");
            Ok(())
        }
        Alignment::Unclear => bail!(
            "these logs do not tell whether actions belong to their pictures: record a few episodes with \
             `armillary record --policy random`"
        ),
        Alignment::Shifted(lag) => bail!(
            "pictures are {lag} period(s) later than the trainer assumes; training on them would teach a model that \
             plans with the wrong action. Lower the camera's delay, lengthen `period_s`, or correct what wrote the logs"
        ),
    }
}

fn train(arguments: &TrainArguments) -> anyhow::Result<()> {
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
    let dataset = Dataset::open(
        &arguments.runs,
        &arguments.out,
        &preset.optimiser,
        &|read, all| {
            bar.set_length(all as u64);
            bar.set_position(read as u64);
        },
    )?;
    bar.finish_and_clear();
    let dataset = Arc::new(dataset);
    log::info!(
        "{} logs, {} agent steps below {}",
        dataset.logs(),
        dataset.steps(),
        arguments.runs.display()
    );
    let robot = dataset.robot().clone();
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{}: cannot make the folder", arguments.out.display()))?;
    let mut learner = match resumed {
        Some((learner, provenance)) => {
            resume_checks(
                &checkpoint_path,
                &learner,
                &provenance,
                &preset,
                &robot,
                arguments,
            )?;
            if provenance.data_fingerprint != dataset.fingerprint() {
                log::info!("the logs are not those of the checkpoint: going on with the new set");
            }
            log::info!("resuming at update {}", learner.update);
            learner.with_preset(preset)
        }
        None => Learner::new(preset, dataset.action(), arguments.seed, device),
    };
    let until = arguments.until.unwrap_or(learner.preset.optimiser.updates);
    let losses = Losses::open(&arguments.out.join("losses.csv"), learner.update)?;
    // What is usual is known from before.
    for loss in losses.all()? {
        let _ = learner.watch.exploded(loss);
    }
    run(
        &mut learner,
        &dataset,
        &robot,
        arguments,
        until,
        losses,
        &checkpoint_path,
    )
}

fn bench(arguments: &BenchArguments) -> anyhow::Result<()> {
    tch::set_num_threads(arguments.threads as i32);
    let mut preset = Preset::load(&arguments.preset)?;
    if let Some(name) = arguments.convolutions {
        preset.optimiser.convolutions = match name {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
        };
    }
    let profile = trainer::bench::profile(
        preset,
        arguments.action,
        arguments.device.open()?,
        arguments.updates,
    )?;
    if arguments.json {
        println!("{}", serde_json::to_string(&profile)?);
    } else {
        print!("{profile}");
    }
    Ok(())
}

fn resume_checks(
    path: &Path,
    learner: &Learner,
    provenance: &Provenance,
    preset: &Preset,
    robot: &RobotOfLogs,
    arguments: &TrainArguments,
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
    if provenance.robot != *robot {
        let (was, is) = (&provenance.robot, robot);
        bail!(
            "{}: trained on {was:?}, the logs are of {is:?}; name another --out",
            path.display()
        );
    }
    Ok(())
}

fn run(
    learner: &mut Learner,
    dataset: &Arc<Dataset>,
    robot: &RobotOfLogs,
    arguments: &TrainArguments,
    until: u64,
    mut losses: Losses,
    checkpoint_path: &Path,
) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let on_interrupt = Arc::clone(&stop);
    ctrlc::set_handler(move || on_interrupt.store(true, Ordering::SeqCst)).context("cannot catch Ctrl-C")?;
    let mut events = EventWriter::create(&arguments.out.join("tensorboard"))
        .with_context(|| format!("{}: cannot write TensorBoard events", arguments.out.display()))?;
    let save = |learner: &Learner, dataset: &Dataset| {
        let provenance = Provenance::of(
            learner,
            robot.clone(),
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
    while learner.update < until && !stop.load(Ordering::SeqCst) {
        let batch = loader.batch()?.on(learner.model.device);
        let report = match learner.step(&batch) {
            Ok(report) => report,
            Err(diverged) => {
                losses.flush()?;
                let kept = arguments.out.join("diverged.safetensors");
                checkpoint::save_batch(&kept, &batch)?;
                return Err(diverged).with_context(|| format!("the batch is in {}", kept.display()));
            }
        };
        losses.write(&report)?;
        if report.update.is_multiple_of(10) || report.update == until {
            events.scalars(report.update, report.scalars.iter().copied())?;
            let waited_s = loader.waited().as_secs_f64();
            events.scalars(report.update, [("loader_wait_s", waited_s)])?;
            let value = |name| {
                report
                    .scalars
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map_or(0.0, |(_, v)| *v)
            };
            bar.set_message(format!(
                "loss {:.1} image {:.1} reward {:.4} open loop {:.4} kl {:.1}",
                value("loss"),
                value("image"),
                value("reward_mse"),
                value("open_loop_reward_mse"),
                value("kl")
            ));
        }
        bar.set_position(report.update);
        if report.update.is_multiple_of(arguments.checkpoint_every) || report.update == until {
            losses.flush()?;
            save(learner, dataset)?;
        }
        if report.update.is_multiple_of(1000) || report.update == until {
            draw(learner, &batch, &mut events, &arguments.out)?;
        }
    }
    bar.abandon();
    if stop.load(Ordering::SeqCst) {
        losses.flush()?;
        save(learner, dataset)?;
        bail!(
            "interrupted at update {}; the same command goes on from there",
            learner.update
        );
    }
    log::info!(
        "{} updates done; checkpoint at {}",
        learner.update,
        checkpoint_path.display()
    );
    Ok(())
}

/// Pictures and distributions, for TensorBoard and the report.
fn draw(learner: &Learner, batch: &Batch, events: &mut EventWriter, out: &Path) -> anyhow::Result<()> {
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
        events.picture(learner.update, tag, &picture.bytes, picture.width, picture.height)?;
        let path = out.join(file);
        std::fs::write(&path, &picture.bytes).with_context(|| format!("{}: cannot write", path.display()))?;
    }
    for (name, parameter) in learner.model.params.entries() {
        events.histogram(learner.update, name, &checkpoint::numbers(parameter))?;
    }
    Ok(())
}

fn report(arguments: &ReportArguments) -> anyhow::Result<()> {
    println!("{}", trainer::report::write(&arguments.run)?.display());
    Ok(())
}

/// `losses.csv`, a row an update, in full precision. Rows past the checkpoint that a run resumes from are dropped.
struct Losses {
    path: PathBuf,
    out: std::io::BufWriter<std::fs::File>,
    /// The columns it has; none yet if it is empty.
    columns: Option<String>,
}

impl Losses {
    fn open(path: &Path, update: u64) -> anyhow::Result<Self> {
        let name = || format!("{}: cannot write the losses", path.display());
        if path.exists() {
            let text = std::fs::read_to_string(path).with_context(name)?;
            // A row that a kill cut off has no end of line, and may read as another number.
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let kept: String = whole
                .lines()
                .filter(|line| {
                    let number = line.split(',').next().and_then(|field| field.parse::<u64>().ok());
                    number.is_none_or(|number| number <= update)
                })
                .flat_map(|line| [line, "\n"])
                .collect();
            std::fs::write(path, if update == 0 { String::new() } else { kept }).with_context(name)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(name)?;
        let text = std::fs::read_to_string(path).with_context(name)?;
        Ok(Self {
            path: path.to_owned(),
            out: std::io::BufWriter::new(file),
            columns: text.lines().next().map(str::to_owned),
        })
    }

    /// The losses there are, oldest first.
    fn all(&self) -> anyhow::Result<Vec<f64>> {
        let text = std::fs::read_to_string(&self.path)
            .with_context(|| format!("{}: cannot read", self.path.display()))?;
        Ok(text
            .lines()
            .filter_map(|line| line.split(',').nth(1)?.parse().ok())
            .collect())
    }

    fn write(&mut self, report: &trainer::learner::Report) -> anyhow::Result<()> {
        let context = || format!("{}: cannot write the losses", self.path.display());
        let names: Vec<&str> = report.scalars.iter().map(|(name, _)| *name).collect();
        let expected = || format!("update,{}", names.join(","));
        match &self.columns {
            None => {
                let columns = expected();
                writeln!(self.out, "{columns}").with_context(context)?;
                self.columns = Some(columns);
            }
            Some(columns) if *columns != expected() => bail!(
                "{}: was written by another version, with other columns; move it away, or name another --out",
                self.path.display()
            ),
            Some(_) => {}
        }
        let values: Vec<String> = report
            .scalars
            .iter()
            .map(|(_, value)| value.to_string())
            .collect();
        writeln!(self.out, "{},{}", report.update, values.join(",")).with_context(context)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.out
            .flush()
            .with_context(|| format!("{}: cannot write the losses", self.path.display()))
    }
}

fn export_bundle(arguments: &ExportArguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    let (learner, provenance) = checkpoint::load(&arguments.checkpoint, tch::Device::Cpu)?;
    // Parity inputs are drawn from the checkpoint's own position: exporting twice gives the same bundle.
    tch::manual_seed(learner.update as i64);
    let error = export(
        &learner.model,
        &provenance,
        &config,
        !arguments.no_decoder,
        &arguments.out,
    )?;
    log::info!(
        "{}: update {}, largest relative error of tract against LibTorch {error:.1e}",
        arguments.out.display(),
        learner.update
    );
    Ok(())
}
