//! `armillary calibrate`: measures how an arm was built and mounted.

mod directions;
mod joints;
mod lerobot;
mod terminal;

use clap::Subcommand;

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Calibrate {
    /// Find where the joints of an arm of servos are: torque is off, and a person moves each joint from end to end.
    Joints(joints::Joints),
    /// See which way joints turn, and mend it: each makes a small move, and a person says which way it went.
    Directions(directions::Directions),
    /// Take the joints' calibration from a file of LeRobot's.
    FromLerobot(lerobot::From),
    /// Write the joints' calibration as a file of LeRobot's.
    ToLerobot(lerobot::To),
}

impl Calibrate {
    /// The robot file.
    pub(super) fn robot(&self) -> &std::path::PathBuf {
        match self {
            Self::Joints(arguments) => &arguments.robot,
            Self::Directions(arguments) => &arguments.robot,
            Self::FromLerobot(arguments) => &arguments.robot,
            Self::ToLerobot(arguments) => &arguments.robot,
        }
    }

    /// Whether it makes the file of the joints, whatever was there before.
    pub(super) fn makes_joints(&self) -> bool {
        matches!(self, Self::Joints(_) | Self::FromLerobot(_))
    }
}

/// Measures.
pub(crate) fn run(command: &Calibrate) -> anyhow::Result<()> {
    match command {
        Calibrate::Joints(arguments) => joints::run(arguments),
        Calibrate::Directions(arguments) => directions::run(arguments),
        Calibrate::FromLerobot(arguments) => lerobot::from(arguments),
        Calibrate::ToLerobot(arguments) => lerobot::to(arguments),
    }
}

/// The name of a robot file's calibration of joints where none is given.
fn default_name(robot: &std::path::Path) -> String {
    let stem = robot
        .file_stem()
        .map_or("robot".into(), |stem| stem.to_string_lossy());
    format!("{stem}.joints.ron")
}

/// The date and time that a calibration's file says.
fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}
