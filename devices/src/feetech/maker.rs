//! What Feetech's STS servos are as delivered.

use super::packet::Feetech;
use super::registers::*;
use crate::servo_bus::Register;
use crate::survey::Maker;

impl Maker for Feetech {
    const BAUD: Register = BAUD;
    const BAUD_CODES: &'static [(u32, u8)] = &[
        (1_000_000, 0),
        (500_000, 1),
        (250_000, 2),
        (128_000, 3),
        (115_200, 4),
    ];
    /// Sources differ on which code means which of these, so they are listened at and never written.
    const OTHER_BAUDS: &'static [u32] = &[76_800, 57_600, 38_400, 19_200];
    const FIRMWARE: &'static [Register] = &[FIRMWARE_MAJOR, FIRMWARE_MINOR];
    const MIN_VOLTAGE: Register = MIN_VOLTAGE;
    const MAX_VOLTAGE: Register = MAX_VOLTAGE;
    const MAX_TEMPERATURE: Register = MAX_TEMPERATURE;
    const MAX_TORQUE: Option<Register> = Some(MAX_TORQUE);
    const DELIVERED_ID: u8 = 1;
    const DELIVERED_BAUD: u32 = 1_000_000;
}
