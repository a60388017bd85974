//! LeRobot's calibration files, and the numbers that LeRobot makes of a servo's positions.
//!
//! There are two formats. The new one (since the middle of 2025) has an entry a motor. The old one has lists, one number a motor; its angles are
//! 0 where the arm is stretched out, and not in the middle of each range. Both are read and written as they are. Neither is ever made into
//! the other: the zeros differ.

mod check;
mod file;
mod values;

pub use check::{Doubt, Finding, check};
pub use file::{CalibMode, File, FileError, Motor, Old};
pub use values::Norm;
