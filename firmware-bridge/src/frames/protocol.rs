//! The frame socket's messages.

use serde::{Deserialize, Serialize};

/// Raised whenever a message of the frame socket changes so that an earlier peer cannot read it.
pub const FRAME_PROTOCOL_VERSION: u16 = 2;

/// The version of before, whose servers are still understood: they tell of their arm in their welcome, and their pictures have
/// [`EARLIER_SIDE`] rows of as many pixels.
pub const EARLIER_PROTOCOL_VERSION: u16 = 1;

/// See [`EARLIER_PROTOCOL_VERSION`].
pub const EARLIER_SIDE: u8 = 64;

/// The largest picture: 3 bytes a pixel, 4096 x 4096 pixels.
pub const MAX_PICTURE_BYTES: usize = 3 * 4096 * 4096;

/// The longest postcard header of any message.
pub const MAX_HEADER_BYTES: usize = 64;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Start a new episode; answered by a frame of its start.
    Reset {
        /// Draws start pose and target.
        seed: u64,
    },
    /// Lockstep only: advance one control period; answered by the frame at its end.
    Step {
        /// Wait, for a bounded time, until the firmware has received this command; `None` to advance without one.
        command_seq: Option<u32>,
    },
    /// End the bridge. Not answered.
    Quit,
    /// Tell of the world behind the camera; answered by [`Reply::Bridge`], and refused by a camera that has none.
    Describe,
}

/// What the bridge says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// First message on every connection.
    Welcome(Welcome),
    /// A frame; its pixels follow.
    Frame(FrameHeader),
    /// The request could not be carried out.
    Refused(Refusal),
    /// Answers [`Request::Describe`].
    Bridge(BridgeInfo),
}

/// Whom the client has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The bridge's [`FRAME_PROTOCOL_VERSION`].
    pub protocol_version: u16,
    /// What a bridge of [`EARLIER_PROTOCOL_VERSION`] says of its arm in the same breath. Not sent any more.
    #[serde(skip)]
    pub earlier: Option<BridgeInfo>,
}

/// The world behind a camera: what a controller must agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeInfo {
    /// Whether the world waits for `Step`.
    pub lockstep: bool,
    /// Control period in microseconds.
    pub period_us: u32,
    /// Joints of the arm.
    pub joints: u8,
}

/// What goes with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// Increases with every frame the bridge makes.
    pub seq: u64,
    /// Device clock at capture, in microseconds.
    pub device_time_us: u64,
    /// The machine's CLOCK_MONOTONIC at capture, in nanoseconds. Both ends of a Unix socket share that clock.
    pub captured_monotonic_ns: u64,
    /// The task's reward at capture; [`NO_REWARD_BITS`] where nobody gave one. Read it with [`FrameHeader::reward`].
    pub reward: f32,
    /// Why it was sent.
    pub cause: FrameCause,
    /// Whether the world has ended the episode by itself, at this frame or before it. Since then it stands still.
    pub ended: bool,
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The bits of the NaN that stands for a reward that nobody gave. A peer that does not know it takes it for a reward that is no
/// number, and leaves the frame out of training. A plant that computes a NaN makes another one.
pub const NO_REWARD_BITS: u32 = 0x7fc0_a4e5;

impl FrameHeader {
    /// Bytes of the picture that follows: red, green, blue a pixel, rows from the top.
    pub fn picture_bytes(&self) -> usize {
        3 * usize::from(self.width) * usize::from(self.height)
    }

    /// The task's reward at capture; `None` where nobody gave one.
    pub fn reward(&self) -> Option<f32> {
        Some(self.reward).filter(|reward| reward.to_bits() != NO_REWARD_BITS)
    }

    /// `reward` as [`FrameHeader::reward`] reads it.
    pub fn reward_field(reward: Option<f32>) -> f32 {
        reward.unwrap_or(f32::from_bits(NO_REWARD_BITS))
    }
}

/// Why a frame was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameCause {
    /// Answers `Reset`.
    Reset,
    /// Answers `Step`.
    Step,
    /// Real time: another physics step has passed.
    Stream,
}

/// Why a request could not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// `Step` in real time.
    #[error("the bridge runs in real time and cannot be stepped; start it in lockstep")]
    NotLockstep,
    /// The command that `Step` names did not arrive.
    #[error("the command to wait for did not reach the firmware; check the serial side of the bridge")]
    CommandNotDelivered,
    /// The request could not be read.
    #[error("the request could not be read; use the bridge and the client of one release")]
    Malformed,
    /// [`Request::Describe`] or [`Request::Reset`] to a camera without a world behind it.
    #[error("this is a camera alone, which has nothing to reset and tells of no arm")]
    NotABridge,
    /// Another client is connected.
    #[error("another client is connected to the bridge; close it first")]
    Occupied,
}

/// Appends length and header to `out`.
pub fn write_header<M: Serialize>(message: &M, out: &mut Vec<u8>) {
    let mut buffer = [0; MAX_HEADER_BYTES];
    // Every message of this protocol is shorter than MAX_HEADER_BYTES; a test encodes the longest.
    let header = postcard::to_slice(message, &mut buffer)
        .map(|header| &*header)
        .unwrap_or(&[]);
    out.extend_from_slice(&(header.len() as u16).to_le_bytes());
    out.extend_from_slice(header);
}

/// The machine's CLOCK_MONOTONIC, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .unwrap_or_else(|_| nix::sys::time::TimeSpec::new(0, 0));
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_header_fits() {
        let longest = Reply::Frame(FrameHeader {
            seq: u64::MAX,
            device_time_us: u64::MAX,
            captured_monotonic_ns: u64::MAX,
            reward: f32::MAX,
            cause: FrameCause::Stream,
            ended: true,
            width: u16::MAX,
            height: u16::MAX,
        });
        let mut out = Vec::new();
        write_header(&longest, &mut out);
        assert_eq!(postcard::from_bytes::<Reply>(&out[2..]), Ok(longest));
        out.clear();
        let request = Request::Step {
            command_seq: Some(u32::MAX),
        };
        write_header(&request, &mut out);
        assert_eq!(postcard::from_bytes::<Request>(&out[2..]), Ok(request));
    }
}
