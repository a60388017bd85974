//! `armillary calibrate from-lerobot` and `to-lerobot`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use armillary::calibrate::joints;
use calibration::servos::JointsFile;
use calibration::servos::lerobot::{self, Doubt, File};
use devices::Arm;
use devices::servos::{Settings, encoder};
use devices::survey::Maker;
use robot::Config;

use super::terminal::Told;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct From {
    /// LeRobot's file, such as `~/.cache/huggingface/lerobot/calibration/robots/so_follower/my_arm.json`
    file: PathBuf,
    /// Robot file: its joints, and `servos` of its `arm`. The calibration is written beside it, and its name into it
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Name of the file that is written, in the robot file's folder [default: as the robot file, with `.joints.ron`]
    #[arg(long)]
    out: Option<String>,
    /// Take it although something looks wrong that only you can know
    #[arg(long)]
    yes: bool,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct To {
    /// The file to write
    file: PathBuf,
    /// Robot file, which names the calibration
    #[arg(long)]
    pub(super) robot: PathBuf,
}

/// Takes a file of LeRobot's.
pub(super) fn from(arguments: &From) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, None)? {
        Arm::Feetech(settings) => take(arguments, &config, &settings),
        Arm::Dynamixel(settings) => take(arguments, &config, &settings),
        _ => bail!(
            "field `arm` of robot `{}`: only arms of servos are calibrated so; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn take<F: Maker>(arguments: &From, config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    joints::check(config, settings)?;
    let motors = match File::load(&arguments.file)? {
        File::New(motors) => motors,
        File::Old(_) => bail!(
            "{}: LeRobot's old format, whose angles are 0 where the arm is stretched out: they cannot be made into angles from the middle of each \
             range; calibrate with `armillary calibrate joints`, or with LeRobot again",
            arguments.file.display()
        ),
    };
    let shapes = joints::shapes(config);
    let ids = settings.ids();
    let arm: Vec<_> = shapes.iter().cloned().zip(ids).collect();
    let findings = lerobot::check(&arguments.file, &motors, &arm, encoder::<F>());
    for finding in &findings {
        armillary::tell!("{finding}");
    }
    if findings.iter().any(|finding| finding.doubt == Doubt::Refused) {
        bail!(
            "{}: cannot be used for this arm; nothing was written",
            arguments.file.display()
        );
    }
    if !findings.is_empty() && !arguments.yes {
        bail!(
            "{}: give --yes if this is meant so; nothing was written",
            arguments.file.display()
        );
    }
    let found = shapes
        .iter()
        .map(|shape| {
            let motor = motors.iter().find(|motor| motor.name == shape.name);
            motor.map(|motor| motor.joint(shape, encoder::<F>()))
        })
        .collect::<Option<Vec<_>>>()
        .context("a joint is not in the file")?;
    let by = format!("LeRobot's {}", arguments.file.display());
    let file = JointsFile::new(&config.name, F::WORD, &super::now(), &by, found);
    super::joints::table::<F>(&mut Told, config, &file);
    let name = arguments
        .out
        .clone()
        .unwrap_or_else(|| super::default_name(&arguments.robot));
    super::joints::written::<F>(&mut Told, &arguments.robot, &name, &file, config)?;
    armillary::say!(
        "LeRobot has written the offsets into the servos; they are compared each time the arm is opened. Which way a joint turns is not in such a \
         file: before the first run watch a small move of each by `armillary calibrate directions`"
    );
    Ok(())
}

/// Writes a file of LeRobot's.
pub(super) fn to(arguments: &To) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    let Some(path) = &config.joints_file else {
        bail!(
            "{}: field `calibration`: names no file of joints; calibrate first: `armillary calibrate joints`",
            arguments.robot.display()
        );
    };
    let text = File::of(&JointsFile::load(path)?).to_text();
    // One that this program wrote for the same arm looks alike.
    let is_ours = |bytes: &[u8]| bytes == text.as_bytes();
    files::put(&arguments.file, text.as_bytes(), &is_ours)?;
    armillary::say!("wrote {}", arguments.file.display());
    Ok(())
}
