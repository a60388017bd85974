//! A world that waits, as the control loop sees it.

use super::{ArmState, DeviceError, JointBus};
use crate::{Frame, JointState, JointVec};

/// What a period led to, measured at its end: the instant of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The task's reward; `None` where nobody gives one.
    pub reward: Option<f32>,
    /// Measured joints, as the firmware reports them.
    pub joints: JointState,
    /// The set point the firmware ended at, after its own limits.
    pub set_point_rad: JointVec,
    /// What the arm does.
    pub state: ArmState,
    /// Whether the world ended the episode by itself, with this as the last that is to be seen of it.
    pub ended: bool,
}

/// A world in lockstep.
pub trait Lockstep {
    /// Starts a new episode: the arm holds its start pose, a new session is open, and a first command near that pose is
    /// accepted.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn reset(&mut self, seed: u64, frame: &mut Frame) -> Result<Observation, DeviceError>;

    /// Sends a set point and lets one control period pass, over which the arm moves there.
    ///
    /// # Errors
    /// [`DeviceError`], also if the arm's firmware did not accept the command.
    fn step(&mut self, set_point_rad: &[f32], frame: &mut Frame) -> Result<Observation, DeviceError>;

    /// Lets one control period pass without a command, to see a stop through or the watchdog act. The arm is pinged
    /// first, so that it keeps torque while it holds.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn pass(&mut self, frame: &mut Frame) -> Result<Observation, DeviceError>;

    /// The bus, for stops and emergency stops. What is sent takes effect in the next period.
    fn bus(&mut self) -> &mut dyn JointBus;
}
