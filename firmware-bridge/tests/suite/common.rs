//! Short cuts the tests share.

use firmware_bridge::wire::{fitted_serial_number, joint_names_hash};
use firmware_bridge::{FirmwareLimits, FirmwareOptions, Identity, JointLimits};
use robot::JointVec;

pub(crate) const JOINTS: usize = 2;
pub(crate) const PERIOD_US: u64 = 100_000;
pub(crate) const TICK_US: u64 = 20_000;

pub(crate) fn limits() -> FirmwareLimits {
    let joint = JointLimits {
        position_min_rad: -2.0,
        position_max_rad: 2.0,
        velocity_max_rad_s: 1.0,
        acceleration_max_rad_s2: 5.0,
    };
    FirmwareLimits::new(&[joint; JOINTS]).unwrap()
}

pub(crate) fn firmware_options() -> FirmwareOptions {
    FirmwareOptions {
        limits: limits(),
        watchdog_us: PERIOD_US * 5 / 2,
        torque_grace_us: 1_000_000,
        jump_max_rad: 0.25,
        validity_max_us: 10 * PERIOD_US,
        telemetry_every_ticks: 1,
        firmware_version: [1, 2, 3],
        identity: identity("bench", 7),
    }
}

pub(crate) fn identity(serial_number: &str, boot_id: u64) -> Identity {
    Identity {
        serial_number: fitted_serial_number(serial_number),
        boot_id,
        joint_names_hash: joint_names_hash(["first", "second"]),
    }
}

pub(crate) fn vec(values: &[f32]) -> JointVec {
    JointVec::from_slice(values).unwrap()
}
