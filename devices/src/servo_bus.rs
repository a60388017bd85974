//! A bus of servos: one line, half duplex, on which the host asks and servos answer, each by its id.
//!
//! ```text
//!  request  ->  frame of a protocol  ->  line  ->  bytes  ->  decoder  ->  answer of a servo
//! ```
//!
//! The two protocols ([`crate::feetech`], [`crate::dynamixel`]) differ in how a packet is framed and agree in what can be asked.
//! Everything here is written once, for both. Nothing here allocates once it is made.

mod bus;
mod decoder;
mod family;
pub mod joints;
mod line;
mod protocol;
mod readings;
mod register;

pub use bus::{Bus, BusCounts, BusError, Timing};
pub use decoder::{Decoder, DecoderCounts, SUSPECT_NOISE_BYTES};
pub use family::{Family, Roles, StatusBits};
pub use line::{Line, LineError, RatedLine};
pub(crate) use protocol::append;
pub use protocol::{
    Answer, BROADCAST_ID, EncodeError, Frame, Instruction, Look, PACKET_BYTES_MAX, PacketBytes, Protocol,
    Request,
};
pub use readings::{BLOCK_BYTES_MAX, Block, Reading, Readings, SERVOS_MAX};
pub use register::{Access, Memory, Register, Sign, Unit, ValueOutOfRange};
