//! A world that waits: one call resets it, one call moves it by one control period.
//!
//! [`Loopback`] runs firmware and plant in this process; [`LockstepLink`] reaches a bridge in another. Both send the
//! same bytes through the same codec into the same firmware, and observe the same numbers to the last bit.

mod lockstep_link;
mod loopback;

pub use lockstep_link::LockstepLink;
pub use loopback::{Loopback, LoopbackStream};

use robot::{DeviceError, Frame, JointState, JointVec};

use crate::bus::{ArmState, JointBus, LinkError};
use crate::frames::FrameError;
use crate::wire::{FirmwareState, StopReason, Telemetry};

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
    /// [`RigError`].
    fn reset(&mut self, seed: u64, frame: &mut Frame) -> Result<Observation, RigError>;

    /// Sends a set point and lets one control period pass, over which the arm moves there.
    ///
    /// # Errors
    /// [`RigError::Rejected`] if the firmware did not accept the command, otherwise a link or frame error.
    fn step(&mut self, set_point_rad: &[f32], frame: &mut Frame) -> Result<Observation, RigError>;

    /// Lets one control period pass without a command, to see a stop through or the watchdog act. The arm is pinged
    /// first, so that it keeps torque while it holds.
    ///
    /// # Errors
    /// [`RigError`].
    fn pass(&mut self, frame: &mut Frame) -> Result<Observation, RigError>;

    /// The bus, for stops and emergency stops. What is sent takes effect in the next period.
    fn bus(&mut self) -> &mut dyn JointBus;
}

/// Why a rig did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The serial side.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The frame side.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The firmware did not accept a command.
    #[error(
        "the arm rejected command {seq} (state {state:?}, last stop {stop_reason:?}; so far {rejected_content} for \
         content, {rejected_state} for state, {rejected_age} for age, {rejected_sequence} for sequence, {bad_frames} \
         damaged); reset the rig, or start from where the arm is"
    )]
    Rejected {
        /// Its sequence number.
        seq: u32,
        /// The firmware's state.
        state: FirmwareState,
        /// Why it last stopped.
        stop_reason: StopReason,
        /// Commands rejected for their content since boot.
        rejected_content: u32,
        /// Commands rejected for the state since boot.
        rejected_state: u32,
        /// Commands rejected for their age since boot.
        rejected_age: u32,
        /// Commands rejected for their sequence number since boot.
        rejected_sequence: u32,
        /// Damaged frames since boot.
        bad_frames: u32,
    },
    /// The plant behind the firmware.
    #[error(transparent)]
    Plant(#[from] DeviceError),
    /// The bridge is not one that waits.
    #[error(
        "the bridge runs in real time; start it in lockstep, or drive it through the serial link and the socket"
    )]
    NotLockstep,
}

/// A command stays valid for this many periods: in lockstep no time passes on its way.
const VALID_PERIODS: u32 = 2;

fn observed(telemetry: Telemetry, reward: Option<f32>, ended: bool) -> Observation {
    Observation {
        reward,
        joints: JointState {
            position_rad: telemetry.position_rad,
            velocity_rad_s: telemetry.velocity_rad_s,
        },
        set_point_rad: telemetry.set_point_rad,
        state: telemetry.state.into(),
        ended,
    }
}

/// Refuses telemetry that does not show command `seq` accepted.
fn accepted(telemetry: &Telemetry, seq: u32) -> Result<(), RigError> {
    if telemetry.last_command_seq == seq {
        return Ok(());
    }
    Err(RigError::Rejected {
        seq,
        state: telemetry.state,
        stop_reason: telemetry.stop_reason,
        rejected_content: telemetry.rejected_content,
        rejected_state: telemetry.rejected_state,
        rejected_age: telemetry.rejected_age,
        rejected_sequence: telemetry.rejected_sequence,
        bad_frames: telemetry.bad_frames,
    })
}
