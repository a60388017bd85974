//! `armillary sim`: the simulated arm behind a pty and a frame socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use controller::session::PolicyChoice;

use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};

use super::RobotChoice;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Sim {
    #[command(flatten)]
    robot: RobotChoice,
    /// Where the serial port is to appear.
    #[arg(long)]
    serial: PathBuf,
    /// Where the frame socket is to appear.
    #[arg(long)]
    frames: PathBuf,
    /// Whether the world waits.
    #[arg(long, value_enum, default_value = "real-time")]
    mode: Mode,
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
    let options = BridgeOptions {
        arm: session.arm_options()?,
        mode: match arguments.mode {
            Mode::Lockstep => BridgeMode::Lockstep,
            Mode::RealTime => BridgeMode::RealTime,
        },
        serial_path: arguments.serial.clone(),
        frame_path: arguments.frames.clone(),
        watch_parent: arguments.watch_parent,
    };
    let mut plant = session.world()?.plant(&session.config)?;
    // In real time it moves and is looked at before any client begins an episode; not every environment has a state till then.
    plant.reset(0)?;
    let bridge = SimulatorBridge::new(plant, options)?;
    println!(
        "serial port {}, frame socket {}",
        bridge.serial_path().display(),
        bridge.frame_path().display()
    );
    bridge.serve(Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
