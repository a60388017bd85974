//! `armillary calibrate latency`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use armillary::calibrate::{Person, latency};
use armillary::simulation::Simulated as _;
use controller::session::{PolicyChoice, Session};
use robot::Config;

use super::terminal::Terminal;
use crate::cli::run::LiveArm;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Latency {
    /// Robot file; the delay is written into its `capture`
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
    /// Frame socket to see by, in the place of the camera that the robot file names
    #[arg(long)]
    frames: Option<PathBuf>,
    /// The joint that moves, which the camera must see; the first one if not given
    #[arg(long)]
    joint: Option<String>,
    /// How long it moves
    #[arg(long, default_value_t = 30.0)]
    seconds: f32,
    /// Move nothing, and measure by the log of an earlier measurement
    #[arg(long, conflicts_with_all = ["port", "frames", "joint", "seconds"])]
    log: Option<PathBuf>,
}

/// Measures, and writes what was found.
pub(super) fn run(arguments: &Latency) -> anyhow::Result<()> {
    let robot = &arguments.robot;
    let measured = match &arguments.log {
        Some(log) => {
            Config::load(robot)?;
            latency::of_log(log)?
        }
        None => {
            let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
            let log = folder.path().join("latency.mcap");
            record(arguments, &log)?;
            latency::of_log(&log)?
        }
    };
    for line in measured.lines() {
        armillary::say!("{line}");
    }
    let picture = latency::picture_path(robot);
    let is_ours = |bytes: &[u8]| bytes.starts_with(b"<svg ");
    files::put(&picture, latency::draw(&measured).as_bytes(), &is_ours)?;
    armillary::say!("picture {}", picture.display());
    let written = latency::keep(robot, &measured)?;
    armillary::say!("{}: {written}", robot.display());
    if let Some(rounded) = Config::load(robot)?.camera_delay_rounded() {
        armillary::say!("{rounded}");
    }
    Ok(())
}

/// Moves the joint, and writes what happened to `log`.
fn record(arguments: &Latency, log: &Path) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    let joints = config.envelope.joints();
    let joint = match &arguments.joint {
        None => 0,
        Some(name) => joints
            .iter()
            .position(|joint| joint.name == *name)
            .with_context(|| {
                let names: Vec<&str> = joints.iter().map(|joint| joint.name.as_str()).collect();
                format!(
                    "--joint {name}: robot `{}` has no such joint, but {}",
                    config.name,
                    names.join(", ")
                )
            })?,
    };
    if !(arguments.seconds >= 1.0 && arguments.seconds <= 600.0) {
        bail!("--seconds {}: choose from 1 to 600", arguments.seconds);
    }
    if config.envelope.mode() == robot::ActionMode::Absolute {
        bail!(
            "field `action` of robot `{}`: delays are measured of arms whose actions are joint speeds, not of `absolute` ones",
            config.name
        );
    }
    let ticks = (arguments.seconds / config.period_s).ceil() as u32;
    let name = joints[joint].name.clone();
    let waits = config.simulator.is_some() && arguments.port.is_none() && arguments.frames.is_none();
    let mut session = Session::of(config, None, PolicyChoice::Wiggle { joint }, None)?;
    // Nothing is to end the motion early.
    session.config.reward = None;
    if waits {
        armillary::say!(
            "the simulated arm moves {name} to and fro for {} s of its time",
            arguments.seconds
        );
        session.run_simulated(&[0], ticks, 1, &|_| log.to_owned(), &|_| {})?;
        return Ok(());
    }
    let mut person = Terminal::new("calibrate latency")?;
    person.tell(&format!(
        "THE ARM WILL MOVE: {name} to and fro by up to 17 degrees, for {} s. Keep a hand on the power switch, and everybody out of its reach. \
         The camera must see it, and nothing else should move. Ctrl-C: controlled stop; Ctrl-\\: emergency stop.",
        arguments.seconds
    ));
    if person.ask("Put the arm where it has room, and type yes: ")? != "yes" {
        bail!("nothing was moved");
    }
    let mut arm = LiveArm::open(&session, arguments.port.as_deref(), arguments.frames.as_deref())?;
    let result = arm.episode(&session, 0, ticks, log).and_then(|outcome| {
        if let Some(ended) = arm.interrupted() {
            bail!(ended);
        }
        match outcome.stopped {
            Some(reason) => bail!("the guard stopped the arm: {}", reason.advice()),
            None => Ok(()),
        }
    });
    arm.close(result)
}
