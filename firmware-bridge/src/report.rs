//! What the firmware says of itself, in the words of the control loop.

use robot::device::{ArmReport, ArmState};

use crate::wire::{FirmwareState, Telemetry};

impl From<FirmwareState> for ArmState {
    fn from(state: FirmwareState) -> Self {
        match state {
            FirmwareState::Idle => Self::Idle,
            FirmwareState::Active => Self::Active,
            FirmwareState::Stopping => Self::Stopping,
            FirmwareState::Held => Self::Held,
            FirmwareState::Released => Self::Released,
            FirmwareState::EStopped => Self::EStopped,
        }
    }
}

impl From<Telemetry> for ArmReport {
    fn from(telemetry: Telemetry) -> Self {
        Self {
            state: telemetry.state.into(),
            refused: telemetry.received_seq != telemetry.last_command_seq,
            position_rad: telemetry.position_rad,
            velocity_rad_s: telemetry.velocity_rad_s,
            set_point_rad: telemetry.set_point_rad,
        }
    }
}
