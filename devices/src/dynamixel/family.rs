//! What the XL430-W250 and the XL330-M288 can do.

use super::packet::{Dynamixel, hardware_error};
use super::registers::*;
use crate::servo_bus::{Block, Family, Register, Roles, StatusBits};

const FEEDBACK_ADDRESS: u16 = PRESENT_LOAD.address;

/// Everything from load or current up to an address.
const fn up_to(end: u16) -> Block {
    Block {
        address: FEEDBACK_ADDRESS,
        length: (end - FEEDBACK_ADDRESS) as u8,
    }
}

impl Family for Dynamixel {
    const ROLES: Roles = Roles {
        model: MODEL,
        id: ID,
        return_delay: RETURN_DELAY,
        response_level: RESPONSE_LEVEL,
        min_position: MIN_POSITION,
        max_position: MAX_POSITION,
        homing_offset: HOMING_OFFSET,
        mode: MODE,
        torque_enable: TORQUE_ENABLE,
        goal_position: GOAL_POSITION,
        acceleration: PROFILE_ACCELERATION,
        velocity: PROFILE_VELOCITY,
        torque_limit: None,
        present_position: PRESENT_POSITION,
        present_velocity: PRESENT_VELOCITY,
        present_load: PRESENT_LOAD,
        present_current: None,
        present_voltage: PRESENT_VOLTAGE,
        present_temperature: PRESENT_TEMPERATURE,
        status: HARDWARE_ERROR,
        moving: MOVING,
        lock: None,
        watchdog: Some(BUS_WATCHDOG),
        gains: [P_GAIN, I_GAIN, D_GAIN],
        protection_current: None,
        overload_torque: None,
        counts_turns: None,
    };
    const WORD: &'static str = "dynamixel";
    const MODELS: &'static [(u16, &'static str)] = &[(XL430_W250, "XL430-W250"), (XL330_M288, "XL330-M288")];
    const TICKS_PER_TURN: u16 = 4096;
    const RESPONSE_ALL: u8 = 2;
    const POSITION_MODE: u8 = 3;
    /// The maker's manual allows a quarter of a turn in position mode.
    const HOMING_MAX_TICKS: i64 = 1024;
    const HOMING_ADDS: bool = true;
    /// The encoder jumps, and the offset is added afterwards.
    const HOMING_MOVES_SEAM: bool = false;
    /// The second is longer than what it is read for, so that its length is its own.
    const FEEDBACK: [Block; 4] = [
        up_to(PRESENT_POSITION.end()),
        up_to(PRESENT_POSITION.end() + 4),
        up_to(PRESENT_VOLTAGE.end()),
        up_to(PRESENT_TEMPERATURE.end()),
    ];
    const EXTRAS: &'static [Register] = &[HARDWARE_ERROR, BUS_WATCHDOG];
    const STATUS_BITS: StatusBits = StatusBits {
        voltage: hardware_error::VOLTAGE,
        temperature: hardware_error::TEMPERATURE,
        encoder: hardware_error::ENCODER,
        current: hardware_error::SHOCK,
        overload: hardware_error::OVERLOAD,
    };

    fn effort(model: u16) -> Register {
        if model == XL330_M288 {
            PRESENT_CURRENT
        } else {
            PRESENT_LOAD
        }
    }

    fn status_of(_error: u8) -> u8 {
        0
    }

    fn alerted(error: u8) -> bool {
        Self::alert(error)
    }
}
