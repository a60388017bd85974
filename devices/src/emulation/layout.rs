//! What an emulated servo is as delivered, and how it says no.

use crate::dynamixel::{self, Dynamixel};
use crate::feetech::{self, Feetech};
use crate::servo_bus::Register;
use crate::survey::Maker;

/// A kind of servo that is emulated.
pub trait Emulated: Maker {
    /// The model that is emulated unless another is asked for.
    const MODEL: u16;
    /// First address that is not kept without power.
    const RAM_BEGIN: u16;
    /// What each register holds as delivered, where that is not 0.
    const DELIVERED: &'static [(Register, i64)];

    /// The error byte of an answer: `status` bits of the servo, `refusal` of the request (0 = none).
    fn error_byte(status: u8, refusal: u8) -> u8;
}

/// Reason of a refusal: a number out of range.
pub(super) const REFUSED_LIMIT: u8 = 6;
/// Reason of a refusal: a register that cannot be written, or not now.
pub(super) const REFUSED_ACCESS: u8 = 7;

impl Emulated for Feetech {
    const MODEL: u16 = feetech::registers::STS3215;
    const RAM_BEGIN: u16 = 40;
    const DELIVERED: &'static [(Register, i64)] = {
        use feetech::registers::*;
        &[
            (FIRMWARE_MAJOR, 3),
            (FIRMWARE_MINOR, 10),
            (RETURN_DELAY, 250),
            (RESPONSE_LEVEL, 1),
            (MAX_POSITION, 4095),
            (MAX_TEMPERATURE, 70),
            (MAX_VOLTAGE, 140),
            (MIN_VOLTAGE, 40),
            (MAX_TORQUE, 1000),
            (TORQUE_LIMIT, 1000),
            (LOCK, 1),
        ]
    };

    fn error_byte(status: u8, _refusal: u8) -> u8 {
        status
    }
}

impl Emulated for Dynamixel {
    const MODEL: u16 = dynamixel::registers::XL430_W250;
    const RAM_BEGIN: u16 = 64;
    const DELIVERED: &'static [(Register, i64)] = {
        use dynamixel::registers::*;
        &[
            (RETURN_DELAY, 250),
            (BAUD, 1),
            (MODE, 3),
            (FIRMWARE, 46),
            (MAX_TEMPERATURE, 72),
            (MAX_VOLTAGE, 160),
            (MIN_VOLTAGE, 60),
            (MAX_POSITION, 4095),
            (RESPONSE_LEVEL, 2),
        ]
    };

    fn error_byte(status: u8, refusal: u8) -> u8 {
        refusal | if status == 0 { 0 } else { 0x80 }
    }
}
