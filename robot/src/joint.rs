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

/// What an action means to a joint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionMode {
    /// 1 is the joint's full speed over one period; 0 holds it.
    #[default]
    Velocity,
    /// 1 is the upper end of the joint's range, -1 the lower, whatever the set point was before; 0 is the middle. For
    /// actuators that take forces or torques, whose set point is the control itself and whose middle is where they rest, and for data
    /// whose actions are goals. No arm is driven so: its stop must hold it, not send it to the middle.
    Absolute,
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

impl Joint {
    /// The middle of its range.
    pub fn middle_rad(&self) -> f32 {
        0.5 * (self.position_min_rad + self.position_max_rad)
    }

    /// What an action of 1 asks for: a speed in radians a second, or the upper end of its range as seen from the middle.
    pub fn action_scale(&self, mode: ActionMode) -> f32 {
        match mode {
            ActionMode::Velocity => self.velocity_max_rad_s,
            ActionMode::Absolute => self.half_range_rad(),
        }
    }

    /// Half of its range.
    pub fn half_range_rad(&self) -> f32 {
        0.5 * (self.position_max_rad - self.position_min_rad)
    }
}

/// Measured joints at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JointState {
    /// Measured positions.
    pub position_rad: JointVec,
    /// Measured or estimated velocities.
    pub velocity_rad_s: JointVec,
}
