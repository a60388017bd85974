//! Where frames come from, and the socket that brings a bridge's.
//!
//! A Unix stream socket; every message starts with its header's length.
//!
//! ```text
//!  request  +--------+------------------+
//!           | len    | Request          |        Reset { seed } | Step { command_seq } | Quit
//!           | u16 LE | postcard         |
//!           +--------+------------------+
//!  reply    +--------+------------------+----------------------------------+
//!           | len    | Reply            | width x height x RGB, row-major  |
//!           | u16 LE | postcard         | with Frame only, which names both|
//!           +--------+------------------+----------------------------------+
//! ```
//!
//! On connecting, the bridge says `Welcome`. In lockstep, frames come as replies only: one to a `Reset`, one to a
//! `Step`, which advances the world by one control period once the firmware has received the command it names. In real
//! time they come by themselves as well. One request may be open at a time. Where the world has ended the episode by itself, each
//! frame until the next `Reset` says so.

mod path;
mod protocol;
mod reader;

pub use path::{PathTooLong, check_length};
pub use protocol::{
    BridgeInfo, EARLIER_PROTOCOL_VERSION, EARLIER_SIDE, FRAME_PROTOCOL_VERSION, FrameCause, FrameHeader,
    MAX_HEADER_BYTES, MAX_PICTURE_BYTES, NO_REWARD_BITS, Refusal, Reply, Request, Welcome, monotonic_ns,
    write_header,
};
pub use reader::{MessageReader, ReadError, WithBody};
