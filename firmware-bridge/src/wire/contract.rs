//! What an arm says of itself in the handshake: who it is, and which limits it keeps by itself.

use serde::{Deserialize, Serialize};

use super::MAX_JOINTS;

/// The longest serial number, in bytes of UTF-8: what the answer to a Hello has room for with [`MAX_JOINTS`] joints.
pub const SERIAL_NUMBER_MAX_BYTES: usize = 24;

/// Serial number or name of an arm.
pub type SerialNumber = heapless::String<SERIAL_NUMBER_MAX_BYTES>;

/// What one joint may do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JointLimits {
    /// Smallest set point, in radians.
    pub position_min_rad: f32,
    /// Largest set point, in radians.
    pub position_max_rad: f32,
    /// Largest set-point speed, in radians a second.
    pub velocity_max_rad_s: f32,
    /// Deceleration used to stop, and most that the speed of a set point gains, in radians a second squared.
    pub acceleration_max_rad_s2: f32,
}

/// The limits that an arm keeps by itself, whatever it is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Limits a joint, base first.
    pub joints: heapless::Vec<JointLimits, MAX_JOINTS>,
    /// Silence after which a moving arm stops, in microseconds. `u32::MAX` stands for all longer times, here and below.
    pub watchdog_us: u32,
    /// Silence after which a holding arm lets go, in microseconds.
    pub torque_grace_us: u32,
    /// Longest time for which the arm takes a command to be valid, in microseconds.
    pub validity_max_us: u32,
    /// Farthest a first command may lie from the pose that the arm is in, in radians a joint.
    pub jump_max_rad: f32,
}

/// `name` as far as it has room, cut between characters.
pub fn fitted_serial_number(name: &str) -> SerialNumber {
    let mut fitted = SerialNumber::new();
    for letter in name.chars() {
        if fitted.push(letter).is_err() {
            break;
        }
    }
    fitted
}

/// A number that stands for the names of an arm's joints and their order, base first: FNV-1a over 64 bits, with a zero byte after
/// each name. Host and arm compare it, so that an arm with as many joints as another is not taken for it.
pub fn joint_names_hash<'a>(names: impl IntoIterator<Item = &'a str>) -> u64 {
    const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    names
        .into_iter()
        .flat_map(|name| name.bytes().chain([0]))
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
