//! What Feetech's STS3215 can do.

use super::packet::{Feetech, status};
use super::registers::*;
use crate::servo_bus::{Block, Family, Register, Roles, StatusBits};

const FEEDBACK_ADDRESS: u16 = PRESENT_POSITION.address;

/// Everything from the position up to the end of a register.
const fn up_to(last: Register) -> Block {
    Block {
        address: FEEDBACK_ADDRESS,
        length: (last.end() - FEEDBACK_ADDRESS) as u8,
    }
}

impl Family for Feetech {
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
        acceleration: ACCELERATION,
        velocity: GOAL_VELOCITY,
        torque_limit: Some(TORQUE_LIMIT),
        present_position: PRESENT_POSITION,
        present_velocity: PRESENT_VELOCITY,
        present_load: PRESENT_LOAD,
        present_current: Some(PRESENT_CURRENT),
        present_voltage: PRESENT_VOLTAGE,
        present_temperature: PRESENT_TEMPERATURE,
        status: STATUS,
        moving: MOVING,
        lock: Some(LOCK),
        watchdog: None,
        gains: [P_GAIN, I_GAIN, D_GAIN],
        protection_current: Some(PROTECTION_CURRENT),
        overload_torque: Some(OVERLOAD_TORQUE),
        counts_turns: Some((PHASE, 1 << 4)),
    };
    const WORD: &'static str = "feetech";
    const MODELS: &'static [(u16, &'static str)] = &[(STS3215, "STS3215")];
    const TICKS_PER_TURN: u16 = 4096;
    const RESPONSE_ALL: u8 = 1;
    const POSITION_MODE: u8 = 0;
    const HOMING_MAX_TICKS: i64 = 2047;
    const HOMING_ADDS: bool = false;
    const HOMING_MOVES_SEAM: bool = true;
    const FEEDBACK: [Block; 4] = [
        up_to(PRESENT_LOAD),
        up_to(PRESENT_TEMPERATURE),
        up_to(STATUS),
        up_to(PRESENT_CURRENT),
    ];
    const EXTRAS: &'static [Register] = &[];
    const STATUS_BITS: StatusBits = StatusBits {
        voltage: status::VOLTAGE,
        temperature: status::TEMPERATURE,
        encoder: status::ENCODER,
        current: status::CURRENT,
        overload: status::OVERLOAD,
    };

    fn effort(_model: u16) -> Register {
        PRESENT_LOAD
    }

    fn status_of(error: u8) -> u8 {
        error
    }

    fn alerted(_error: u8) -> bool {
        // Every answer says all there is to know.
        false
    }
}
