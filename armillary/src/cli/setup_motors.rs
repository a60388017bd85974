//! `armillary setup-motors`: leads a person through giving each servo of an arm its id.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use armillary::console::To;
use armillary::doctor::{System, ports};
use devices::Arm;
use devices::serial::SerialStream;
use devices::servo_bus::{Bus, BusError, Timing};
use devices::servos::Settings;
use devices::setup::{Given, Setup, SetupError, Wanted};
use devices::survey::{Maker, fault_names};
use robot::Config;

use super::say::ask;

/// How long a servo and a port may take to answer, in microseconds, beyond the adapter's latency.
const TURNAROUND_US: u64 = 20_000;

/// How long one may take where all ids are asked, in microseconds, beyond the adapter's latency.
const QUICK_US: u64 = 3_000;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupMotors {
    /// Robot file: its joints, and `servos` of its `arm`, say which servo gets which id
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the servos, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
}

/// Leads through it.
pub(crate) fn run(arguments: &SetupMotors) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, arguments.port.as_deref())? {
        Arm::Feetech(settings) => guide(&config, &settings),
        Arm::Dynamixel(settings) => guide(&config, &settings),
        _ => bail!(
            "field `arm` of robot `{}`: this arm has no servos that this program gives ids; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn guide<F: Maker>(config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    let joints = config.envelope.joints();
    if settings.servos.len() != joints.len() {
        bail!(
            "robot `{}`: field `arm.servos`: {} servos for {} joints; write one a joint, base first",
            config.name,
            settings.servos.len(),
            joints.len()
        );
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "setup-motors asks a person to connect one servo after the other: start it on a terminal, with the keyboard as its input"
        );
    }
    let latency_us = 1_000 * ports::latency_ms(&System::default(), Path::new(&settings.port)).unwrap_or(0);
    let timing = Timing {
        baud: settings.baud,
        turnaround_us: TURNAROUND_US + latency_us,
        ..Timing::default()
    };
    let wanted = joints.iter().zip(&settings.servos).map(|(joint, servo)| Wanted {
        joint: joint.name.clone(),
        id: servo.id,
    });
    let line = SerialStream::open(&settings.port, settings.baud)?;
    let mut setup = Setup::new(
        Bus::<F, _>::new(line, timing),
        settings.baud,
        QUICK_US + latency_us,
        wanted.collect(),
    )?;
    armillary::say!(
        "{} servos ({}) on {}, {} bits a second. Torque is taken off; nothing moves.",
        joints.len(),
        F::NAME,
        settings.port,
        settings.baud
    );
    match setup.recognise() {
        Ok(()) => {}
        // Two new ones, for instance: a person takes one away.
        Err(error @ SetupError::Twins { .. }) => armillary::say!("{error}"),
        Err(error) => return Err(error.into()),
    }
    tell_done(&setup);
    let skipped = one_by_one(&mut setup)?;
    if !skipped.is_empty() {
        armillary::say!(
            "not done: {}; start the command again to go on",
            skipped.join(", ")
        );
        return Ok(());
    }
    together(&mut setup)
}

fn tell_done<F: Maker>(setup: &Setup<F, SerialStream>) {
    for (joint, wanted) in setup.wanted().iter().enumerate() {
        if setup.done(joint).is_some() {
            armillary::say!("{} has id {} already", wanted.joint, wanted.id);
        }
    }
}

/// Asks for each servo that is not done. Returns the joints that a person has skipped.
fn one_by_one<F: Maker>(setup: &mut Setup<F, SerialStream>) -> anyhow::Result<Vec<String>> {
    let mut skipped = BTreeSet::new();
    // The gripper first, the base last.
    for joint in (0..setup.wanted().len()).rev() {
        if setup.done(joint).is_some() {
            continue;
        }
        let wanted = setup.wanted()[joint].clone();
        let mut whichever = false;
        loop {
            if !whichever {
                let typed = answer(&format!(
                    "Connect the servo of {} alone (those that are done may stay), and press Enter [s: skip it, q: end]: ",
                    wanted.joint
                ))?;
                match typed.as_str() {
                    "q" => bail!(
                        "ended before {} was done; what is done stays done, and the same command goes on",
                        wanted.joint
                    ),
                    "s" => {
                        skipped.insert(wanted.joint);
                        break;
                    }
                    _ => armillary::say!("listening at every id and rate; this takes some seconds"),
                }
            }
            match setup.give(joint, whichever) {
                Ok(given) => {
                    tell::<F>(&wanted, &given);
                    break;
                }
                Err(error @ SetupError::Bus(BusError::Line(_))) => return Err(error.into()),
                Err(error @ SetupError::OtherJoint { .. }) => {
                    armillary::say!("{error}");
                    whichever =
                        answer(&format!("Type yes if this is the servo of {}: ", wanted.joint))? == "yes";
                }
                Err(error) => {
                    whichever = false;
                    armillary::say!("{error}");
                }
            }
        }
    }
    Ok(skipped.into_iter().collect())
}

fn tell<F: Maker>(wanted: &Wanted, given: &Given) {
    let facts = &given.facts;
    let (least, most) = facts.voltage_limits_v;
    let before = if given.written {
        format!("had id {} at {} bits a second", given.was_id, given.was_baud)
    } else {
        "had it already".to_owned()
    };
    armillary::say!(
        "{}: id {} ({before}); {}, firmware {}, {:.1} V (made for {least:.1} to {most:.1} V), {:.0} C",
        wanted.joint,
        wanted.id,
        facts.model_text(),
        facts.firmware,
        facts.voltage_v,
        facts.temperature_c
    );
    for fault in fault_names::<F>(facts.status) {
        armillary::say!("  it reports a fault: {fault}");
    }
    for note in &given.notes {
        armillary::say!("  {note}");
    }
}

/// The whole chain at last: each id once.
fn together<F: Maker>(setup: &mut Setup<F, SerialStream>) -> anyhow::Result<()> {
    loop {
        let typed = answer(
            "All have their ids. Connect all servos, and press Enter to check them together [q: end]: ",
        )?;
        if typed == "q" {
            return Ok(());
        }
        match setup.check_all() {
            Ok(()) => {
                armillary::say!("{} servos answer, each at its own id", setup.wanted().len());
                return Ok(());
            }
            Err(error @ SetupError::Bus(BusError::Line(_))) => return Err(error.into()),
            Err(error) => armillary::say!("{error}"),
        }
    }
}

fn answer(question: &str) -> anyhow::Result<String> {
    ask(To::Out, question);
    let mut typed = String::new();
    let count = std::io::stdin()
        .lock()
        .read_line(&mut typed)
        .context("cannot read the answer")?;
    if count == 0 {
        armillary::say!("");
        bail!("the input has ended; what is done stays done, and the same command goes on");
    }
    Ok(typed.trim().to_owned())
}
