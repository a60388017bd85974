//! The command line: a module a verb. Every failure prints what went wrong and what to do, and exits non-zero.

mod bench;
mod calibrate;
mod datasets;
mod demo;
mod doctor;
mod e_stop;
mod eval;
mod find;
mod inspect;
mod planner;
mod record;
mod recrop;
mod relabel;
mod replay;
mod run;
mod say;
mod scores;
mod setup_motors;
mod sign;
mod sim;
mod trust;
mod tune;

use armillary::{console, simulation};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use episode::{Episode, EpisodeInfo};
use planner::PlannerOptions;
use robot::Config;
use robot::config::{Pipeline, edit};

#[derive(Parser)]
#[command(
    name = "armillary",
    version,
    about = "Drives a robot arm with a world model it learned from its own camera"
)]
struct Arguments {
    /// Go on only if the robot file and the bundle that the command reads were signed with this key of minisign's (`armillary sign`): the
    /// file of a public key, or its line of base64.
    #[arg(long, global = true, value_name = "PUBLIC_KEY")]
    require_signature: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch a simulated arm reach for targets it sees, driven in real time by the shipped model.
    Demo(demo::Demo),
    /// Serve the simulated arm on a pty and a frame socket.
    Sim(sim::Sim),
    /// Drive an arm in real time.
    Run(run::Run),
    /// Take torque off at once and latch it, also while another program drives the arm.
    EStop(e_stop::EStop),
    /// Unlatch an emergency stop; asks a person first.
    ClearEStop(e_stop::Clear),
    /// List the cameras that are plugged in, and what to write into a robot file for each.
    FindCameras(find::FindCameras),
    /// List the serial ports that are plugged in, and find the arm's by its cable.
    FindPort(find::FindPort),
    /// Give the servos of an arm their ids, one servo at a time. Goes on where it was interrupted; torque is off.
    SetupMotors(setup_motors::SetupMotors),
    /// Measure how an arm was built: where its joints are, how its camera sees, and what comes late.
    #[command(subcommand)]
    Calibrate(calibrate::Calibrate),
    /// Check machine, ports, camera and servos, and say what to do. Moves nothing unless --full is given.
    Doctor(doctor::Doctor),
    /// Re-run the controller on a log and check every action, bit for bit.
    Replay(replay::Replay),
    /// Record episodes: the log is the training data.
    Record(record::Record),
    /// Make the model's images of recorded logs anew, by the `capture` of another robot file, from the camera's own pictures in them.
    Recrop(recrop::Recrop),
    /// Compute the rewards of recorded logs again, from the joints in them.
    Relabel(relabel::Relabel),
    /// Print what a bundle says of itself, check it, and draw what it makes of a log.
    Inspect(inspect::Inspect),
    /// Add the list of hashes to a bundle that was made before bundles had one.
    Seal(sign::Seal),
    /// Sign a robot file or a bundle, for `--require-signature`.
    Sign(sign::Sign),
    /// Make run logs of a LeRobotDataset, or of PlaNet's and Dreamer's `.npz` episodes.
    Import(datasets::Import),
    /// Make a LeRobotDataset of run logs.
    Export(datasets::Export),
    /// Measure what a plan costs on this machine (`plan`), or find the planner that makes the most of it (`tune`).
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Learn thresholds of the trust monitor from logs of good runs, and say how often they would be wrong.
    Trust(trust::Trust),
    /// Score a model against random actions and against planning on the true simulator.
    Eval(eval::Eval),
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = console::start(log::LevelFilter::Info) {
        armillary::tell!("cannot start the log: {error}");
    }
    if let Err(error) = armillary::signals::survive_file_limits() {
        log::warn!("a limit on the size of files (`ulimit -f`) would end this program: {error}");
    }
    let signed = arguments.require_signature.as_deref();
    let signed = signed.map_or(Ok(()), |key| sign::require(key, &arguments.command));
    let result = signed.and_then(|()| match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::EStop(arguments) => e_stop::stop(&arguments),
        Command::ClearEStop(arguments) => e_stop::clear(&arguments),
        Command::FindCameras(arguments) => find::cameras(&arguments),
        Command::FindPort(arguments) => find::port(&arguments),
        Command::SetupMotors(arguments) => setup_motors::run(&arguments),
        Command::Calibrate(command) => calibrate::run(&command),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Recrop(arguments) => recrop::run(&arguments),
        Command::Relabel(arguments) => relabel::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Seal(arguments) => sign::seal(&arguments),
        Command::Sign(arguments) => sign::sign(&arguments),
        Command::Import(arguments) => datasets::import(&arguments),
        Command::Export(arguments) => datasets::export(&arguments),
        Command::Bench(command) => bench::run(&command),
        Command::Trust(arguments) => trust::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
    });
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            armillary::tell!("error: {}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    };
    console::finish();
    code
}

