//! `armillary run`: drive an arm in real time, and the pieces the demo shares with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use controller::capture::Sight;
use controller::live::{self, Signals};
use controller::lockstep::{Labels, Outcome};
use controller::report;
use controller::session::Session;
use controller::tick::Controller;
use controller::world::World;
use devices::{FrameSocket, SerialLink, SerialOptions};
use episode::Reason;
use firmware_bridge::frames::Welcome;
use robot::ActionMode;
use robot::config::Pipeline;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use super::planner::PlannerOptions;
use super::{Episodes, PipelineName, PolicyName, log_path, policy};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    episodes: Episodes,
    /// Serial port of the arm.
    #[arg(long)]
    port: PathBuf,
    /// Frame socket of the camera.
    #[arg(long)]
    frames: PathBuf,
    /// Who chooses the actions.
    #[arg(long, value_enum, default_value = "planner")]
    policy: PolicyName,
    /// Exploration noise added to planned actions.
    #[arg(long, default_value_t = 0.0)]
    noise: f32,
}

/// A live arm: open port, camera, and the controller that drives them.
pub(crate) struct LiveArm {
    bus: SerialLink,
    /// Lost with a camera that fails.
    sight: Option<Sight>,
    controller: Controller,
    signals: Signals,
}

impl LiveArm {
    /// Opens everything before anything moves.
    pub(crate) fn open(session: &Session, port: &Path, frames: &Path) -> anyhow::Result<Self> {
        let simulated = matches!(session.world(), Ok(World::Process(_)));
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
        let camera = FrameSocket::connect(frames, Duration::from_secs(4))?;
        is_this_robots(&camera.welcome(), frames, session)?;
        let (camera, task) = camera.split();
        let signals = Signals::default();
        let bus = SerialLink::open(&SerialOptions {
            port: port.display().to_string(),
            baud: session.config.baud,
            joints: session.config.joint_count(),
            handshake_timeout: Duration::from_secs(2),
        })?
        .with_boot(Duration::from_secs_f32(session.config.boot_s))
        .with_e_stop_asked(Arc::clone(&signals.e_stop))
        .with_stop_asked(Arc::clone(&signals.stop));
        for signal in [SIGINT, SIGTERM] {
            // A second one ends the program; the firmware's watchdog then stops the arm.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.stop))
                .and_then(|_| flag::register(signal, Arc::clone(&signals.stop)))
                .context("cannot catch Ctrl-C")?;
        }
        flag::register(SIGQUIT, Arc::clone(&signals.e_stop)).context("cannot catch Ctrl-\\")?;
        Ok(Self {
            bus,
            sight: Some(Sight::with_task(camera, task, encoder)),
            controller,
            signals,
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
        info.reward_source = "camera".to_owned();
        let attachments = session.attachments();
        let labels = Labels {
            log,
            info,
            attachments: &attachments,
        };
        let (outcome, sight) = live::run(
            &session.config,
            &mut self.controller,
            &mut self.bus,
            sight,
            session.embedding(),
            ticks,
            &labels,
            &self.signals,
        )?;
        self.sight = Some(sight);
        Ok(outcome)
    }

    /// Does `work` with an ear for the emergency stop.
    pub(crate) fn attend<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        live::attend(&mut self.bus, &self.signals, work)
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

/// Refuses a world that goes by another clock than the robot file: its rewards and pictures would be of other periods.
fn is_this_robots(welcome: &Welcome, frames: &Path, session: &Session) -> anyhow::Result<()> {
    let config = &session.config;
    let (frames, name) = (frames.display(), &config.name);
    if welcome.lockstep {
        bail!(
            "{frames}: waits for each step (`--mode lockstep`), and this command does not; serve it with `--mode real-time`"
        );
    }
    if usize::from(welcome.joints) != config.joint_count() {
        bail!(
            "{frames}: serves an arm of {} joints, robot `{name}` has {}; serve and drive the same robot file or rig",
            welcome.joints,
            config.joint_count()
        );
    }
    let period_us = f64::from(config.period_s) * 1e6;
    if (f64::from(welcome.period_us) - period_us).abs() > 1e-3 * period_us {
        bail!(
            "{frames}: serves control periods of {} ms, field `period_s` of robot `{name}` says {}; serve and drive the same \
             robot file or rig",
            f64::from(welcome.period_us) * 1e-3,
            config.period_s
        );
    }
    Ok(())
}

impl Drop for LiveArm {
    fn drop(&mut self) {
        // Asked for since the last episode; who asks from here on has no port to ask by.
        live::e_stop_if_asked(&mut self.bus, &self.signals);
    }
}

/// Drives, and reports, however it ended.
pub(crate) fn run(arguments: &Run) -> anyhow::Result<()> {
    let episodes = &arguments.episodes;
    let session = episodes.open(
        policy(arguments.policy, arguments.noise)?,
        // The robot file that a rig gets is for a world that waits.
        episodes.robot.rig.is_some().then_some(PipelineName::NextTick),
        &PlannerOptions::default(),
    )?;
    report::check(&report_path(arguments))?;
    let mut arm = LiveArm::open(&session, &arguments.port, &arguments.frames)?;
    println!("Ctrl-C: controlled stop; Ctrl-\\: emergency stop");
    let mut logs = Vec::new();
    let result = drive(arguments, &session, &mut arm, &mut logs);
    match (result, arm.attend(|| report(arguments, &session, &logs))) {
        (Err(error), Err(second)) => Err(error.context(format!("and no report: {second:#}"))),
        (Err(error), Ok(())) => Err(error),
        (Ok(()), reported) => reported,
    }
}

fn report_path(arguments: &Run) -> PathBuf {
    arguments.episodes.out.join("report.html")
}

fn report(arguments: &Run, session: &Session, logs: &[PathBuf]) -> anyhow::Result<()> {
    let logs: Vec<_> = logs
        .iter()
        .filter(|log| log.exists())
        .map(|log| episode::read_episode(log))
        .collect::<Result<_, _>>()?;
    if logs.is_empty() {
        return Ok(());
    }
    let path = report_path(arguments);
    let facts = [
        ("robot".to_owned(), session.config.name.clone()),
        ("policy".to_owned(), format!("{:?}", arguments.policy)),
        (
            "control period".to_owned(),
            format!("{} s", session.config.period_s),
        ),
    ];
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
        if let Some(reason) = outcome.stopped.filter(|reason| *reason != Reason::Operator) {
            bail!(
                "{}: the guard stopped the arm: {}; the last ticks of {} tell more",
                arguments.port.display(),
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
