//! What Dynamixel's X servos are as delivered.

use super::packet::Dynamixel;
use super::registers::*;
use crate::servo_bus::Register;
use crate::survey::Maker;

impl Maker for Dynamixel {
    const BAUD: Register = BAUD;
    const BAUD_CODES: &'static [(u32, u8)] = &[
        (57_600, 1),
        (1_000_000, 3),
        (115_200, 2),
        (2_000_000, 4),
        (3_000_000, 5),
        (4_000_000, 6),
        (9_600, 0),
    ];
    const OTHER_BAUDS: &'static [u32] = &[];
    const FIRMWARE: &'static [Register] = &[FIRMWARE];
    const MIN_VOLTAGE: Register = MIN_VOLTAGE;
    const MAX_VOLTAGE: Register = MAX_VOLTAGE;
    const MAX_TEMPERATURE: Register = MAX_TEMPERATURE;
    const MAX_TORQUE: Option<Register> = None;
    const DELIVERED_ID: u8 = 1;
    const DELIVERED_BAUD: u32 = 57_600;
}
