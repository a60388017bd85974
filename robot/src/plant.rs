//! What a bridge can put behind a serial port and a frame socket: an arm, its camera and its task.

use crate::{Frame, JointState};

/// Why a plant could not do as asked. A plant in this process has no reason to; one in another may have ended.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PlantError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl PlantError {
    /// What went wrong, with its remedy.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// An arm with a camera and a task, real or simulated. Stepping is deterministic: the same seed, set points and step
/// lengths give the same frames, joints and rewards to the last bit.
pub trait Plant: Send {
    /// How many joints it has.
    fn joint_count(&self) -> usize;

    /// Starts a new episode: a start pose and a target drawn from `seed`.
    ///
    /// # Errors
    /// [`PlantError`].
    fn reset(&mut self, seed: u64) -> Result<(), PlantError>;

    /// Moves by `dt_s` seconds towards `set_point_rad`; without torque the joints coast and come to rest.
    ///
    /// # Errors
    /// [`PlantError`].
    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), PlantError>;

    /// Joints as their encoders report them.
    fn joints(&self) -> JointState;

    /// What the camera sees now.
    ///
    /// # Errors
    /// [`PlantError`].
    fn render(&mut self, frame: &mut Frame) -> Result<(), PlantError>;

    /// The task's reward for the period that ended now. `None` where nobody gives one: a plant without a task, or an
    /// environment that has been reset and not yet stepped.
    fn reward(&self) -> Option<f32>;

    /// Whether the episode has ended by itself: nothing that comes after has to do with what is asked for.
    fn ended(&self) -> bool {
        false
    }
}

impl<P: Plant + ?Sized> Plant for Box<P> {
    fn joint_count(&self) -> usize {
        (**self).joint_count()
    }

    fn reset(&mut self, seed: u64) -> Result<(), PlantError> {
        (**self).reset(seed)
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), PlantError> {
        (**self).step(set_point_rad, torque_on, dt_s)
    }

    fn joints(&self) -> JointState {
        (**self).joints()
    }

    fn render(&mut self, frame: &mut Frame) -> Result<(), PlantError> {
        (**self).render(frame)
    }

    fn reward(&self) -> Option<f32> {
        (**self).reward()
    }

    fn ended(&self) -> bool {
        (**self).ended()
    }
}
