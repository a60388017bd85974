//! `armillary calibrate directions`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use armillary::calibrate::{Person, joints};
use armillary::console;
use armillary::doctor::rig::Bounds;
use armillary::e_stop::Watch;
use calibration::servos::JointsFile;
use devices::Arm;
use devices::servos::Settings;
use devices::survey::Maker;
use robot::device::Signals;
use robot::{Config, SystemClock};

use super::terminal::Terminal;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Directions {
    /// Robot file, which names the calibration of its joints
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the servos, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
}

/// Moves each joint a small way, asks which way it went, and mends the calibration.
pub(super) fn run(arguments: &Directions) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, arguments.port.as_deref())? {
        Arm::Feetech(settings) => guide(arguments, &config, &settings, Arm::Feetech(settings.clone())),
        Arm::Dynamixel(settings) => guide(arguments, &config, &settings, Arm::Dynamixel(settings.clone())),
        _ => bail!(
            "field `arm` of robot `{}`: only arms of servos are calibrated so; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn guide<F: Maker>(
    arguments: &Directions,
    config: &Config,
    settings: &Settings<F>,
    arm: Arm,
) -> anyhow::Result<()> {
    let robot = arguments.robot.display();
    let (Some(path), Some(file)) = (&config.joints_file, settings.calibration(config)?) else {
        bail!(
            "{robot}: field `calibration`: names no file of joints; calibrate first: `armillary calibrate joints`"
        );
    };
    let mut person = Terminal::new("calibrate directions")?;
    person.tell(
        "THE ARM WILL MOVE: each joint a small way and back, once you let it. Keep a hand on the power switch, and everybody out of its reach. Ctrl-C: \
         controlled stop; Ctrl-\\: emergency stop.",
    );
    if person.ask("Put the arm where each joint has room, and type yes: ")? != "yes" {
        bail!("nothing was moved");
    }
    let wrong = moved(&mut person, config, arm)?;
    if !wrong.contains(&Some(true)) {
        person.tell("No joint went the other way than its calibration says; nothing was written.");
        return Ok(());
    }
    let joints = joints::turned::<F>(config, &file.joints, &wrong);
    let by = format!("{}; directions by moves", file.by);
    let mended = JointsFile::new(&file.robot, &file.servos, &super::now(), &by, joints);
    for (joint, wrong) in mended.joints.iter().zip(&wrong) {
        if *wrong == Some(true) {
            person.tell(&format!("{}: turned round", joint.name));
        }
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    super::joints::written::<F>(&mut person, &arguments.robot, &name, &mended, config)?;
    person.tell(&format!(
        "Next: `armillary calibrate directions --robot {robot}` once more, to see it."
    ));
    Ok(())
}

/// Opens the arm, moves it, and lays it down.
fn moved(person: &mut Terminal, config: &Config, mut arm: Arm) -> anyhow::Result<Vec<Option<bool>>> {
    let (signals, clock, bounds) = (Signals::default(), SystemClock::default(), Bounds::default());
    let mut watch =
        Watch::start(&signals, &config.realtime).context("cannot watch for the emergency stop")?;
    console::drive();
    let wrong = joints::open(config, &bounds, &mut arm, &clock, &signals, &mut watch)
        .and_then(|mut drive| joints::watch(person, &mut drive));
    match watch.end().words() {
        Some(words) => bail!("{words}"),
        None => wrong,
    }
}
