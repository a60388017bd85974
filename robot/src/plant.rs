//! What a bridge can put behind a serial port and a frame socket: an arm, its camera and its task.

use crate::{Frame, JointState};

/// An arm with a camera and a task, real or simulated. Stepping is deterministic: the same seed, set points and step
/// lengths give the same frames, joints and rewards to the last bit.
pub trait Plant: Send {
    /// How many joints it has.
    fn joint_count(&self) -> usize;

    /// Starts a new episode: a start pose and a target drawn from `seed`.
    fn reset(&mut self, seed: u64);

    /// Moves by `dt_s` seconds towards `set_point_rad`; without torque the joints coast and come to rest.
    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32);

    /// Joints as their encoders report them.
    fn joints(&self) -> JointState;

    /// What the camera sees now.
    fn render(&mut self, frame: &mut Frame);

    /// The task's reward for the present state, in [0, 1].
    fn reward(&self) -> f32;
}
