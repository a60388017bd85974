//! `armillary calibrate hand-eye`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use armillary::calibrate::{Person, hand_eye};
use devices::serial::SerialStream;
use devices::servos::Settings;
use devices::survey::Maker;
use devices::{Arm, Camera, OpenCamera};
use robot::{Config, SystemClock};
use vision::CameraFile;

use super::camera::BoardShape;
use super::terminal::Terminal;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Robot file, which names the calibrations of its joints and of its camera
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the servos, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
    /// Frame socket to see by, in the place of the camera that the robot file names
    #[arg(long)]
    frames: Option<PathBuf>,
    #[command(flatten)]
    shape: BoardShape,
}

/// Measures where the camera stands, and writes it into the camera's file.
pub(super) fn run(arguments: &Place) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, arguments.port.as_deref())? {
        Arm::Feetech(settings) => guide(arguments, &config, &settings),
        Arm::Dynamixel(settings) => guide(arguments, &config, &settings),
        _ => bail!(
            "field `arm` of robot `{}`: only an arm of servos can be moved by hand and read meanwhile; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn guide<F: Maker>(arguments: &Place, config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    let robot = arguments.robot.display();
    let path = config.camera_file.as_deref().with_context(|| {
        format!("{robot}: field `calibration`: names no file of a camera; measure the lens first: `armillary calibrate camera --robot {robot}`")
    })?;
    let file = CameraFile::load(path)?;
    let Some(joints) = settings.calibration(config)? else {
        bail!(
            "{robot}: field `calibration`: names no file of joints; calibrate first: `armillary calibrate joints --robot {robot}`"
        );
    };
    let board = arguments.shape.board()?;
    let mut person = Terminal::new("calibrate hand-eye")?;
    person.tell(&format!(
        "{} on {}. Put the board into the gripper, so that it cannot slip. Torque will be taken off: the arm goes limp, and you move it by hand.",
        config.name, settings.port
    ));
    if person.ask("Hold the arm, and press Enter [q: end]: ")? == "q" {
        bail!("ended before anything was done");
    }
    let OpenCamera { mut camera, .. } = Camera::of(config, arguments.frames.as_deref())?.open(config)?;
    let plain = settings.servos.iter().zip(config.envelope.joints());
    let plain: Vec<_> = plain.map(|(servo, joint)| servo.joint::<F>(joint)).collect();
    let line = SerialStream::open(&settings.port, settings.baud)?;
    let mut by_hand = settings.by_hand(line, plain)?;
    person.tell(
        "Move the arm so that the camera sees the board: near and far, left and right, tilted to each side and up and down. Hold it still for a moment each time. Enter ends.",
    );
    let found = hand_eye::guide(
        &mut person,
        &mut by_hand,
        &mut *camera,
        (config, &joints),
        (&board, &file),
        &SystemClock::default(),
    )?;
    for line in hand_eye::lines(&found) {
        armillary::say!("{line}");
    }
    if !found.verdict.is_accepted() {
        bail!("{}; nothing was written", found.verdict);
    }
    let file = file.mounted(&super::now(), joints.sha256(), &found);
    files::replace(path, file.to_text().as_bytes())?;
    armillary::say!("{}: written", path.display());
    Ok(())
}
