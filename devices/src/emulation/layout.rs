//! Which register does what, for each protocol.

use crate::dynamixel::{self, Dynamixel};
use crate::feetech::{self, Feetech};
use crate::servo_bus::{Protocol, Register};

/// The registers that an emulated servo acts on.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Model number.
    pub model: Register,
    /// The model that is emulated unless another is asked for.
    pub model_number: u16,
    /// Id.
    pub id: Register,
    /// Time between request and answer.
    pub return_delay: Register,
    /// Least goal.
    pub min_position: Register,
    /// Greatest goal.
    pub max_position: Register,
    /// Difference between encoder and present position.
    pub homing_offset: Register,
    /// Whether that difference is added to the encoder's position, or taken from it.
    pub homing_adds: bool,
    /// Mode.
    pub mode: Register,
    /// Mode in which the goal is a position.
    pub position_mode: u8,
    /// Torque on or off.
    pub torque_enable: Register,
    /// Goal.
    pub goal_position: Register,
    /// Change of speed.
    pub acceleration: Register,
    /// Speed.
    pub velocity: Register,
    /// Where it is.
    pub present_position: Register,
    /// How fast it moves.
    pub present_velocity: Register,
    /// Load or current, as a share of the most in steps of a thousandth.
    pub present_load: Register,
    /// Supply.
    pub present_voltage: Register,
    /// Temperature.
    pub present_temperature: Register,
    /// Fault bits.
    pub status: Register,
    /// Whether it moves.
    pub moving: Register,
    /// First address that is not kept without power.
    pub ram_begin: u16,
    /// Keeps EEPROM from being written for good.
    pub lock: Option<Register>,
    /// Stops it when the host falls silent.
    pub watchdog: Option<Register>,
    /// What each register holds as delivered, where that is not 0.
    pub delivered: &'static [(Register, i64)],
}

/// A protocol whose servos are emulated.
pub trait Emulated: Protocol {
    /// Its registers.
    const LAYOUT: Layout;

    /// The error byte of an answer: `status` bits of the servo, `refusal` of the request (0 = none).
    fn error_byte(status: u8, refusal: u8) -> u8;
}

/// Reason of a refusal: a number out of range.
pub(super) const REFUSED_LIMIT: u8 = 6;
/// Reason of a refusal: a register that cannot be written, or not now.
pub(super) const REFUSED_ACCESS: u8 = 7;

impl Emulated for Feetech {
    const LAYOUT: Layout = {
        use feetech::registers::*;
        Layout {
            model: MODEL,
            model_number: STS3215,
            id: ID,
            return_delay: RETURN_DELAY,
            min_position: MIN_POSITION,
            max_position: MAX_POSITION,
            homing_offset: HOMING_OFFSET,
            homing_adds: false,
            mode: MODE,
            position_mode: 0,
            torque_enable: TORQUE_ENABLE,
            goal_position: GOAL_POSITION,
            acceleration: ACCELERATION,
            velocity: GOAL_VELOCITY,
            present_position: PRESENT_POSITION,
            present_velocity: PRESENT_VELOCITY,
            present_load: PRESENT_LOAD,
            present_voltage: PRESENT_VOLTAGE,
            present_temperature: PRESENT_TEMPERATURE,
            status: STATUS,
            moving: MOVING,
            ram_begin: 40,
            lock: Some(LOCK),
            watchdog: None,
            delivered: &[
                (RETURN_DELAY, 250),
                (RESPONSE_LEVEL, 1),
                (MAX_POSITION, 4095),
                (MAX_TEMPERATURE, 70),
                (MAX_VOLTAGE, 140),
                (MIN_VOLTAGE, 40),
                (MAX_TORQUE, 1000),
                (TORQUE_LIMIT, 1000),
                (LOCK, 1),
            ],
        }
    };

    fn error_byte(status: u8, _refusal: u8) -> u8 {
        status
    }
}

impl Emulated for Dynamixel {
    const LAYOUT: Layout = {
        use dynamixel::registers::*;
        Layout {
            model: MODEL,
            model_number: XL430_W250,
            id: ID,
            return_delay: RETURN_DELAY,
            min_position: MIN_POSITION,
            max_position: MAX_POSITION,
            homing_offset: HOMING_OFFSET,
            homing_adds: true,
            mode: MODE,
            position_mode: 3,
            torque_enable: TORQUE_ENABLE,
            goal_position: GOAL_POSITION,
            acceleration: PROFILE_ACCELERATION,
            velocity: PROFILE_VELOCITY,
            present_position: PRESENT_POSITION,
            present_velocity: PRESENT_VELOCITY,
            present_load: PRESENT_LOAD,
            present_voltage: PRESENT_VOLTAGE,
            present_temperature: PRESENT_TEMPERATURE,
            status: HARDWARE_ERROR,
            moving: MOVING,
            ram_begin: 64,
            lock: None,
            watchdog: Some(BUS_WATCHDOG),
            delivered: &[
                (RETURN_DELAY, 250),
                (BAUD, 1),
                (MODE, 3),
                (MAX_TEMPERATURE, 72),
                (MAX_POSITION, 4095),
                (RESPONSE_LEVEL, 2),
            ],
        }
    };

    fn error_byte(status: u8, refusal: u8) -> u8 {
        refusal | if status == 0 { 0 } else { 0x80 }
    }
}
