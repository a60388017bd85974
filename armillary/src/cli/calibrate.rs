//! `armillary calibrate`: measures how an arm was built and mounted.

mod camera;
mod directions;
mod hand_eye;
mod joints;
mod latency;
mod lerobot;
mod terminal;
mod workspace;

use clap::Subcommand;

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Calibrate {
    /// Find where the joints of an arm of servos are: torque is off, and a person moves each joint from end to end.
    Joints(joints::Joints),
    /// See which way joints turn, and mend it: each makes a small move, and a person says which way it went.
    Directions(directions::Directions),
    /// Make the board that `camera` is shown, to print.
    Board(camera::PrintBoard),
    /// Measure how the camera's lens bends lines, by a board that is shown to it: into the robot file, and a file beside it.
    Camera(camera::MeasureCamera),
    /// Measure where the camera stands: the gripper holds the board, torque is off, and a person moves the arm.
    HandEye(hand_eye::Place),
    /// Measure the box that the tip must not leave: torque is off, and a person holds the tip at its ends.
    Workspace(workspace::Workspace),
    /// Measure how late the camera's pictures are: one joint moves to and fro, and the delay is written into the robot file.
    Latency(latency::Latency),
    /// Take the joints' calibration from a file of LeRobot's.
    FromLerobot(lerobot::From),
    /// Write the joints' calibration as a file of LeRobot's.
    ToLerobot(lerobot::To),
}

impl Calibrate {
    /// The robot file, if there is one.
    pub(super) fn robot(&self) -> Option<&std::path::PathBuf> {
        match self {
            Self::Joints(arguments) => Some(&arguments.robot),
            Self::Directions(arguments) => Some(&arguments.robot),
            Self::Board(_) => None,
            Self::Camera(arguments) => Some(&arguments.robot),
            Self::HandEye(arguments) => Some(&arguments.robot),
            Self::Workspace(arguments) => Some(&arguments.robot),
            Self::Latency(arguments) => Some(&arguments.robot),
            Self::FromLerobot(arguments) => Some(&arguments.robot),
            Self::ToLerobot(arguments) => Some(&arguments.robot),
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
        Calibrate::Board(arguments) => camera::print(arguments),
        Calibrate::Camera(arguments) => camera::measure(arguments),
        Calibrate::HandEye(arguments) => hand_eye::run(arguments),
        Calibrate::Workspace(arguments) => workspace::run(arguments),
        Calibrate::Latency(arguments) => latency::run(arguments),
        Calibrate::FromLerobot(arguments) => lerobot::from(arguments),
        Calibrate::ToLerobot(arguments) => lerobot::to(arguments),
    }
}

/// The name of a robot file's calibration of joints where none is given.
fn default_name(robot: &std::path::Path) -> String {
    beside(robot, "joints")
}

/// The name of a file of this kind beside a robot file.
fn beside(robot: &std::path::Path, kind: &str) -> String {
    let stem = robot
        .file_stem()
        .map_or("robot".into(), |stem| stem.to_string_lossy());
    format!("{stem}.{kind}.ron")
}

/// The date and time that a calibration's file says.
fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}
