//! `armillary run`: drive an arm in real time, and the pieces the demo shares with it.

use armillary::simulation::{Simulated as _, Simulation};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use armillary::e_stop::{self, Watch};
use armillary::{console, report};
use controller::capture::Sight;
use controller::live;
use controller::lockstep::{EpisodeRunError, Labels, Outcome};
use controller::park;
use controller::session::Session;
use controller::tick::Controller;
use devices::{Arm, Camera, OpenCamera, Opening};
use episode::{EpisodeError, Reason};
use robot::ActionMode;
use robot::config::Pipeline;
use robot::device::{JointBus, Signals};

use super::planner::PlannerOptions;
use super::{Episodes, PipelineName, PolicyName, log_path, policy};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(super) episodes: Episodes,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
    /// Frame socket to see by, in the place of the camera that the robot file names
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Who chooses the actions.
    #[arg(long, value_enum, default_value = "planner")]
    policy: PolicyName,
    /// Exploration noise added to planned actions.
    #[arg(long, default_value_t = 0.0)]
    noise: f32,
}

/// A live arm: open port, camera, and the controller that drives them.
pub(crate) struct LiveArm {
    bus: Box<dyn JointBus>,
    /// Lost with a camera that fails.
    sight: Option<Sight>,
    controller: Controller,
    signals: Signals,
    /// What a person asks for, and the emergency stop.
    watch: Watch,
    /// What the camera says of its pictures, up to the last episode that it was not lost in.
    camera_facts: Vec<report::Fact>,
}

impl LiveArm {
    /// Opens everything before anything moves.
    pub(crate) fn open(
        session: &Session,
        port: Option<&Path>,
        frames: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let simulated = matches!(session.simulation(), Ok(Simulation::Process(_)));
        if session.config.envelope.mode() == ActionMode::Absolute && !simulated {
            bail!(
                "field `action` of robot `{}`: an arm is not driven by `absolute` actions, since a stop would send it to the middle of \
                 its range; describe it with joint speeds, links and a workspace box",
                session.config.name
            );
        }
        if session.pipeline == Pipeline::Immediate {
            bail!(
                "field `planner.pipeline` of robot `{}`: a world that does not wait needs `next_tick`",
                session.config.name
            );
        }
        let config = &session.config;
        // Both are known before either is opened.
        let mut camera = Camera::of(config, frames)?;
        let mut arm = Arm::of(config, port)?;
        console::drive();
        let signals = Signals::default();
        // Before any other thread is started: those take no signals.
        let mut watch =
            Watch::start(&signals, &config.realtime).context("cannot watch for the emergency stop")?;
        let (controller, encoder) = session.live_controller()?;
        // Before the camera, which may make everybody wait.
        let opening = Opening {
            config,
            signals: &signals,
        };
        let bus = e_stop::open(&mut watch, &mut arm, &opening)?;
        let OpenCamera { camera, task } = camera.open(config)?;
        let sight = Sight::new(config, camera, task, encoder, session.bundle.as_ref())?;
        Ok(Self {
            bus,
            sight: Some(sight),
            controller,
            signals,
            watch,
            camera_facts: Vec::new(),
        })
    }

    /// One episode.
    pub(crate) fn episode(
        &mut self,
        session: &Session,
        seed: u64,
        ticks: u32,
        log: &Path,
    ) -> anyhow::Result<Outcome> {
        let sight = self
            .sight
            .take()
            .context("the camera was lost in an earlier episode")?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut info = session.info(&self.controller, seed, started.as_nanos() as u64);
        if session.config.reward.is_none() {
            // Simulated or not, it is the camera's server that says it.
            info.reward_source = if sight.task.is_some() {
                "camera"
            } else {
                episode::NO_REWARD
            }
            .to_owned();
        }
        let attachments = session.attachments();
        let labels = Labels {
            log,
            info,
            attachments: &attachments,
        };
        let (outcome, sight) = live::run(
            &session.config,
            &mut self.controller,
            &mut *self.bus,
            sight,
            session.embedding(),
            ticks,
            &labels,
            &self.signals,
        )?;
        let facts = sight.facts().into_iter();
        self.camera_facts = facts.map(|(name, value)| (name.to_owned(), value)).collect();
        self.sight = Some(sight);
        Ok(outcome)
    }

    /// Lays the arm down, where the robot file says how.
    fn park(&mut self, session: &Session) -> anyhow::Result<()> {
        let Some(park) = &session.config.park else {
            return Ok(());
        };
        armillary::say!("the arm goes to its park pose; Ctrl-C leaves it where it is");
        park::park(&session.config, park, &mut *self.bus, &self.signals)
            .with_context(|| self.bus.port().to_owned())?;
        armillary::say!("the arm lies in its park pose, without torque");
        Ok(())
    }

