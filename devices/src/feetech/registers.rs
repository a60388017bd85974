//! Registers of the STS3215 (model 777). Addresses agree in `rustypot` and LeRobot; some units come from third parties.

use crate::servo_bus::{Memory, Register, Sign, Unit};

use Memory::{Eeprom, Ram};

/// Model number of the STS3215.
pub const STS3215: u16 = 777;

/// Firmware version, the first number.
pub const FIRMWARE_MAJOR: Register = Register::new("firmware major", 0, 1, Eeprom).read_only();
/// Firmware version, the second number.
pub const FIRMWARE_MINOR: Register = Register::new("firmware minor", 1, 1, Eeprom).read_only();
/// Model number.
pub const MODEL: Register = Register::new("model", 3, 2, Eeprom).read_only();
/// Id, 0 to 253.
pub const ID: Register = Register::new("id", 5, 1, Eeprom);
/// Rate of the bus: 0 to 4 are 1M, 500k, 250k, 128k and 115.2k bit/s. Sources differ on 5 to 7.
pub const BAUD: Register = Register::new("baud", 6, 1, Eeprom);
/// Time between request and answer.
pub const RETURN_DELAY: Register = Register::new("return delay", 7, 1, Eeprom).in_steps(2e-6, Unit::Seconds);
/// What is answered: 0 = reads and pings, 1 = writes, too.
pub const RESPONSE_LEVEL: Register = Register::new("response level", 8, 1, Eeprom);
/// Least goal.
pub const MIN_POSITION: Register = Register::new("min position", 9, 2, Eeprom).in_steps(1.0, Unit::Ticks);
/// Greatest goal.
pub const MAX_POSITION: Register = Register::new("max position", 11, 2, Eeprom).in_steps(1.0, Unit::Ticks);
/// Temperature at which it lets go.
pub const MAX_TEMPERATURE: Register =
    Register::new("max temperature", 13, 1, Eeprom).in_steps(1.0, Unit::Celsius);
/// Voltage above which it complains.
pub const MAX_VOLTAGE: Register = Register::new("max voltage", 14, 1, Eeprom).in_steps(0.1, Unit::Volts);
/// Voltage below which it complains.
pub const MIN_VOLTAGE: Register = Register::new("min voltage", 15, 1, Eeprom).in_steps(0.1, Unit::Volts);
/// Most torque; copied to [`TORQUE_LIMIT`] when it starts.
pub const MAX_TORQUE: Register = Register::new("max torque", 16, 2, Eeprom).in_steps(1e-3, Unit::Share);
/// Flags of the servo's phase; bit 4 makes it count turns.
pub const PHASE: Register = Register::new("phase", 18, 1, Eeprom);
/// Proportional gain.
pub const P_GAIN: Register = Register::new("P", 21, 1, Eeprom);
/// Derivative gain.
pub const D_GAIN: Register = Register::new("D", 22, 1, Eeprom);
/// Integral gain.
pub const I_GAIN: Register = Register::new("I", 23, 1, Eeprom);
/// Current at which it protects itself.
pub const PROTECTION_CURRENT: Register =
    Register::new("protection current", 28, 2, Eeprom).in_steps(6.5e-3, Unit::Amperes);
/// What is taken from the encoder's position to give the present one.
pub const HOMING_OFFSET: Register = Register::new("homing offset", 31, 2, Eeprom)
    .signed(Sign::Bit(11))
    .in_steps(1.0, Unit::Ticks);
/// 0 position, 1 velocity, 2 PWM, 3 steps.
pub const MODE: Register = Register::new("mode", 33, 1, Eeprom);
/// Torque that stays once it is overloaded.
pub const PROTECTIVE_TORQUE: Register =
    Register::new("protective torque", 34, 1, Eeprom).in_steps(1e-2, Unit::Share);
/// How long an overload may last.
pub const PROTECTION_TIME: Register =
    Register::new("protection time", 35, 1, Eeprom).in_steps(1e-2, Unit::Seconds);
/// Torque that is an overload.
pub const OVERLOAD_TORQUE: Register =
    Register::new("overload torque", 36, 1, Eeprom).in_steps(1e-2, Unit::Share);
/// How long [`PROTECTION_CURRENT`] may be exceeded.
pub const OVERCURRENT_TIME: Register =
    Register::new("over-current time", 38, 1, Eeprom).in_steps(1e-2, Unit::Seconds);
