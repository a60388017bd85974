//! Where the joints of an arm of servos are: which position of a servo is which angle of its joint.
//!
//! A servo knows the position of its own shaft within a turn, in ticks. How its horn was screwed onto the joint is another matter on each
//! arm. Someone moves every joint by hand from one end of its travel to the other while the servos are read ([`Sweep`]). From that and from
//! what the robot file says of the arm's shape, [`JointShape::solve`] finds the rest, and judges it:
//!
//! ```text
//!  readings of a sweep --Sweep--> Travel --JointShape::solve--> JointCalibration + Verdict --JointsFile--> a file beside the robot file
//! ```
//!
//! [`lerobot`] reads and writes LeRobot's files of the same.
//!
//! # Seam
//! The position of a servo jumps from the last tick to 0 at one place of its turn. A joint whose travel has this seam in it cannot be
//! driven. A sweep follows a servo over the seam. The homing offset that is found then moves the seam to the middle of what the joint
//! cannot reach, where the servo allows it ([`Encoder::offset_moves_seam`]).

mod encoder;
mod file;
pub mod lerobot;
mod solve;
mod sweep;

pub use crate::verdict::Verdict;
pub use encoder::Encoder;
pub use file::{JointsFile, JointsFileError};
pub use solve::{JointCalibration, JointShape, Solved};
pub use sweep::{Sweep, Travel};
