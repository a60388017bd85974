//! `armillary doctor`: what of the machine, the devices and the arm is as it should be, and what to do about the rest. It moves nothing,
//! unless `--full` is asked for.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use armillary::console::{self, To};
use armillary::doctor::camera::Demand;
use armillary::doctor::rig::Rig;
use armillary::doctor::{Examination, Finding, State, System, arm, camera, full, machine, ports};
use devices::{Arm, Camera};
use robot::device::Signals;
use robot::{Config, SystemClock};
use serde::Serialize;

use super::say::ask;

/// The version of what `--json` prints.
const FORMAT: u32 = 1;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Robot file: its arm and its camera are looked at, too. Without one, the machine is, and what is plugged in is listed
    #[arg(long)]
    pub(super) robot: Option<PathBuf>,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long, requires = "robot")]
    port: Option<PathBuf>,
    /// Frame socket to see by, in the place of the camera that the robot file names
    #[arg(long, requires = "robot")]
    frames: Option<PathBuf>,
    /// Rig file of the hardware suite, such as those in tests/rigs: a robot, and what stands in for hardware, if anything does. (`--rig` of
    /// `record` and others is something else: an environment of another program)
    #[arg(long, value_name = "FILE", requires = "full", conflicts_with_all = ["robot", "port", "frames"])]
    rig: Option<PathBuf>,
    /// Run the hardware suite: the arm MOVES. Asks first
    #[arg(long, requires = "rig")]
    full: bool,
    /// Agree that the arm moves, without being asked
    #[arg(long, requires = "full")]
    yes_move: bool,
    /// Folder that logs will go to: its disk is looked at
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// How long the camera is watched, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Print one JSON object instead of lines: `format` (1), `passed`, `counts`, and `findings` with `name`, `about`, `state`, `seen` and
    /// `remedy` each (ARCHITECTURE.md)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    format: u32,
    passed: bool,
    counts: Counts,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Counts {
    ok: usize,
    warn: usize,
    fail: usize,
    skipped: usize,
}

/// Examines, prints, and fails if something failed.
pub(crate) fn run(arguments: &Doctor) -> anyhow::Result<()> {
    if !(arguments.seconds > 0.0 && arguments.seconds <= 600.0) {
        bail!(
            "--seconds {}: write how long the camera is watched, up to 600",
            arguments.seconds
        );
    }
    let rig = arguments.rig.as_deref().map(Rig::load).transpose()?;
    let config = match &rig {
        Some(rig) => Some(rig.config.clone()),
        None => arguments.robot.as_deref().map(Config::load).transpose()?,
    };
    let json = arguments.json;
    let mut told = |finding: &Finding| {
        if !json {
            print(finding);
        }
    };
    let mut examination = Examination::new(&mut told);
    let (system, clock) = (System::default(), SystemClock::default());
    machine::examine(&mut examination, &system, config.as_ref(), &arguments.out, &clock);
    match (&config, &rig) {
        (_, Some(rig)) => {
            let signals = Signals::default();
            let mut consent = || {
                let agreed = consent(arguments, rig)?;
                if agreed {
                    console::drive();
                }
                Ok(agreed)
            };
            full::examine(&mut examination, &system, rig, &clock, &signals, &mut consent)?;
        }
        (None, None) => ports::list(&mut examination, &system),
        (Some(config), None) => {
            let frames = arguments.frames.as_deref();
            let demand = Demand::of_seconds(arguments.seconds);
            match Camera::of(config, frames) {
                Ok(camera) => camera::examine(&mut examination, &system, config, camera, &demand, &clock),
                Err(_) if config.camera.is_none() => {
                    examination.skip("camera.open", "", "the robot file names no camera");
                }
                Err(error) => examination.fail_by("camera.open", "", &error),
            }
            match Arm::of(config, arguments.port.as_deref()) {
                Ok(arm) => arm::examine(&mut examination, &system, config, &arm, &Arc::default()),
                Err(_) if config.arm.is_none() => {
                    examination.skip("arm.open", "", "the robot file names no arm that is plugged in");
                }
                Err(error) => examination.fail_by("arm.open", "", &error),
            }
        }
    }
    conclude(&examination, json)
}

/// Says what is about to happen, and asks a person.
fn consent(arguments: &Doctor, rig: &Rig) -> anyhow::Result<bool> {
    let what = if rig.arm.is_some() {
        "an emulated arm moves; nothing real does"
    } else {
        "THE ARM WILL MOVE: every joint a small way and back"
    };
    let lets_go = match (rig.arm, rig.bounds.may_let_go) {
        (None, true) => ", and it WILL LET GO in the emergency stop: support it",
        _ => "",
    };
    // Standard output may be JSON.
    armillary::tell!(
        "{what}{lets_go}. Keep a hand on the power switch, and everybody out of its reach ({}). Ctrl-C: controlled stop; Ctrl-\\: emergency \
         stop.",
        rig.config.name
    );
    if arguments.yes_move {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked whether the arm may move: start on a terminal, or give --yes-move");
    }
    ask(To::Err, "Type yes to let it move: ");
    let mut typed = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut typed)
        .context("cannot read the answer")?;
    Ok(typed.trim() == "yes")
}

fn conclude(examination: &Examination<'_>, json: bool) -> anyhow::Result<()> {
    let count = |state| examination.count(state);
    let counts = Counts {
        ok: count(State::Ok),
        warn: count(State::Warn),
        fail: count(State::Fail),
        skipped: count(State::Skipped),
    };
    let failed = counts.fail;
    if json {
        let printed = Printed {
            format: FORMAT,
            passed: failed == 0,
            counts,
            findings: examination.findings(),
        };
        armillary::say!("{}", serde_json::to_string_pretty(&printed)?);
    } else {
        armillary::say!(
            "{} ok, {} to look at, {} failed, {} not looked at",
            counts.ok,
            counts.warn,
            counts.fail,
            counts.skipped
        );
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

fn print(finding: &Finding) {
    let Finding {
        name,
        about,
        state,
        seen,
        remedy,
    } = finding;
    let about = if about.is_empty() {
        String::new()
    } else {
        format!(" {about}")
    };
    armillary::say!("{:<8}{name}{about}: {seen}", state.name());
    if !remedy.is_empty() {
        armillary::say!("          {remedy}");
    }
}
