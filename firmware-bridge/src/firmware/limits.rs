//! The firmware's own limits: it trusts no host.

use crate::wire::{Contract, JointLimits, JointVec, MAX_JOINTS, SerialNumber};

/// Limits of every joint, base first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FirmwareLimits {
    joints: heapless::Vec<JointLimits, MAX_JOINTS>,
}

impl FirmwareLimits {
    /// Takes one entry a joint; `None` for no joint, more than [`MAX_JOINTS`], or a limit that is not a finite number
    /// of the right sign.
    pub fn new(joints: &[JointLimits]) -> Option<Self> {
        let sound = |joint: &JointLimits| {
            joint.position_min_rad.is_finite()
                && joint.position_max_rad.is_finite()
                && joint.position_min_rad <= joint.position_max_rad
                && joint.velocity_max_rad_s.is_finite()
                && joint.velocity_max_rad_s > 0.0
                && joint.acceleration_max_rad_s2.is_finite()
                && joint.acceleration_max_rad_s2 > 0.0
        };
        if joints.is_empty() || !joints.iter().all(sound) {
            return None;
        }
        Some(Self {
            joints: heapless::Vec::from_slice(joints).ok()?,
        })
    }

    /// How many joints there are.
    pub fn joint_count(&self) -> usize {
        self.joints.len()
    }

    /// The joints, base first.
    pub fn joints(&self) -> &[JointLimits] {
        &self.joints
    }

    /// `set_point_rad` within the position limits, and whether that changed it.
    pub(super) fn clamp_position(&self, set_point_rad: &[f32]) -> (JointVec, bool) {
        let clamped: JointVec = set_point_rad
            .iter()
            .zip(&self.joints)
            .map(|(rad, joint)| rad.clamp(joint.position_min_rad, joint.position_max_rad))
            .collect();
        let changed = clamped[..] != *set_point_rad;
        (clamped, changed)
    }
}

/// How the firmware behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct FirmwareOptions {
    /// Limits a joint.
    pub limits: FirmwareLimits,
    /// Silence after which a moving arm stops, in microseconds; 2.5 control periods by custom.
    pub watchdog_us: u64,
    /// Silence after which a holding arm lets go, in microseconds.
    pub torque_grace_us: u64,
    /// Farthest a first command may lie from the pose the arm is in, a joint, in radians.
    pub jump_max_rad: f32,
    /// Telemetry every so many ticks; 0 for none but on [`super::FirmwareCore::report`] and handshakes.
    pub telemetry_every_ticks: u32,
    /// Longest time from now for which a command may be valid, in microseconds. Longer ones are refused.
    pub validity_max_us: u64,
    /// Reported in the handshake: major, minor, patch.
    pub firmware_version: [u8; 3],
    /// Who the arm is.
    pub identity: Identity,
}

/// Who an arm is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Serial number or name; empty if it has none.
    pub serial_number: SerialNumber,
    /// Chosen at random when the arm boots, so that no recording of an earlier boot fits. A simulated arm in a world that waits has a
    /// fixed one.
    pub boot_id: u64,
    /// [`crate::wire::joint_names_hash`] of the joints' names.
    pub joint_names_hash: u64,
}

/// What a firmware takes a command to be valid for at most, as a multiple of its watchdog's time, by custom. The control loop asks for
/// less than one.
pub const VALIDITY_WATCHDOGS: u64 = 4;

impl FirmwareOptions {
    /// The limits, as the arm promises them in the handshake.
    pub fn contract(&self) -> Contract {
        let capped = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
        Contract {
            joints: self.limits.joints.clone(),
            watchdog_us: capped(self.watchdog_us),
            torque_grace_us: capped(self.torque_grace_us),
            validity_max_us: capped(self.validity_max_us),
            jump_max_rad: self.jump_max_rad,
        }
    }
}