/// Which robot.
#[derive(Debug, Clone, clap::Args)]
struct RobotChoice {
    /// Robot file.
    #[arg(long, required_unless_present = "rig")]
    robot: Option<PathBuf>,
    /// A simulated robot by name instead: `dmc:cartpole-balance`, `gym:Pendulum-v1` or `py:module:function`, with `@N` behind it
    /// for an action repeat of N. It runs in a Python process (`cargo xtask rig` sets one up). A robot file that names one is refused
    /// unless it is named here too: a file alone starts no program.
    #[arg(long)]
    rig: Option<String>,
}

impl RobotChoice {
    /// Loads the robot file, or has the rig describe itself, and cross-checks it with the bundle.
    fn session(
        &self,
        bundle: Option<&Path>,
        policy: PolicyChoice,
        pipeline: Option<Pipeline>,
    ) -> anyhow::Result<Session> {
        match (&self.robot, &self.rig) {
            (Some(robot), rig) => simulation::session_with(robot, rig.as_deref(), bundle, policy, pipeline),
            (None, Some(rig)) => Session::of(simulation::robot_file(rig)?, bundle, policy, pipeline),
            (None, None) => bail!("--robot: name a robot file, or a rig with --rig"),
        }
    }
}

/// Which episodes to run, and where their logs go.
#[derive(Debug, clap::Args)]
struct Episodes {
    #[command(flatten)]
    robot: RobotChoice,
    /// The model, for `--policy planner`.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Episodes.
    #[arg(long, default_value_t = 1)]
    episodes: u64,
    /// Control periods an episode; the robot file's if not given.
    #[arg(long)]
    ticks: Option<u32>,
    /// Seed of the first episode; the others follow it. Names start pose, target and all noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the logs.
    #[arg(long)]
    out: PathBuf,
}

impl Episodes {
    /// Loads robot file and bundle, and makes the folder. Another planner than the robot file's goes into the file that the
    /// logs keep, so that they replay.
    fn open(
        &self,
        policy: PolicyChoice,
        pipeline: Option<PipelineName>,
        planner: &PlannerOptions,
    ) -> anyhow::Result<Session> {
        if self.seed.saturating_add(self.episodes) > EVALUATION_SEEDS {
            bail!("--seed: seeds from {EVALUATION_SEEDS} on are kept for evaluation; choose a smaller one");
        }
        let pipeline = pipeline.map(Into::into);
        let mut session = self.robot.session(self.bundle.as_deref(), policy, pipeline)?;
        // With the planner of the rig, whatever this recording plans with.
        let made = session.config.text.clone();
        if planner.any() {
            let path = self.robot.robot.clone().unwrap_or_else(|| "robot.ron".into());
            let planner = planner.apply(&session.config.planner)?;
            let text = edit::with_planner(&path, &session.config.text, &planner)?;
            let mut config = Config::parse(&path, text)?;
            // The text says the same of the simulation; who asked for it stands in no text.
            config.simulator.clone_from(&session.config.simulator);
            session = Session::of(config, self.bundle.as_deref(), policy, pipeline)?;
        }
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("{}: cannot make the folder", self.out.display()))?;
        if self.robot.rig.is_some() && self.robot.robot.is_none() {
            // The commands that come after recording take a robot file.
            keep_robot_file(&self.out.join("robot.ron"), &made)?;
        }
        Ok(session)
    }

    /// The robot file and the bundle, as far as they are given.
    fn loaded(&self) -> (Option<&PathBuf>, Option<&PathBuf>) {
        (self.robot.robot.as_ref(), self.bundle.as_ref())
    }

    fn seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed + self.episodes
    }

    fn ticks(&self, session: &Session) -> u32 {
        self.ticks.unwrap_or(session.config.episode_ticks)
    }
}