/// 1 holds the goal. 128 makes the present position 2048: never written here.
pub const TORQUE_ENABLE: Register = Register::new("torque enable", 40, 1, Ram);
/// Change of speed; 0 = as fast as it can.
pub const ACCELERATION: Register =
    Register::new("acceleration", 41, 1, Ram).in_steps(100.0, Unit::TicksPerSecond2);
/// Where to go.
pub const GOAL_POSITION: Register = Register::new("goal position", 42, 2, Ram)
    .signed(Sign::Bit(15))
    .in_steps(1.0, Unit::Ticks);
/// Time to get there.
pub const GOAL_TIME: Register = Register::new("goal time", 44, 2, Ram);
/// Speed on the way there; 0 = as fast as it can.
pub const GOAL_VELOCITY: Register = Register::new("goal velocity", 46, 2, Ram)
    .signed(Sign::Bit(15))
    .in_steps(1.0, Unit::TicksPerSecond);
/// Most torque now.
pub const TORQUE_LIMIT: Register = Register::new("torque limit", 48, 2, Ram).in_steps(1e-3, Unit::Share);
/// 0 = what is written to EEPROM stays.
pub const LOCK: Register = Register::new("lock", 55, 1, Ram);
/// Where it is.
pub const PRESENT_POSITION: Register = Register::new("present position", 56, 2, Ram)
    .signed(Sign::Bit(15))
    .in_steps(1.0, Unit::Ticks)
    .read_only();
/// How fast it moves.
pub const PRESENT_VELOCITY: Register = Register::new("present velocity", 58, 2, Ram)
    .signed(Sign::Bit(15))
    .in_steps(1.0, Unit::TicksPerSecond)
    .read_only();
/// Share of the motor's voltage that it is driven with.
pub const PRESENT_LOAD: Register = Register::new("present load", 60, 2, Ram)
    .signed(Sign::Bit(10))
    .in_steps(1e-3, Unit::Share)
    .read_only();
/// Supply.
pub const PRESENT_VOLTAGE: Register = Register::new("present voltage", 62, 1, Ram)
    .in_steps(0.1, Unit::Volts)
    .read_only();
/// Of the motor.
pub const PRESENT_TEMPERATURE: Register = Register::new("present temperature", 63, 1, Ram)
    .in_steps(1.0, Unit::Celsius)
    .read_only();
/// Faults: the bits of [`super::status`].
pub const STATUS: Register = Register::new("status", 65, 1, Ram).read_only();
/// 1 while it moves.
pub const MOVING: Register = Register::new("moving", 66, 1, Ram).read_only();
/// Of the motor.
pub const PRESENT_CURRENT: Register = Register::new("present current", 69, 2, Ram)
    .signed(Sign::Bit(15))
    .in_steps(6.5e-3, Unit::Amperes)
    .read_only();
/// Greatest speed.
pub const MAX_VELOCITY: Register = Register::new("max velocity", 84, 1, Ram);
/// Greatest change of speed.
pub const MAX_ACCELERATION: Register =
    Register::new("max acceleration", 85, 1, Ram).in_steps(100.0, Unit::TicksPerSecond2);

/// All of them, by address.
pub const TABLE: &[Register] = &[
    FIRMWARE_MAJOR,
    FIRMWARE_MINOR,
    MODEL,
    ID,
    BAUD,
    RETURN_DELAY,
    RESPONSE_LEVEL,
    MIN_POSITION,
    MAX_POSITION,
    MAX_TEMPERATURE,
    MAX_VOLTAGE,
    MIN_VOLTAGE,
    MAX_TORQUE,
    PHASE,
    P_GAIN,
    D_GAIN,
    I_GAIN,
    PROTECTION_CURRENT,
    HOMING_OFFSET,
    MODE,
    PROTECTIVE_TORQUE,
    PROTECTION_TIME,
    OVERLOAD_TORQUE,
    OVERCURRENT_TIME,
    TORQUE_ENABLE,
    ACCELERATION,
    GOAL_POSITION,
    GOAL_TIME,
    GOAL_VELOCITY,
    TORQUE_LIMIT,
    LOCK,
    PRESENT_POSITION,
    PRESENT_VELOCITY,
    PRESENT_LOAD,
    PRESENT_VOLTAGE,
    PRESENT_TEMPERATURE,
    STATUS,
    MOVING,
    PRESENT_CURRENT,
    MAX_VELOCITY,
    MAX_ACCELERATION,
];
