//! `armillary sim`: the simulated arm behind a pty and a frame socket. What is at the far end of the pty is what the robot file says of its
//! arm: a firmware, or servos.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use armillary::console;
use armillary::signals::is_ignored;
use armillary::simulation::faults::Scenario;
use armillary::simulation::{self, ServoFaults, ServoWorld, Simulated as _};
use clap::ValueEnum;
use controller::session::{PolicyChoice, Session};
use devices::Arm;
use devices::emulation::EmulatedArm;
use firmware_bridge::faults::{ArmKind, Fault};
use firmware_bridge::wire::fitted_serial_number;
use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};
use robot::device::Plant;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::RobotChoice;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Sim {
    #[command(flatten)]
    pub(super) robot: RobotChoice,
    /// Where the serial port is to appear: a link, which is removed at the end.
    #[arg(long)]
    serial: PathBuf,
    /// Where the frame socket is to appear; removed at the end.
    #[arg(long)]
    frames: PathBuf,
    /// Whether the world waits.
    #[arg(long, value_enum, default_value = "real-time")]
    mode: Mode,
    /// What goes wrong on purpose, and when: a scenario such as configs/faults/one-by-one.ron. Each fault is told as it begins and ends.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// End when the starting program does.
    #[arg(long)]
    watch_parent: bool,
}

/// When the world moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// When told to.
    Lockstep,
    /// As the clock does.
    RealTime,
}

/// Serves.
pub(crate) fn run(arguments: &Sim) -> anyhow::Result<()> {
    let session = arguments.robot.session(None, PolicyChoice::Hold, None)?;
    let scenario = arguments.faults.as_deref().map(Scenario::load).transpose()?;
    let servos = servos(arguments, &session)?;
    if let (Some(path), Some(scenario)) = (&arguments.faults, &scenario) {
        let kind = if servos.is_some() {
            ArmKind::Servos
        } else {
            ArmKind::Firmware
        };
        check_scenario(path, scenario, arguments.mode, kind, session.config.joint_count())?;
    }
    let switch = servos.as_ref().map(EmulatedArm::faults);
    let mut arm = session.arm_options()?;
    if let Some(serial_number) = serial_number(&session) {
        arm.identity.serial_number = fitted_serial_number(&serial_number);
    }
    let options = BridgeOptions {
        arm,
        mode: match arguments.mode {
            Mode::Lockstep => BridgeMode::Lockstep,
            Mode::RealTime => BridgeMode::RealTime,
        },
        frame_side: session.config.frame_side,
        serial_path: servos.is_none().then(|| arguments.serial.clone()),
        frame_path: arguments.frames.clone(),
        watch_parent: arguments.watch_parent,
    };
    let what = if servos.is_some() {
        "servo bus"
    } else {
        "serial port"
    };
    let mut plant: Box<dyn Plant> = match servos {
        Some(servos) => Box::new(ServoWorld::new(
            servos,
            simulation::embedded(session.task()?, &session.config)?,
        )),
        None => session.simulation()?.plant(&session.config)?,
    };
    // In real time it moves and is looked at before any client begins an episode; not every environment has a state till then.
    plant.reset(0)?;
    // The loop ends on these signals and removes link and socket. A second signal ends the program at once.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
    {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot catch the signals that end the program")?;
    }
    let mut bridge = SimulatorBridge::new(plant, options)?;
    if let Some(scenario) = scenario {
        let schedule = scenario.play(|change| armillary::say!("{change}"));
        bridge = bridge.with_faults(match switch {
            Some(switch) => Box::new(ServoFaults::new(schedule, switch)),
            None => Box::new(schedule),
        });
    }
    armillary::say!(
        "{what} {}, frame socket {}",
        arguments.serial.display(),
        bridge.frame_path().display()
    );
    // The arm waits for no terminal.
    console::drive();
    bridge.serve(stop)?;
    Ok(())
}

/// Whether all of the scenario can be done to the arm.
fn check_scenario(
    path: &Path,
    scenario: &Scenario,
    mode: Mode,
    kind: ArmKind,
    joints: usize,
) -> anyhow::Result<()> {
    if matches!(mode, Mode::Lockstep) {
        bail!(
            "--faults: faults have times, and in --mode lockstep the world waits; leave one of the two out"
        );
    }
    for fault in scenario.faults() {
        let (path, name) = (path.display(), fault.name());
        if !fault.befalls(kind) {
            let other = match kind {
                ArmKind::Firmware => "servos on a bus, and this robot file's arm has a firmware of its own",
                ArmKind::Servos => {
                    "an arm with a firmware of its own, and this robot file's arm has servos on a bus"
                }
            };
            bail!("{path}: {name} can befall {other}; leave it out, or name a robot file of such an arm");
        }
        if fault == (Fault::TelemetryJoints { count: joints as u8 }) {
            bail!(
                "{path}: field `count` of {name}: the arm has {joints} joints, so that nothing would be wrong; write another number"
            );
        }
        if let Some(joint) = fault.joint()
            && usize::from(joint) >= joints
        {
            bail!(
                "{path}: field `joint` of {name}: is {joint}, and the arm has {joints} joints; write 0 for the base, up to {}",
                joints - 1
            );
        }
    }
    Ok(())
}

/// The serial number that the robot file asks for: what stands in for that arm has it, too.
fn serial_number(session: &Session) -> Option<String> {
    session.config.arm.as_ref()?;
    match Arm::of(&session.config, None) {
        Ok(Arm::Firmware(settings)) => settings.serial_number,
        _ => None,
    }
}

/// The servos of an arm on a servo bus, emulated; `None` for an arm with a firmware of its own, which is simulated as a whole.
fn servos(arguments: &Sim, session: &Session) -> anyhow::Result<Option<EmulatedArm>> {
    let config = &session.config;
    if config.arm.is_none() {
        return Ok(None);
    }
    let servos = Arm::of(config, None)?.emulate(config, &arguments.serial)?;
    if servos.is_some() && matches!(arguments.mode, Mode::Lockstep) {
        bail!(
            "--mode lockstep: servos do not wait; leave it out, or record in lockstep by `armillary record`"
        );
    }
    Ok(servos)
}