/// Writes the robot file of a rig, unless there is another one, which somebody may have edited.
fn keep_robot_file(path: &Path, text: &str) -> anyhow::Result<()> {
    if !path.exists() {
        // Never over a file that is there.
        files::put(path, text.as_bytes(), &|_| false)?;
        return Ok(());
    }
    let there = files::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
    // Comments name versions of software.
    let fields = |text: &str| {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.starts_with("//"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    if fields(&there) != fields(text) {
        log::warn!(
            "{}: is not what --rig makes, and is left as it is; this goes by what --rig makes (pass --robot {} in its place to go \
             by the file)",
            path.display(),
            path.display()
        );
    }
    Ok(())
}

/// Policies by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    /// Random actions, correlated over time.
    Random,
    /// CEM on the bundle's model.
    Planner,
    /// No motion.
    Hold,
}

/// The policy asked for; `noise` is the standard deviation of exploration.
fn policy(name: PolicyName, noise: f32) -> anyhow::Result<PolicyChoice> {
    if !(noise.is_finite() && noise >= 0.0) {
        bail!("--noise {noise}: a standard deviation is a number from 0 on");
    }
    Ok(match name {
        PolicyName::Random => PolicyChoice::Random,
        PolicyName::Planner => PolicyChoice::Planner { noise },
        PolicyName::Hold => PolicyChoice::Hold,
    })
}

/// Pipelines by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PipelineName {
    /// Send at the next edge.
    NextTick,
    /// Send in the same tick (lockstep only).
    Immediate,
}

impl From<PipelineName> for Pipeline {
    fn from(name: PipelineName) -> Self {
        match name {
            PipelineName::NextTick => Self::NextTick,
            PipelineName::Immediate => Self::Immediate,
        }
    }
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where to write the log of an episode seed: a name that is not taken, since a log that was cut off is kept.
fn log_path(dir: &Path, seed: u64) -> PathBuf {
    let again = |attempt| format!("episode-{seed:06}-{attempt}.mcap");
    std::iter::once(format!("episode-{seed:06}.mcap"))
        .chain((2..).map(again))
        .map(|name| dir.join(name))
        .find(|path| !path.exists())
        // There are infinitely many names.
        .unwrap_or_default()
}

/// Logs in a folder by their episode seeds, under whatever attempts' names.
struct Attempts(BTreeMap<u64, Vec<PathBuf>>);

impl Attempts {
    fn list(dir: &Path) -> Self {
        let mut attempts: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for path in files::list(dir).unwrap_or_default() {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(seed) = name.and_then(seed_of) {
                attempts.entry(seed).or_default().push(path);
            }
        }
        Self(attempts)
    }

    /// The whole log of an episode seed, if there is one.
    fn recorded(&self, seed: u64) -> Option<(PathBuf, Episode)> {
        self.0.get(&seed)?.iter().find_map(|path| {
            let log = episode::read_episode(path).ok()?;
            log.complete.then(|| (path.clone(), log))
        })
    }
}

/// The seed in a name that [`log_path`] gives.
fn seed_of(name: &str) -> Option<u64> {
    let name = name.strip_prefix("episode-")?.strip_suffix(".mcap")?;
    let (seed, attempt) = name.split_once('-').unwrap_or((name, "1"));
    attempt.parse::<u64>().ok()?;
    (seed.len() >= 6).then(|| seed.parse().ok()).flatten()
}

/// Refuses to take a log of something else for an episode that is to be recorded.
fn is_ours(path: &Path, log: &EpisodeInfo, session: &Session, policy: PolicyName) -> anyhow::Result<()> {
    let simulator = session.config.simulator.as_ref();
    let task = simulator.map_or("", |simulator| simulator.task.as_str());
    let policy = match policy {
        PolicyName::Random => "random",
        PolicyName::Planner => "planner",
        PolicyName::Hold => "hold",
    };
    // The planner's noise stands behind its name.
    let words = |letter: char| !letter.is_alphanumeric();
    let by = log.policy.split(words).next().unwrap_or_default();
    for (what, there, here) in [
        ("robot", log.robot.as_str(), session.config.name.as_str()),
        ("task", log.task.as_str(), task),
        ("policy", by, policy),
    ] {
        if there != here {
            bail!(
                "{}: holds this episode seed of {what} `{there}`, and not of `{here}`; name another --out, or another --seed",
                path.display()
            );
        }
    }
    Ok(())
}
