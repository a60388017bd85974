//! Registers of the XL430-W250 and the XL330-M288, which differ in one: what is measured at 126.

use crate::servo_bus::{Memory, Register, Sign, Unit};

use Memory::{Eeprom, Ram};
use Sign::TwosComplement;

/// Model number of the XL430-W250.
pub const XL430_W250: u16 = 1060;
/// Model number of the XL330-M288.
pub const XL330_M288: u16 = 1200;

/// 0.229 revolutions a minute, of 4096 ticks each.
const VELOCITY_STEP_TICKS_S: f32 = 0.229 * 4096.0 / 60.0;

/// Model number.
pub const MODEL: Register = Register::new("model", 0, 2, Eeprom).read_only();
/// Firmware version.
pub const FIRMWARE: Register = Register::new("firmware version", 6, 1, Eeprom).read_only();
/// Id, 0 to 252.
pub const ID: Register = Register::new("id", 7, 1, Eeprom);
/// Rate of the bus: 1 = 57,600 (as delivered), 3 = 1M bit/s.
pub const BAUD: Register = Register::new("baud", 8, 1, Eeprom);
/// Time between request and answer.
pub const RETURN_DELAY: Register = Register::new("return delay", 9, 1, Eeprom).in_steps(2e-6, Unit::Seconds);
/// Bit 0 turns the direction round.
pub const DRIVE_MODE: Register = Register::new("drive mode", 10, 1, Eeprom);
/// 3 position, 4 position over many turns, 5 position with a limit of current.
pub const MODE: Register = Register::new("operating mode", 11, 1, Eeprom);
/// What is added to the encoder's position to give the present one.
pub const HOMING_OFFSET: Register = Register::new("homing offset", 20, 4, Eeprom)
    .signed(TwosComplement)
    .in_steps(1.0, Unit::Ticks);
/// Temperature at which it lets go.
pub const MAX_TEMPERATURE: Register =
    Register::new("temperature limit", 31, 1, Eeprom).in_steps(1.0, Unit::Celsius);
/// Supply above which it complains.
pub const MAX_VOLTAGE: Register =
    Register::new("max voltage limit", 32, 2, Eeprom).in_steps(0.1, Unit::Volts);
/// Supply below which it complains.
pub const MIN_VOLTAGE: Register =
    Register::new("min voltage limit", 34, 2, Eeprom).in_steps(0.1, Unit::Volts);
/// Greatest goal.
pub const MAX_POSITION: Register =
    Register::new("max position limit", 48, 4, Eeprom).in_steps(1.0, Unit::Ticks);
/// Least goal.
pub const MIN_POSITION: Register =
    Register::new("min position limit", 52, 4, Eeprom).in_steps(1.0, Unit::Ticks);
/// 1 holds the goal. EEPROM cannot be written meanwhile.
pub const TORQUE_ENABLE: Register = Register::new("torque enable", 64, 1, Ram);
/// What is answered: 0 = pings, 1 = reads, too, 2 = everything.
pub const RESPONSE_LEVEL: Register = Register::new("status return level", 68, 1, Ram);
/// Faults: the bits of [`super::hardware_error`].
pub const HARDWARE_ERROR: Register = Register::new("hardware error status", 70, 1, Ram).read_only();
/// Derivative gain.
pub const D_GAIN: Register = Register::new("position D gain", 80, 2, Ram);
/// Integral gain.
pub const I_GAIN: Register = Register::new("position I gain", 82, 2, Ram);
/// Proportional gain.
pub const P_GAIN: Register = Register::new("position P gain", 84, 2, Ram);
/// Silence of the host after which it stops by itself: 1 to 127; 0 = never, -1 = it has.
pub const BUS_WATCHDOG: Register = Register::new("bus watchdog", 98, 1, Ram)
    .signed(TwosComplement)
    .in_steps(20e-3, Unit::Seconds);
/// Most current, in mode 5 (XL330).
pub const GOAL_CURRENT: Register = Register::new("goal current", 102, 2, Ram)
    .signed(TwosComplement)
    .in_steps(1e-3, Unit::Amperes);
/// Change of speed on the way to a goal, 214.577 revolutions a square minute; 0 = as fast as it can.
pub const PROFILE_ACCELERATION: Register = Register::new("profile acceleration", 108, 4, Ram)
    .in_steps(214.577 * 4096.0 / 3600.0, Unit::TicksPerSecond2);
/// Speed on the way to a goal; 0 = as fast as it can.
pub const PROFILE_VELOCITY: Register =
    Register::new("profile velocity", 112, 4, Ram).in_steps(VELOCITY_STEP_TICKS_S, Unit::TicksPerSecond);
/// Where to go.
pub const GOAL_POSITION: Register = Register::new("goal position", 116, 4, Ram)
    .signed(TwosComplement)
    .in_steps(1.0, Unit::Ticks);
/// 1 while it moves.
pub const MOVING: Register = Register::new("moving", 122, 1, Ram).read_only();
/// Of the motor (XL330).
pub const PRESENT_CURRENT: Register = Register::new("present current", 126, 2, Ram)
    .signed(TwosComplement)
    .in_steps(1e-3, Unit::Amperes)
    .read_only();
/// Of the motor, estimated (XL430).
pub const PRESENT_LOAD: Register = Register::new("present load", 126, 2, Ram)
    .signed(TwosComplement)
    .in_steps(1e-3, Unit::Share)
    .read_only();
/// How fast it moves.
pub const PRESENT_VELOCITY: Register = Register::new("present velocity", 128, 4, Ram)
    .signed(TwosComplement)
    .in_steps(VELOCITY_STEP_TICKS_S, Unit::TicksPerSecond)
    .read_only();
/// Where it is.
pub const PRESENT_POSITION: Register = Register::new("present position", 132, 4, Ram)
    .signed(TwosComplement)
    .in_steps(1.0, Unit::Ticks)
    .read_only();
/// Supply.
pub const PRESENT_VOLTAGE: Register = Register::new("present input voltage", 144, 2, Ram)
    .in_steps(0.1, Unit::Volts)
    .read_only();
/// Of the motor.
pub const PRESENT_TEMPERATURE: Register = Register::new("present temperature", 146, 1, Ram)
    .in_steps(1.0, Unit::Celsius)
    .read_only();

/// All that both models have, by address.
pub const TABLE: &[Register] = &[
    MODEL,
    FIRMWARE,
    ID,
    BAUD,
    RETURN_DELAY,
    DRIVE_MODE,
    MODE,
    HOMING_OFFSET,
    MAX_TEMPERATURE,
    MAX_VOLTAGE,
    MIN_VOLTAGE,
    MAX_POSITION,
    MIN_POSITION,
    TORQUE_ENABLE,
    RESPONSE_LEVEL,
    HARDWARE_ERROR,
    D_GAIN,
    I_GAIN,
    P_GAIN,
    BUS_WATCHDOG,
    GOAL_CURRENT,
    PROFILE_ACCELERATION,
    PROFILE_VELOCITY,
    GOAL_POSITION,
    MOVING,
    PRESENT_VELOCITY,
    PRESENT_POSITION,
    PRESENT_VOLTAGE,
    PRESENT_TEMPERATURE,
];
