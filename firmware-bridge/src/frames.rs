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
//!           | len    | Reply            | 64 x 64 x RGB, row-major         |
//!           | u16 LE | postcard         | 12,288 bytes, with Frame only    |
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
mod socket;

pub use path::PathTooLong;
pub(crate) use path::{check_length, kind_of};
pub use protocol::{
    FRAME_PROTOCOL_VERSION, FrameCause, FrameHeader, MAX_HEADER_BYTES, NO_REWARD_BITS, Refusal, Reply,
    Request, Welcome,
};
pub(crate) use protocol::{monotonic_ns, write_header};
pub(crate) use reader::{MessageReader, ReadError};
pub use socket::{Delivered, FrameError, FrameSocket};

use robot::Frame;

/// A frame's number and age.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameStamp {
    /// Increases with every frame of a source; gaps are frames that were dropped in favour of newer ones.
    pub seq: u64,
    /// Nanoseconds from capture until the frame was handed over. Subtract it from any monotonic clock's present to
    /// get the capture time on that clock.
    pub age_ns: u64,
    /// The task's reward when it was captured, from sources that know one.
    pub reward: Option<f32>,
    /// Whether the world has ended the episode by itself, at this frame or before it.
    pub ended: bool,
}

/// A camera, real or simulated, that never makes its caller wait.
pub trait FrameSource: Send {
    /// Drains what has arrived to the newest frame and, if that is newer than the last one handed over, copies it into
    /// `into`. Never blocks.
    ///
    /// # Errors
    /// [`FrameError`] when the source is gone.
    fn poll(&mut self, into: &mut Frame) -> Result<Option<FrameStamp>, FrameError>;
}
