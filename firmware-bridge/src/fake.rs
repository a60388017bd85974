//! A fake arm for tests and dry runs: whatever it is told, it has already done.

use crate::bus::{DeviceInfo, JointBus, LinkError};
use crate::wire::{FirmwareState, JointVec, PROTOCOL_VERSION, StopReason, Telemetry};

/// A [`JointBus`] without an arm: measured joints mirror commands at once. It has no limits, no watchdog and no time;
/// a test of those uses [`crate::Loopback`].
#[derive(Debug, Clone)]
pub struct FakeBus {
    telemetry: Telemetry,
    session: bool,
    fresh: bool,
    /// Every set point accepted, oldest first.
    pub sent_rad: Vec<JointVec>,
}

impl FakeBus {
    /// A fake arm resting at `position_rad`.
    pub fn new(position_rad: &[f32]) -> Self {
        let position_rad: JointVec = position_rad.iter().copied().collect();
        let telemetry = Telemetry {
            host_time_echo_us: 0,
            echo_received_us: 0,
            device_time_us: 0,
            last_command_seq: 0,
            received_seq: 0,
            state: FirmwareState::Idle,
            stop_reason: StopReason::None,
            velocity_rad_s: position_rad.iter().map(|_| 0.0).collect(),
            set_point_rad: position_rad.clone(),
            position_rad,
            rejected_sequence: 0,
            rejected_age: 0,
            rejected_content: 0,
            rejected_state: 0,
            clamped: 0,
            bad_frames: 0,
        };
        Self {
            telemetry,
            session: false,
            fresh: false,
            sent_rad: Vec::new(),
        }
    }

    fn enter(&mut self, state: FirmwareState, reason: StopReason) {
        let latched = self.telemetry.state == FirmwareState::EStopped;
        if !latched {
            self.telemetry.state = state;
            self.telemetry.stop_reason = reason;
        }
        self.fresh = true;
    }
}

impl JointBus for FakeBus {
    fn port(&self) -> &str {
        "fake arm"
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        self.session = true;
        self.fresh = true;
        Ok(DeviceInfo {
            protocol_version: PROTOCOL_VERSION,
            joints: self.telemetry.position_rad.len(),
            firmware_version: [0; 3],
            round_trip_us: 0,
            clock_offset_us: 0,
        })
    }

    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        _valid_for_us: u32,
    ) -> Result<u32, LinkError> {
        if !self.session {
            return Err(LinkError::NoSession {
                port: self.port().to_owned(),
            });
        }
        let joints = self.telemetry.position_rad.len();
        let set_point_rad = JointVec::from_slice(set_point_rad)
            .ok()
            .filter(|vec| vec.len() == joints)
            .ok_or_else(|| LinkError::JointCountMismatch {
                port: self.port().to_owned(),
                expected: set_point_rad.len(),
                reported: joints,
            })?;
        let seq = self.telemetry.received_seq.wrapping_add(1);
        self.telemetry.received_seq = seq;
        self.telemetry.device_time_us += u64::from(move_time_us);
        if self.telemetry.state == FirmwareState::EStopped {
            self.telemetry.rejected_state += 1;
        } else {
            self.enter(FirmwareState::Active, StopReason::None);
            self.telemetry.last_command_seq = seq;
            self.telemetry.position_rad = set_point_rad.clone();
            self.telemetry.set_point_rad = set_point_rad.clone();
            self.sent_rad.push(set_point_rad);
        }
        self.fresh = true;
        Ok(seq)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.enter(FirmwareState::Held, StopReason::HostStop);
        Ok(())
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        self.enter(FirmwareState::Released, StopReason::HostRelease);
        Ok(())
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.enter(FirmwareState::EStopped, StopReason::EStop);
        Ok(())
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        if self.telemetry.state == FirmwareState::EStopped {
            self.telemetry.state = FirmwareState::Idle;
            self.session = false;
            self.fresh = true;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Telemetry>, LinkError> {
        let fresh = std::mem::take(&mut self.fresh);
        Ok(fresh.then(|| self.telemetry.clone()))
    }
}
