//! A fake arm for tests and dry runs: whatever it is told, it has already done.

use robot::JointVec;
use robot::device::{ArmReport, ArmState, DeviceInfo, JointBus, LinkError};

use firmware_bridge::wire::PROTOCOL_VERSION;

/// A [`JointBus`] without an arm: measured joints mirror commands at once. It has no limits, no watchdog and no time;
/// a test of those uses [`crate::Loopback`].
#[derive(Debug, Clone)]
pub struct FakeBus {
    report: ArmReport,
    session: bool,
    fresh: bool,
    seq: u32,
    /// Every set point accepted, oldest first.
    pub sent_rad: Vec<JointVec>,
}

impl FakeBus {
    /// A fake arm resting at `position_rad`.
    pub fn new(position_rad: &[f32]) -> Self {
        let position_rad: JointVec = position_rad.iter().copied().collect();
        Self {
            report: ArmReport {
                state: ArmState::Idle,
                refused: false,
                velocity_rad_s: position_rad.iter().map(|_| 0.0).collect(),
                set_point_rad: position_rad.clone(),
                position_rad,
            },
            session: false,
            fresh: false,
            seq: 0,
            sent_rad: Vec::new(),
        }
    }

    fn enter(&mut self, state: ArmState) {
        if self.report.state != ArmState::EStopped {
            self.report.state = state;
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
            joints: self.report.position_rad.len(),
            firmware_version: [0; 3],
            round_trip_us: 0,
            clock_offset_us: 0,
            serial_number: String::new(),
            boot_id: 0,
        })
    }

    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        _move_time_us: u32,
        _valid_for_us: u32,
    ) -> Result<u32, LinkError> {
        if !self.session {
            return Err(LinkError::NoSession {
                port: self.port().to_owned(),
            });
        }
        let joints = self.report.position_rad.len();
        let set_point_rad = JointVec::from_slice(set_point_rad)
            .ok()
            .filter(|vec| vec.len() == joints)
            .ok_or_else(|| LinkError::JointCountMismatch {
                port: self.port().to_owned(),
                expected: set_point_rad.len(),
                reported: joints,
            })?;
        self.seq = self.seq.wrapping_add(1);
        self.report.refused = self.report.state == ArmState::EStopped;
        if !self.report.refused {
            self.enter(ArmState::Active);
            self.report.position_rad = set_point_rad.clone();
            self.report.set_point_rad = set_point_rad.clone();
            self.sent_rad.push(set_point_rad);
        }
        self.fresh = true;
        Ok(self.seq)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.enter(ArmState::Held);
        Ok(())
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        self.enter(ArmState::Released);
        Ok(())
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.enter(ArmState::EStopped);
        Ok(())
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        if self.report.state == ArmState::EStopped {
            self.report.state = ArmState::Idle;
            self.session = false;
            self.fresh = true;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        let fresh = std::mem::take(&mut self.fresh);
        Ok(fresh.then(|| self.report.clone()))
    }
}
