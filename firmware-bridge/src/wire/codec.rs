//! Messages to frames and back.

use core::marker::PhantomData;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ArmToHost, HelloAck, HostToArm, PROTOCOL_VERSION, cobs};

/// The longest frame on the line, delimiters included. One frame is one `write`: 256 bytes are what a tty takes
/// without splitting its timeout.
pub const MAX_FRAME_BYTES: usize = 256;

/// The longest encoded message inside a frame.
pub const MAX_MESSAGE_BYTES: usize = 240;

const CRC_BYTES: usize = 4;
const MAX_PACKET_BYTES: usize = 1 + MAX_MESSAGE_BYTES + CRC_BYTES;
const _: () = assert!(cobs::encoded_max(MAX_PACKET_BYTES) + 2 <= MAX_FRAME_BYTES);

/// A message that can be framed: one of the two directions.
pub trait Framed: Serialize {
    /// First byte of the packet.
    const KIND: u8;
}

/// A message that can also be read.
pub trait Message: Framed + Sized {
    /// Reads what follows the first byte, without the CRC. `None` for what is no such message.
    fn from_body(body: &[u8]) -> Option<Self>;
}

impl Framed for HostToArm {
    const KIND: u8 = b'H';
}

impl Message for HostToArm {
    fn from_body(body: &[u8]) -> Option<Self> {
        whole(body).or_else(|| {
            let (
                EarlierHostToArm::Hello {
                    protocol_version,
                    host_time_us,
                },
                rest,
            ) = postcard::take_from_bytes(body).ok()?;
            // A Hello of our version without a nonce is how a host asks who is there, in the words of version 1.
            (protocol_version != PROTOCOL_VERSION || rest.is_empty()).then_some(Self::Hello {
                protocol_version,
                host_time_us,
                host_nonce: 0,
            })
        })
    }
}

impl Framed for ArmToHost {
    const KIND: u8 = b'A';
}

impl Message for ArmToHost {
    fn from_body(body: &[u8]) -> Option<Self> {
        whole(body).or_else(|| {
            let (
                EarlierArmToHost::HelloAck {
                    protocol_version,
                    joints,
                    firmware_version,
                    host_time_echo_us,
                    device_time_us,
                },
                _,
            ) = postcard::take_from_bytes(body).ok()?;
            (protocol_version != PROTOCOL_VERSION).then(|| {
                Self::HelloAck(HelloAck::of_another_version(
                    protocol_version,
                    joints,
                    firmware_version,
                    host_time_echo_us,
                    device_time_us,
                ))
            })
        })
    }
}

/// The Hello of version 1. Later versions begin with the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum EarlierHostToArm {
    Hello {
        protocol_version: u16,
        host_time_us: u64,
    },
}

impl Framed for EarlierHostToArm {
    const KIND: u8 = HostToArm::KIND;
}

/// The answer to a Hello of version 1. Later versions begin with the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum EarlierArmToHost {
    HelloAck {
        protocol_version: u16,
        joints: u8,
        firmware_version: [u8; 3],
        host_time_echo_us: u64,
        device_time_us: u64,
    },
}

impl Framed for EarlierArmToHost {
    const KIND: u8 = ArmToHost::KIND;
}

/// A message that takes up all of `body`.
fn whole<M: DeserializeOwned>(body: &[u8]) -> Option<M> {
    let (message, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(message)
}

/// A message was not framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes; a frame carries no more")]
    MessageTooLong,
    /// The caller's buffer is too short; [`MAX_FRAME_BYTES`] always suffice.
    #[error("the buffer is too short for the frame; {MAX_FRAME_BYTES} bytes always suffice")]
    BufferTooShort,
}

/// Frames `message` into `buffer` and returns the bytes to send, delimiters included.
///
/// # Errors
/// [`EncodeError`]; with a buffer of [`MAX_FRAME_BYTES`] no message of this protocol fails.
pub fn encode<'b, M: Framed>(message: &M, buffer: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut packet = [0; MAX_PACKET_BYTES];
    packet[0] = M::KIND;
    let body = postcard::to_slice(message, &mut packet[1..=MAX_MESSAGE_BYTES])
        .map_err(|_| EncodeError::MessageTooLong)?
        .len();
    let crc = crc32(&packet[..=body]);
    packet[1 + body..1 + body + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    let packet = &packet[..1 + body + CRC_BYTES];

    let (first, rest) = buffer.split_first_mut().ok_or(EncodeError::BufferTooShort)?;
    *first = 0;
    let coded = cobs::encode(packet, rest).ok_or(EncodeError::BufferTooShort)?;
    *rest.get_mut(coded).ok_or(EncodeError::BufferTooShort)? = 0;
    Ok(&buffer[..coded + 2])
}

/// Frames a Hello with the fields that version 1 had, into `buffer`. An arm of version 1 cannot read a longer one, and so could not say
/// which version it speaks. An arm of our version does not answer it.
///
/// # Errors
/// [`EncodeError::BufferTooShort`]; [`MAX_FRAME_BYTES`] always suffice.
pub fn encode_earlier_hello(host_time_us: u64, buffer: &mut [u8]) -> Result<&[u8], EncodeError> {
    let hello = EarlierHostToArm::Hello {
        protocol_version: PROTOCOL_VERSION,
        host_time_us,
    };
    encode(&hello, buffer)
}

fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Finds messages in a stream of bytes, whatever lies between them.
#[derive(Debug, Clone)]
pub struct Decoder<M> {
    buffer: [u8; MAX_FRAME_BYTES],
    len: usize,
    /// The frame under way is too long to be one; what is left of it is skipped.
    overflow: bool,
    good_frames: u32,
    bad_frames: u32,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Self {
            buffer: [0; MAX_FRAME_BYTES],
            len: 0,
            overflow: false,
            good_frames: 0,
            bad_frames: 0,
            message: PhantomData,
        }
    }
}

impl<M: Message> Decoder<M> {
    /// Takes one byte; returns the message that it completes, if it does.
    pub fn push(&mut self, byte: u8) -> Option<M> {
        if byte != 0 {
            match self.buffer.get_mut(self.len) {
                Some(slot) => {
                    *slot = byte;
                    self.len += 1;
                }
                None => self.overflow = true,
            }
            return None;
        }
        let (len, overflow) = (self.len, self.overflow);
        self.len = 0;
        self.overflow = false;
        if len == 0 {
            // Two delimiters in a row: the end of one frame and the start of the next.
            return None;
        }
        let message = if overflow {
            None
        } else {
            parse(&mut self.buffer[..len])
        };
        match message {
            Some(_) => self.good_frames = self.good_frames.wrapping_add(1),
            None => self.bad_frames = self.bad_frames.wrapping_add(1),
        }
        message
    }

    /// Frames that decoded, since the decoder was made; wraps.
    pub fn good_frames(&self) -> u32 {
        self.good_frames
    }

    /// Frames that failed COBS, length, kind, CRC or message decoding, since the decoder was made; wraps.
    pub fn bad_frames(&self) -> u32 {
        self.bad_frames
    }
}

fn parse<M: Message>(frame: &mut [u8]) -> Option<M> {
    let len = cobs::decode_in_place(frame)?;
    let (packet, crc) = frame[..len].split_at(len.checked_sub(CRC_BYTES)?);
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    if crc32(packet) != crc {
        return None;
    }
    let (&kind, body) = packet.split_first()?;
    if kind != M::KIND {
        return None;
    }
    M::from_body(body)
}
