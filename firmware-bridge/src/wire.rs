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
//!
//! # Sessions
//!
//! Each Hello that opens a session brings a nonce of the host. The arm answers with a nonce of its own, which it makes afresh for
//! each session from its boot id, a counter and the host's nonce. Every message that can move an arm, let it go or unlatch it
//! carries the arm's nonce, and so does telemetry. A message with another nonce has no effect: it belongs to an earlier session, to
//! a recording, or to another arm. [`HostToArm::Stop`] and [`HostToArm::EStop`] carry none and are obeyed from anybody, since
//! they only stop.
//!
//! The nonces are no cryptography. They guard against recordings, mix-ups and faults, not against somebody who listens to the line
//! and answers on it.
//!
//! # Versions
//!
//! Version 2 appended fields to the messages of version 1 and kept the order of the kinds. [`HostToArm::Stop`] and
//! [`HostToArm::EStop`] have the bytes that they had in version 1. Hello and HelloAck of any other version are read as far as their
//! fields of version 1 go, so that each side can name the version of the other ([`HelloAck::of_another_version`]).

mod cobs;
mod codec;
mod contract;

use serde::{Deserialize, Serialize};

pub(crate) use codec::EarlierArmToHost;
pub use codec::{
    Decoder, EncodeError, Framed, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, Message, encode, encode_earlier_hello,
};
pub use contract::{
    Contract, JointLimits, SERIAL_NUMBER_MAX_BYTES, SerialNumber, fitted_serial_number, joint_names_hash,
};

/// Raised whenever a message changes; host and arm refuse each other when it differs.
pub const PROTOCOL_VERSION: u16 = 2;

/// The most joints a message carries.
pub const MAX_JOINTS: usize = 8;

/// One number a joint, base first. The same type as `robot::JointVec`.
pub type JointVec = heapless::Vec<f32, MAX_JOINTS>;

/// The nonce of messages outside any session. No session has it.
pub const NO_SESSION: u64 = 0;

/// What the host says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostToArm {
    /// Opens a session: sequence numbers start anew, and commands are accepted from here on.
    Hello {
        /// The host's [`PROTOCOL_VERSION`].
        protocol_version: u16,
        /// Host clock at sending.
        host_time_us: u64,
        /// Chosen by the host afresh for each session; never 0. The answer echoes it.
        #[serde(with = "postcard::fixint::le")]
        host_nonce: u64,
    },
    /// Move to a set point.
    Command(Command),
    /// Controlled stop: decelerate, then hold. Obeyed without a session.
    Stop,
    /// Controlled stop, then torque off.
    Release {
        /// Nonce of the session.
        #[serde(with = "postcard::fixint::le")]
        session_nonce: u64,
    },
    /// Torque off at once, latched. Obeyed without a session.
    EStop,
    /// A person has cleared the emergency stop. Ends the session, and takes effect with the next [`HostToArm::Hello`].
    ClearEStop {
        /// Nonce of the session.
        #[serde(with = "postcard::fixint::le")]
        session_nonce: u64,
    },
    /// Asks for a [`ArmToHost::Pong`], which everybody gets. Within the session it also tells a holding arm that the host is
    /// there.
    Ping {
        /// Host clock at sending.
        host_time_us: u64,
        /// Nonce of the session, or [`NO_SESSION`].
        #[serde(with = "postcard::fixint::le")]
        session_nonce: u64,
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
    /// Nonce of the session.
    #[serde(with = "postcard::fixint::le")]
    pub session_nonce: u64,
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
        /// Nonce of the arm's session, or [`NO_SESSION`].
        #[serde(with = "postcard::fixint::le")]
        session_nonce: u64,
    },
}

/// Who answers, and what it promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The Hello's nonce, unchanged.
    #[serde(with = "postcard::fixint::le")]
    pub host_nonce_echo: u64,
    /// Nonce of the session that this opens; never [`NO_SESSION`].
    #[serde(with = "postcard::fixint::le")]
    pub session_nonce: u64,
    /// Chosen by the arm at random when it booted.
    #[serde(with = "postcard::fixint::le")]
    pub boot_id: u64,
    /// Serial number or name of the arm; empty if it has none.
    pub serial_number: SerialNumber,
    /// [`joint_names_hash`] of the arm's joints.
    #[serde(with = "postcard::fixint::le")]
    pub joint_names_hash: u64,
    /// Limits that the arm keeps by itself, whatever it is told.
    pub contract: Contract,
}

impl HelloAck {
    /// What is known of an arm that speaks another version of the protocol: nothing beyond the fields that version 1 had.
    pub fn of_another_version(
        protocol_version: u16,
        joints: u8,
        firmware_version: [u8; 3],
        host_time_echo_us: u64,
        device_time_us: u64,
    ) -> Self {
        Self {
            protocol_version,
            joints,
            firmware_version,
            host_time_echo_us,
            device_time_us,
            host_nonce_echo: 0,
            session_nonce: NO_SESSION,
            boot_id: 0,
            serial_number: SerialNumber::new(),
            joint_names_hash: 0,
            contract: Contract::default(),
        }
    }
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
    /// Commands refused because the state allows none, or because the joints have not been measured yet.
    pub rejected_state: u32,
    /// Commands whose set point was moved to a position limit.
    pub clamped: u32,
    /// Frames that failed COBS, CRC or decoding.
    pub bad_frames: u32,
    /// Nonce of the session, or [`NO_SESSION`].
    #[serde(with = "postcard::fixint::le")]
    pub session_nonce: u64,
    /// Increases by one a telemetry message since boot, wrapping.
    pub telemetry_seq: u32,
    /// Messages refused because they carried the nonce of another session.
    pub rejected_session: u32,
    /// Commands refused because they would stay valid for longer than the arm allows ([`Contract::validity_max_us`]).
    pub rejected_validity: u32,
}

/// Whether sequence number `a` comes after `b`, allowing for wrap-around.
pub fn seq_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}
