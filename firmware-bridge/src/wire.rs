//! What travels between host and arm, and how it is framed. No allocation, no operating system.
//!
//! ```text
//!  on the line   00 | COBS( packet ) | 00
//!
//!  packet        +------+----------------------------+-----------------+
//!                | kind | message, postcard          | CRC-32, little  |
//!                | 1 B  | up to MAX_MESSAGE_BYTES    | endian, 4 B     |
//!                +------+----------------------------+-----------------+
//!                  'H' host to arm, 'A' arm to host;
//!                  the CRC covers kind and message
//! ```
//!
//! COBS removes every zero byte from the packet, so that a zero always ends a frame: after any noise the decoder is in
//! step again at the next zero. The leading zero means that noise in front of a frame costs the noise only. The kind
//! byte makes an echoing port (transmit wired to receive) show as bad frames and never as telemetry.
//!
//! Two clocks appear. `host_time_us` is the host's monotonic clock and is only ever echoed by the arm. Everything
//! named `device_time_us` or `valid_until_us` is microseconds of the arm's own clock since it booted.

mod cobs;
mod codec;

use serde::{Deserialize, Serialize};

pub use codec::{Decoder, EncodeError, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, Message, encode};

/// Raised whenever a message changes; host and arm refuse each other when it differs.
pub const PROTOCOL_VERSION: u16 = 1;

/// The most joints a message carries.
pub const MAX_JOINTS: usize = 8;

/// One number a joint, base first. The same type as `robot::JointVec`.
pub type JointVec = heapless::Vec<f32, MAX_JOINTS>;

/// What the host says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostToArm {
    /// Opens a session: sequence numbers start anew, and commands are accepted from here on.
    Hello {
        /// The host's [`PROTOCOL_VERSION`].
        protocol_version: u16,
        /// Host clock at sending.
        host_time_us: u64,
    },
    /// Move to a set point.
    Command(Command),
    /// Controlled stop: decelerate, then hold.
    Stop,
    /// Controlled stop, then torque off.
    Release,
    /// Torque off at once, latched.
    EStop,
    /// A person has cleared the emergency stop. Takes effect with the next [`HostToArm::Hello`].
    ClearEStop,
    /// Asks for a [`ArmToHost::Pong`]; also tells a holding arm that the host is there.
    Ping {
        /// Host clock at sending.
        host_time_us: u64,
    },
}

/// A set point and how long it may take, or stay, to count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Increases by one a command, wrapping; starts anew with each session.
    pub seq: u32,
    /// Host clock at sending.
    pub host_time_us: u64,
    /// Device clock after which the arm must ignore this command.
    pub valid_until_us: u64,
    /// Time over which the arm interpolates to the set point.
    pub move_time_us: u32,
    /// Where every joint should be at the end of it.
    pub set_point_rad: JointVec,
}

/// What the arm says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ArmToHost {
    /// Answers [`HostToArm::Hello`].
    HelloAck(HelloAck),
    /// State, at a fixed rate.
    Telemetry(Telemetry),
    /// Answers [`HostToArm::Ping`].
    Pong {
        /// The ping's host time, unchanged.
        host_time_echo_us: u64,
        /// Device clock when the ping was read.
        device_time_us: u64,
    },
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAck {
    /// The arm's [`PROTOCOL_VERSION`].
    pub protocol_version: u16,
    /// How many joints it drives.
    pub joints: u8,
    /// Firmware version: major, minor, patch.
    pub firmware_version: [u8; 3],
    /// The Hello's host time, unchanged.
    pub host_time_echo_us: u64,
    /// Device clock when the Hello was read.
    pub device_time_us: u64,
}

/// Where the firmware's state machine stands; the firmware core's documentation explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirmwareState {
    /// Torque off, waiting for a first command.
    Idle,
    /// Following commands.
    Active,
    /// Decelerating.
    Stopping,
    /// At rest with torque.
    Held,
    /// Torque off after a stop; needs a new handshake.
    Released,
    /// Torque off, latched.
    EStopped,
}

/// Why the arm last stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// It has not stopped since it last became active.
    None,
    /// No valid command for longer than the watchdog allows.
    Watchdog,
    /// The host sent Stop.
    HostStop,
    /// The host sent Release.
    HostRelease,
    /// Emergency stop.
    EStop,
    /// A new session began while the arm was moving.
    NewSession,
    /// A rig placed the arm at a start pose.
    Placed,
}

/// What the arm measures and counts. Counters start at boot and wrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Host time of the newest message that carried one.
    pub host_time_echo_us: u64,
    /// Device clock when that message was read.
    pub echo_received_us: u64,
    /// Device clock of this measurement.
    pub device_time_us: u64,
    /// Sequence number of the last command **accepted** in this session; 0 before the first.
    pub last_command_seq: u32,
    /// Newest sequence number **received** in this session, accepted or not; 0 before the first.
    pub received_seq: u32,
    /// State.
    pub state: FirmwareState,
    /// Why it last stopped.
    pub stop_reason: StopReason,
    /// Measured positions.
    pub position_rad: JointVec,
    /// Measured or estimated velocities.
    pub velocity_rad_s: JointVec,
    /// What the motors are asked for now; the measured position while torque is off.
    pub set_point_rad: JointVec,
    /// Commands refused because their sequence number did not increase.
    pub rejected_sequence: u32,
    /// Commands refused because they were past their valid-until.
    pub rejected_age: u32,
    /// Commands refused for a wrong joint count, a number that is not finite, or a jump.
    pub rejected_content: u32,
    /// Commands refused because the state allows none, or because no handshake preceded them.
    pub rejected_state: u32,
    /// Commands whose set point was moved to a position limit.
    pub clamped: u32,
    /// Frames that failed COBS, CRC or decoding.
    pub bad_frames: u32,
}

/// Whether sequence number `a` comes after `b`, allowing for wrap-around.
pub fn seq_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}
