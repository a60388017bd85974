//! `armillary e-stop` and `armillary clear-e-stop`: torque off at once, latched, and the way out of it.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use armillary::console::To;
use armillary::e_stop::{self, channel};
use devices::let_go::{BAUD, let_go};
use devices::{Arm, SerialLink, serial};
use firmware_bridge::{FirmwareState, Telemetry};
use robot::Config;
use robot::device::JointBus;

use super::say::ask;

/// Longest wait for the arm's answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Longest wait for the answer of a program that drives the arm: its board may have to boot.
const PROGRAM: Duration = Duration::from_secs(20);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct EStop {
    /// Robot file. It is not needed where --port is given
    #[arg(long, required_unless_present = "port")]
    robot: Option<PathBuf>,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
    /// Bits a second at the port, in the place of those that the robot file names
    #[arg(long)]
    baud: Option<u32>,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Clear {
    /// Robot file.
    #[arg(long)]
    robot: PathBuf,
    /// Port of the arm, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
}

/// The arm of a robot file. Units are believed: an arm that would not be driven by this file must be stopped all the same.
fn arm(robot: &Path, port: Option<&Path>) -> anyhow::Result<(Arm, Config)> {
    let config = Config::parse(robot, robot::config::read(robot)?)?;
    let arm = match (Arm::of(&config, port), port) {
        (Ok(arm), _) => arm,
        (Err(_), Some(port)) => Arm::Firmware(serial::Settings::at(port)),
        (Err(error), None) => return Err(error.into()),
    };
    Ok((arm, config))
}

/// Stops. Says nothing of the kind unless the arm confirms it.
pub(crate) fn stop(arguments: &EStop) -> anyhow::Result<()> {
    let words = stopped(arguments).context(e_stop::NOT_CONFIRMED)?;
    armillary::say!("emergency stop: {words}");
    Ok(())
}

/// What the arm has confirmed, in words.
fn stopped(arguments: &EStop) -> anyhow::Result<String> {
    // Before a file is read: its disk may hang.
    if let Some(port) = &arguments.port
        && let Some(words) = by_who_drives(port)?
    {
        return Ok(words);
    }
    let mut described = arguments
        .robot
        .as_deref()
        .map(|robot| arm(robot, arguments.port.as_deref()));
    if arguments.port.is_none()
        && let Some(Ok((arm, _))) = &mut described
        && let Some(port) = arm.port()
        && let Some(words) = by_who_drives(&port)?
    {
        return Ok(words);
    }
    let whatever_is_at = |port: &Path, baud: Option<u32>, named: &[u8]| {
        let baud = arguments.baud.or(baud).unwrap_or(BAUD);
        let confirmed = let_go(port, baud, named)?;
        let mut words = e_stop::words(confirmed.stopped).to_owned();
        if !confirmed.servos.is_empty() {
            let ids: Vec<String> = confirmed.servos.iter().map(u8::to_string).collect();
            let others = if named.is_empty() {
                "; whether there are others is not known: --robot names them"
            } else {
                ""
            };
            words.push_str(&format!(" (confirmed by servos {}{others})", ids.join(", ")));
        }
        Ok(words)
    };
    match (described, &arguments.port) {
        (Some(Ok((mut arm, config))), _) => {
            if let Some(baud) = arguments.baud {
                arm.set_baud(baud);
            }
            let port = arm.port();
            match (arm.e_stop(&config), &arm, &port) {
                // Settings of servos that would not be driven must not keep them from being let go.
                (Err(error), Arm::Feetech(_) | Arm::Dynamixel(_), Some(port)) => {
                    log::warn!("{error}; whatever is at the port is let go");
                    whatever_is_at(port, arm.baud(), &arm.servo_ids())
                }
                (result, ..) => Ok(e_stop::words(result?).to_owned()),
            }
        }
        (Some(Err(error)), Some(port)) => {
            log::warn!("{error:#}; the robot file is passed over, and whatever is at the port is let go");
            whatever_is_at(port, None, &[])
        }
        (Some(Err(error)), None) => Err(error.context("give --port, for which no robot file is needed")),
        (None, Some(port)) => whatever_is_at(port, None, &[]),
        (None, None) => bail!("--port: name the port of the arm"),
    }
}

/// Asks the program that drives the arm at `port`, which has its port. `None` if no program does.
fn by_who_drives(port: &Path) -> anyhow::Result<Option<String>> {
    let answer = channel::ask(port, PROGRAM, || {
        armillary::tell!(
            "the program that drives the arm has not answered yet: cut the arm's power if it moves"
        );
    });
    match answer.context("the program that drives the arm does not answer")? {
        None => Ok(None),
        Some(answer) => match answer.strip_prefix(channel::CONFIRMED) {
            Some(words) => Ok(Some(words.to_owned())),
            None => bail!(answer),
        },
    }
}

/// Unlatches, for a person who says so now.
pub(crate) fn clear(arguments: &Clear) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "nobody can be asked whether the arm is supported: start `armillary clear-e-stop` on a terminal; the emergency stop stays \
             latched"
        );
    }
    ask(
        To::Out,
        "Is the arm supported, and nobody within its reach? Type yes to clear the emergency stop: ",
    );
    let mut typed = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut typed)
        .context("cannot read the answer")?;
    if typed.trim() != "yes" {
        bail!("not cleared; the emergency stop stays latched");
    }
    let (arm, config) = arm(&arguments.robot, arguments.port.as_deref())?;
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
    armillary::say!("cleared: torque stays off until the arm is commanded again");
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
