//! What a kind of servo can do, as data: which register does what, which are read together, and what its fault bits mean.

use super::protocol::Protocol;
use super::readings::Block;
use super::register::Register;

/// Which register does what.
#[derive(Debug, Clone, Copy)]
pub struct Roles {
    /// Model number.
    pub model: Register,
    /// Id.
    pub id: Register,
    /// Time between request and answer.
    pub return_delay: Register,
    /// What is answered.
    pub response_level: Register,
    /// Least goal.
    pub min_position: Register,
    /// Greatest goal.
    pub max_position: Register,
    /// Difference between encoder and present position.
    pub homing_offset: Register,
    /// What a goal means.
    pub mode: Register,
    /// Torque on or off.
    pub torque_enable: Register,
    /// Where to go.
    pub goal_position: Register,
    /// Change of speed on the way there; 0 = as fast as it can.
    pub acceleration: Register,
    /// Speed on the way there; 0 = as fast as it can.
    pub velocity: Register,
    /// Most torque.
    pub torque_limit: Option<Register>,
    /// Where it is.
    pub present_position: Register,
    /// How fast it moves.
    pub present_velocity: Register,
    /// How hard it pulls, as a share of the most.
    pub present_load: Register,
    /// Its motor's current.
    pub present_current: Option<Register>,
    /// Its supply.
    pub present_voltage: Register,
    /// How hot it is.
    pub present_temperature: Register,
    /// Its faults: bits.
    pub status: Register,
    /// Whether it moves.
    pub moving: Register,
    /// 0 = what is written to EEPROM stays.
    pub lock: Option<Register>,
    /// Silence of the host after which it stops by itself; 0 = never, negative = it has.
    pub watchdog: Option<Register>,
    /// Proportional, integral and derivative gain of its position.
    pub gains: [Register; 3],
    /// Current at which it protects itself.
    pub protection_current: Option<Register>,
    /// Torque that is an overload.
    pub overload_torque: Option<Register>,
    /// A bit that must be 0 for positions within one turn, where there is one.
    pub counts_turns: Option<(Register, u8)>,
}

/// What the bits of the status register mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusBits {
    /// Voltage outside of the servo's own limits.
    pub voltage: u8,
    /// Too hot.
    pub temperature: u8,
    /// Encoder at fault.
    pub encoder: u8,
    /// Too much current.
    pub current: u8,
    /// Too much load for too long: the servo has let go.
    pub overload: u8,
}

/// A kind of servo.
pub trait Family: Protocol {
    /// Which register does what.
    const ROLES: Roles;
    /// The name that `arm` of a robot file has for arms of them.
    const WORD: &'static str;
    /// Model numbers that are known, with their names.
    const MODELS: &'static [(u16, &'static str)];
    /// Ticks of a whole turn. Positions lie below.
    const TICKS_PER_TURN: u16;
    /// The mode in which a goal is a position within one turn.
    const POSITION_MODE: u8;
    /// The response level at which reads and writes are answered.
    const RESPONSE_ALL: u8;
    /// The greatest homing offset in that mode, in ticks, either way.
    const HOMING_MAX_TICKS: i64;
    /// Whether the homing offset is added to the encoder's position, or taken from it.
    const HOMING_ADDS: bool;
    /// Whether the homing offset moves the place at which the position jumps by a turn.
    const HOMING_MOVES_SEAM: bool;
    /// What is read in turn, a period each. All hold position and velocity, and no two are equally long: an answer that comes up to
    /// three periods late has the wrong length.
    const FEEDBACK: [Block; 4];
    /// What is asked of one servo a period, in turn, where a sync read does not reach it.
    const EXTRAS: &'static [Register];
    /// What its fault bits mean.
    const STATUS_BITS: StatusBits;

    /// How hard a servo of this model pulls: the register that says so, in its unit.
    fn effort(model: u16) -> Register;

    /// Fault bits that the error byte of every answer shows.
    fn status_of(error: u8) -> u8;

    /// Whether the error byte of an answer says that the status register is worth a look.
    fn alerted(error: u8) -> bool;
}