    /// What became of the arm, if a person asked to end.
    pub(crate) fn interrupted(&self) -> Option<&'static str> {
        if self.watch.asked() {
            return Some("the logs are whole");
        }
        let stop = self.signals.stop.load(Ordering::SeqCst);
        stop.then_some("interrupted; the arm was stopped, the logs are whole")
    }

    /// Closes the arm, and says what became of the emergency stop if one was asked for, however late. Whatever else went wrong comes
    /// after it.
    pub(crate) fn close(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        let Self {
            bus, sight, watch, ..
        } = self;
        drop(sight);
        // An arm of servos is laid down meanwhile.
        drop(bus);
        let Some(first) = watch.end().words() else {
            return result;
        };
        match result {
            Ok(()) => bail!(first),
            Err(error) => Err(error.context(first)),
        }
    }
}

/// Drives, and reports, however it ended.
pub(crate) fn run(arguments: &Run) -> anyhow::Result<()> {
    let episodes = &arguments.episodes;
    let session = episodes.open(
        policy(arguments.policy, arguments.noise)?,
        // The robot file that a rig gets is for a world that waits.
        (episodes.robot.rig.is_some() && episodes.robot.robot.is_none()).then_some(PipelineName::NextTick),
        &PlannerOptions::default(),
    )?;
    report::check(&report_path(arguments))?;
    let mut arm = LiveArm::open(&session, arguments.port.as_deref(), arguments.frames.as_deref())?;
    armillary::say!("Ctrl-C: controlled stop; Ctrl-\\: emergency stop");
    let mut logs = Vec::new();
    let result = drive(arguments, &session, &mut arm, &mut logs).and_then(|ended| {
        // Only after a run that went well, or that a person ended: after a protective stop nothing moves by itself. A terminal that was
        // closed and a service that is ended have nobody who looks.
        if !arm.watch.left_alone() {
            if ended.is_some() {
                // The run has ended by it. Whoever asks from here on wants the way to the park pose to end.
                arm.watch.forget_interrupt(&arm.signals);
            }
            arm.park(&session)?;
        }
        match ended {
            Some(words) => bail!(words),
            None => Ok(()),
        }
    });
    let camera = std::mem::take(&mut arm.camera_facts);
    // A disk that does not answer is not asked for more.
    let reported = if result.as_ref().err().is_some_and(is_hung_disk) {
        Ok(())
    } else {
        report(arguments, &session, camera, &logs)
    };
    let result = match (result, reported) {
        (Err(error), Err(second)) => Err(anyhow!("{error:#}; there is no report either: {second:#}")),
        (Err(error), Ok(())) => Err(error),
        (Ok(()), reported) => reported,
    };
    arm.close(result)
}

fn is_hung_disk(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<EpisodeRunError>(),
        Some(EpisodeRunError::Log(EpisodeError::Hung { .. }))
    )
}

fn report_path(arguments: &Run) -> PathBuf {
    arguments.episodes.out.join("report.html")
}

fn report(
    arguments: &Run,
    session: &Session,
    camera: Vec<report::Fact>,
    logs: &[PathBuf],
) -> anyhow::Result<()> {
    let mut digest = report::Digest::default();
    for log in logs.iter().filter(|log| log.exists()) {
        digest.read(log)?;
    }
    if digest.logs() == 0 {
        return Ok(());
    }
    let path = report_path(arguments);
    let mut facts = vec![
        ("robot".to_owned(), session.config.name.clone()),
        ("policy".to_owned(), format!("{:?}", arguments.policy)),
        (
            "control period".to_owned(),
            format!("{} s", session.config.period_s),
        ),
    ];
    facts.extend(camera);
    report::write(&path, "Armillary run", &facts, &digest, None)?;
    armillary::say!("report {}", path.display());
    Ok(())
}

/// Drives all episodes. In words, that a person ended them, if one did.
fn drive(
    arguments: &Run,
    session: &Session,
    arm: &mut LiveArm,
    logs: &mut Vec<PathBuf>,
) -> anyhow::Result<Option<&'static str>> {
    let episodes = &arguments.episodes;
    let ticks = episodes.ticks(session);
    for seed in episodes.seeds() {
        let log = log_path(&episodes.out, seed);
        logs.push(log.clone());
        let outcome = arm.episode(session, seed, ticks, &log)?;
        armillary::say!(
            "episode {seed}: return {} in {} periods, {} deadlines missed ({} by the machine), log {}",
            outcome.return_text(),
            outcome.ticks,
            outcome.deadline_misses,
            outcome.host_stalls,
            log.display()
        );
        if session.config.keep_pictures {
            armillary::say!(
                "episode {seed}: {} of the camera's own pictures are kept in the log",
                outcome.camera_pictures
            );
        }
        if let Some(ended) = arm.interrupted().filter(|_| arm.watch.asked()) {
            // Whether the arm has confirmed it is told at the end.
            bail!(ended);
        }
        if let Some(reason) = outcome.stopped.filter(|reason| *reason != Reason::Operator) {
            bail!(
                "{}: the guard stopped the arm: {}{}; the last ticks of {} tell more",
                arm.bus.port(),
                outcome
                    .problem
                    .map(|problem| format!("{problem}; "))
                    .unwrap_or_default(),
                reason.advice(),
                log.display()
            );
        }
        if let Some(ended) = arm.interrupted() {
            return Ok(Some(ended));
        }
    }
    Ok(None)
}
