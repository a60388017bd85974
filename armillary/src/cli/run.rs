//! `armillary run`: drive an arm in real time, and the pieces the demo shares with it.

use armillary::simulation::{Simulated as _, Simulation};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use armillary::report;
use controller::capture::Sight;
use controller::live;
use controller::lockstep::{Labels, Outcome};
use controller::session::Session;
use controller::tick::Controller;
use devices::{Arm, Camera, OpenCamera, Opening};
use episode::Reason;
use robot::ActionMode;
use robot::config::Pipeline;
use robot::device::{JointBus, Signals};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

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
        let (controller, encoder) = session.live_controller()?;
        let config = &session.config;
        // Both are known before either is opened.
        let mut camera = Camera::of(config, frames)?;
        let mut arm = Arm::of(config, port)?;
        let OpenCamera { camera, task } = camera.open(config)?;
        let sight = Sight::new(config, camera, task, encoder, session.bundle.as_ref())?;
        let signals = Signals::default();
        let bus = arm.open(&Opening {
            config,
            signals: &signals,
        })?;
        for signal in [SIGINT, SIGTERM] {
            // A second one ends the program; the firmware's watchdog then stops the arm.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.stop))
                .and_then(|_| flag::register(signal, Arc::clone(&signals.stop)))
                .context("cannot catch Ctrl-C")?;
        }
        flag::register(SIGQUIT, Arc::clone(&signals.e_stop)).context("cannot catch Ctrl-\\")?;
        Ok(Self {
            bus,
            sight: Some(sight),
            controller,
            signals,
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
        // Simulated or not, it is the camera's server that says it.
        info.reward_source = if sight.task.is_some() {
            "camera"
        } else {
            episode::NO_REWARD
        }
        .to_owned();
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

    /// Does `work` with an ear for the emergency stop.
    pub(crate) fn attend<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        live::attend(&mut *self.bus, &self.signals, work)
    }

    /// What became of the arm, if a person asked to end.
    pub(crate) fn interrupted(&self) -> Option<&'static str> {
        if self.signals.e_stop.load(Ordering::SeqCst) {
            return Some(
                "emergency stop: torque is off and stays off until `armillary clear-e-stop`; the logs are whole",
            );
        }
        let stop = self.signals.stop.load(Ordering::SeqCst);
        stop.then_some("interrupted; the arm was stopped, the logs are whole")
    }
}

impl Drop for LiveArm {
    fn drop(&mut self) {
        // Asked for since the last episode; who asks from here on has no port to ask by.
        live::e_stop_if_asked(&mut *self.bus, &self.signals);
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
    println!("Ctrl-C: controlled stop; Ctrl-\\: emergency stop");
    let mut logs = Vec::new();
    let result = drive(arguments, &session, &mut arm, &mut logs);
    let camera = std::mem::take(&mut arm.camera_facts);
    match (result, arm.attend(|| report(arguments, &session, camera, &logs))) {
        (Err(error), Err(second)) => Err(error.context(format!("and no report: {second:#}"))),
        (Err(error), Ok(())) => Err(error),
        (Ok(()), reported) => reported,
    }
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
    let logs: Vec<_> = logs
        .iter()
        .filter(|log| log.exists())
        .map(|log| episode::read_episode(log))
        .collect::<Result<_, _>>()?;
    if logs.is_empty() {
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
    report::write(&path, "Armillary run", &facts, &logs, None)?;
    println!("report {}", path.display());
    Ok(())
}

fn drive(
    arguments: &Run,
    session: &Session,
    arm: &mut LiveArm,
    logs: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let episodes = &arguments.episodes;
    let ticks = episodes.ticks(session);
    for seed in episodes.seeds() {
        let log = log_path(&episodes.out, seed);
        logs.push(log.clone());
        let outcome = arm.episode(session, seed, ticks, &log)?;
        println!(
            "episode {seed}: return {} in {} periods, {} deadlines missed ({} by the machine), log {}",
            outcome.return_text(),
            outcome.ticks,
            outcome.deadline_misses,
            outcome.host_stalls,
            log.display()
        );
        if session.config.keep_pictures {
            println!(
                "episode {seed}: {} of the camera's own pictures are kept in the log",
                outcome.camera_pictures
            );
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
            bail!(ended);
        }
    }
    Ok(())
}
