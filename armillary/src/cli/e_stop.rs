//! `armillary e-stop` and `armillary clear-e-stop`: torque off at once, latched, and the way out of it.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use devices::{Arm, SerialLink, serial};
use firmware_bridge::{FirmwareState, Telemetry};
use robot::Config;
use robot::device::{JointBus, LinkError};

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
    /// The arm, and how long its board may take to boot.
    fn open(&self) -> anyhow::Result<(SerialLink, Duration)> {
        // Units are believed: an arm that would not be driven by this file must be stopped all the same.
        let config = Config::parse(&self.robot, robot::config::read(&self.robot)?)?;
        let arm = match (Arm::of(&config, self.port.as_deref()), &self.port) {
            (Ok(Arm::Firmware(arm)), _) => arm,
            (Err(_), Some(port)) => serial::Settings::at(port),
            (Err(error), None) => return Err(error.into()),
        };
        let (link, boot) = (arm.link(&config)?, arm.boot(&config));
        Ok((link, boot))
    }
}

/// Stops. Says nothing of the kind unless the arm confirms it.
pub(crate) fn stop(arguments: &EStop) -> anyhow::Result<()> {
    let confirmed = || -> anyhow::Result<()> {
        let (mut link, boot) = arguments.open()?;
        match link.e_stop_until_confirmed(us(ANSWER)) {
            Err(LinkError::EStopUnconfirmed { .. }) if !boot.is_zero() => {
                log::warn!(
                    "{}: emergency stop NOT confirmed yet: cut the arm's power if it moves; a board that resets when its port is \
                     opened boots first, so it is sent for {:.1} s more",
                    link.port(),
                    boot.as_secs_f32()
                );
                Ok(link.e_stop_until_confirmed(us(boot))?)
            }
            result => Ok(result?),
        }
    };
    confirmed().context(
        "emergency stop NOT confirmed: cut the arm's power (where `armillary run` drives it, press Ctrl-\\ there)",
    )?;
    println!("emergency stop latched: torque is off");
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
    let (mut link, _) = arguments.open()?;
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
