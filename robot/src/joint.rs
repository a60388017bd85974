//! Joints: names, limits and measured state.

use serde::{Deserialize, Serialize};

/// The most joints any part of the system accepts; buffers in the tick are sized by it.
pub const MAX_JOINTS: usize = 8;

/// One number a joint, in the order of the robot file. Never allocates.
pub type JointVec = heapless::Vec<f32, MAX_JOINTS>;

/// `n` zeros.
///
/// # Panics
/// If `n` exceeds [`MAX_JOINTS`], which a checked [`crate::Config`] rules out.
pub fn zeros(n: usize) -> JointVec {
    JointVec::from_slice(&[0.0; MAX_JOINTS][..n]).expect("a slice of a MAX_JOINTS array fits")
}

/// A revolute joint and the limits that the guard and the firmware enforce.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Unique within the robot; also written into bundles and logs.
    pub name: String,
    /// Smallest allowed set point.
    pub position_min_rad: f32,
    /// Largest allowed set point.
    pub position_max_rad: f32,
    /// Largest set-point speed; an action of 1 asks for exactly this speed.
    pub velocity_max_rad_s: f32,
    /// Largest change of set-point speed per second.
    pub acceleration_max_rad_s2: f32,
    /// Where an episode starts and a parked arm rests.
    pub home_rad: f32,
}

/// Measured joints at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JointState {
    /// Measured positions.
    pub position_rad: JointVec,
    /// Measured or estimated velocities.
    pub velocity_rad_s: JointVec,
}
