//! Worlds that wait: one call resets such a world, one call moves it by one control period.
//!
//! [`Loopback`] runs firmware and plant in this process; [`LockstepLink`] reaches a bridge in another. Both send the
//! same bytes through the same codec into the same firmware, and observe the same numbers to the last bit.

mod lockstep_link;
mod loopback;

use firmware_bridge::wire::{FirmwareState, StopReason, Telemetry};
use robot::JointState;
use robot::device::{DeviceError, Observation};

pub use lockstep_link::LockstepLink;
pub use loopback::{Loopback, LoopbackStream};

/// Why a world that waits did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum LockstepError {
    /// The firmware did not accept a command.
    #[error(
        "the arm rejected command {seq} (state {state:?}, last stop {stop_reason:?}; so far {rejected_content} for \
         content, {rejected_state} for state, {rejected_age} for age, {rejected_sequence} for sequence, {bad_frames} \
         damaged); reset the world, or start from where the arm is"
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
    /// The bridge is not one that waits.
    #[error(
        "the bridge runs in real time; start it in lockstep, or drive it through the serial link and the socket"
    )]
    NotLockstep,
}

impl From<LockstepError> for DeviceError {
    fn from(error: LockstepError) -> Self {
        Self::new(error)
    }
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
fn accepted(telemetry: &Telemetry, seq: u32) -> Result<(), LockstepError> {
    if telemetry.last_command_seq == seq {
        return Ok(());
    }
    Err(LockstepError::Rejected {
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
