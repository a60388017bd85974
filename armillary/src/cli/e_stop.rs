//! `armillary e-stop` and `armillary clear-e-stop`: torque off at once, latched, and the way out of it.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use devices::{Arm, SerialLink, Stopped, serial};
use firmware_bridge::{FirmwareState, Telemetry};
use robot::Config;
use robot::device::JointBus;

/// Longest wait for the arm's answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct EStop {
    /// Robot file.
    #[arg(long)]
    robot: PathBuf,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
}

impl EStop {
    fn arm(&self) -> anyhow::Result<(Arm, Config)> {
        // Units are believed: an arm that would not be driven by this file must be stopped all the same.
        let config = Config::parse(&self.robot, robot::config::read(&self.robot)?)?;
        let arm = match (Arm::of(&config, self.port.as_deref()), &self.port) {
            (Ok(arm), _) => arm,
            (Err(_), Some(port)) => Arm::Firmware(serial::Settings::at(port)),
            (Err(error), None) => return Err(error.into()),
        };
        Ok((arm, config))
    }
}

/// Stops. Says nothing of the kind unless the arm confirms it.
pub(crate) fn stop(arguments: &EStop) -> anyhow::Result<()> {
    let stopped = arguments
        .arm()
        .and_then(|(mut arm, config)| Ok(arm.e_stop(&config)?))
        .context(
            "emergency stop NOT confirmed: cut the arm's power (where `armillary run` drives it, press Ctrl-\\ there)",
        )?;
    match stopped {
        Stopped::Latched => println!("emergency stop latched: torque is off"),
        Stopped::LetGo => println!(
            "torque is off; this arm has no latch: the next program that drives it switches torque on again"
        ),
    }
    Ok(())
}

/// Unlatches, for a person who says so now.
pub(crate) fn clear(arguments: &EStop) -> anyhow::Result<()> {
    print!("Is the arm supported, and nobody within its reach? Type yes to clear the emergency stop: ");
    std::io::stdout().flush()?;
    let mut typed = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut typed)
        .context("cannot read the answer")?;
    if typed.trim() != "yes" {
        bail!("not cleared; the emergency stop stays latched");
    }
    let (arm, config) = arguments.arm()?;
    let Arm::Firmware(arm) = arm else {
        bail!(
            "robot `{}`: this arm has no latched stop that this command knows: there is nothing to clear",
            config.name
        );
    };
    let mut link = arm.link(&config)?;
    // The first waits for a board that boots, which would not hear what it is told; the second unlatches.
    link.handshake()?;
    link.send_clear_e_stop()?;
    link.handshake()?;
    let telemetry = answer(&mut link)?;
    if telemetry.state == FirmwareState::EStopped {
        bail!(
            "{}: the emergency stop is still latched; release the button on the arm, then try again",
            link.port()
        );
    }
    println!("cleared: torque stays off until the arm is commanded again");
    Ok(())
}

/// Telemetry from after everything sent so far was read.
fn answer(link: &mut SerialLink) -> anyhow::Result<Telemetry> {
    let timeout_us = us(ANSWER);
    link.sync(timeout_us)?;
    // What came before the answer to the ping is old.
    let _ = link.poll_telemetry()?;
    Ok(link.telemetry_since(0, timeout_us)?)
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
