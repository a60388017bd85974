//! The firmware's own limits: it trusts no host.

use crate::wire::{JointVec, MAX_JOINTS};

/// What one joint may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JointLimits {
    /// Smallest set point, in radians.
    pub position_min_rad: f32,
    /// Largest set point, in radians.
    pub position_max_rad: f32,
    /// Largest set-point speed, in radians a second.
    pub velocity_max_rad_s: f32,
    /// Deceleration used to stop, in radians a second squared.
    pub acceleration_max_rad_s2: f32,
}

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
    /// Reported in the handshake: major, minor, patch.
    pub firmware_version: [u8; 3],
}
