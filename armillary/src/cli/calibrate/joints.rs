//! `armillary calibrate joints`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use armillary::calibrate::{Person, joints};
use calibration::servos::{JointsFile, Verdict};
use devices::Arm;
use devices::serial::SerialStream;
use devices::servos::Settings;
use devices::survey::Maker;
use robot::{Config, SystemClock};

use super::terminal::Terminal;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Joints {
    /// Robot file: its joints, and `servos` of its `arm`. The calibration is written beside it, and its name into it
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the servos, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
    /// Name of the file that is written, in the robot file's folder [default: as the robot file, with `.joints.ron`]
    #[arg(long)]
    out: Option<String>,
}

/// Calibrates.
pub(crate) fn run(arguments: &Joints) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, arguments.port.as_deref())? {
        Arm::Feetech(settings) => guide(arguments, &config, &settings),
        Arm::Dynamixel(settings) => guide(arguments, &config, &settings),
        _ => bail!(
            "field `arm` of robot `{}`: only arms of servos are calibrated so; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn guide<F: Maker>(arguments: &Joints, config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    joints::check(config, settings)?;
    let mut person = Terminal::new("calibrate joints")?;
    let name = arguments
        .out
        .clone()
        .unwrap_or_else(|| super::default_name(&arguments.robot));
    person.tell(&format!(
        "{} on {}. Torque will be taken off: the arm goes limp, and you move it by hand.",
        config.name, settings.port
    ));
    if person.ask("Hold the arm, and press Enter [q: end]: ")? == "q" {
        bail!("ended before anything was done");
    }
    let plain = settings
        .servos
        .iter()
        .zip(config.envelope.joints())
        .map(|(servo, joint)| servo.joint::<F>(joint));
    let plain: Vec<_> = plain.collect();
    let mut by_hand = again(&mut person, || {
        let line = SerialStream::open(&settings.port, settings.baud)?;
        Ok(settings.by_hand(line, plain.clone())?)
    })?;
    let found = joints::sweep(
        &mut person,
        &mut by_hand,
        config,
        settings,
        &SystemClock::default(),
    )?;
    let file = JointsFile::new(&config.name, F::WORD, &super::now(), "a sweep by hand", found);
    table::<F>(&mut person, config, &file);
    let question = format!(
        "Type yes to write this into {} and the servos, and what changes into {}: ",
        arguments.robot.with_file_name(&name).display(),
        arguments.robot.display()
    );
    if person.ask(&question)? != "yes" {
        bail!("nothing was written");
    }
    written::<F>(&mut person, &arguments.robot, &name, &file, config)?;
    drop(by_hand);
    again(&mut person, || {
        let line = SerialStream::open(&settings.port, settings.baud)?;
        joints::store(&file, config, settings, line)
    })
    .map_err(|error| {
        error.context("the files are written, and not all servos are; the arm is refused until the same command has succeeded")
    })?;
    person.tell(&format!(
        "The {} servos keep their offsets. Next, watch each joint make a small move: `armillary calibrate directions --robot {}`",
        config.joint_count(),
        arguments.robot.display()
    ));
    Ok(())
}

/// Does something with the servos until it succeeds, or the person gives up: a cable may be loose.
fn again<T>(person: &mut Terminal, mut what: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    loop {
        match what() {
            Ok(done) => return Ok(done),
            Err(error) => {
                person.tell(&robot::complaint(error.as_ref()));
                if person.ask("Press Enter to try again [q: end]: ")? == "q" {
                    return Err(error);
                }
            }
        }
    }
}

/// What was found, a line a joint.
pub(super) fn table<F: Maker>(person: &mut dyn Person, config: &Config, file: &JointsFile) {
    for (joint, shape) in file.joints.iter().zip(joints::shapes(config)) {
        let verdict = match joint.residual_rad {
            Some(residual_rad) => shape.judge(residual_rad.into()),
            None => Verdict::Good,
        };
        person.tell(&joints::row::<F>(joint, &verdict));
    }
}

/// Writes the files, and says what changed.
pub(super) fn written<F: Maker>(
    person: &mut dyn Person,
    robot: &Path,
    name: &str,
    file: &JointsFile,
    config: &Config,
) -> anyhow::Result<()> {
    let kept = joints::keep::<F>(robot, name, file, config)?;
    person.tell(&format!("wrote {}", kept.file.display()));
    for change in kept.changes {
        person.tell(&format!("{}: {change}", robot.display()));
    }
    Ok(())
}
