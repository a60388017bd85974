//! How Feetech servos frame a packet.
//!
//! ```text
//!  request   FF FF | ID | LEN | INST | params ... | SUM
//!  answer    FF FF | ID | LEN | ERR  | data ...   | SUM
//!
//!  LEN = params + 2;  SUM = low byte of not (ID + LEN + INST + params)
//! ```
//!
//! Nothing tells a request from an answer: where the adapter hears itself, a request for two bytes reads like an answer of two bytes,
//! and a ping like the answer of a servo at fault. [`crate::servo_bus::Bus`] compares with what it sent. The sum finds every
//! damage to one byte and one in 256 of the others does not: who reads checks id and length, too, and what the numbers say.

use crate::servo_bus::{Answer, EncodeError, Frame, Look, PACKET_BYTES_MAX, PacketBytes, Protocol, append};

const HEADER: u8 = 0xFF;
/// Header, id and length.
const BEFORE_BYTES: usize = 4;

/// Bits of the error byte and of the status register.
pub mod status {
    /// Voltage outside its limits.
    pub const VOLTAGE: u8 = 1 << 0;
    /// Encoder at fault.
    pub const ENCODER: u8 = 1 << 1;
    /// Too hot.
    pub const TEMPERATURE: u8 = 1 << 2;
    /// Too much current.
    pub const CURRENT: u8 = 1 << 3;
    /// Too much load for too long: the servo has let go.
    pub const OVERLOAD: u8 = 1 << 5;
}

/// The protocol of Feetech's STS series.
#[derive(Debug, Clone, Copy)]
pub struct Feetech;

impl Protocol for Feetech {
    const NAME: &'static str = "Feetech STS";
    const ID_MAX: u8 = 253;
    const ADDRESS_BYTES: usize = 1;
    const ANSWER_BYTES: usize = BEFORE_BYTES + 2;
    const MODEL_ADDRESS: u16 = super::registers::MODEL.address;

    fn frame(id: u8, code: u8, params: &[u8], into: &mut PacketBytes) -> Result<(), EncodeError> {
        if params.len() + Self::ANSWER_BYTES > PACKET_BYTES_MAX {
            return Err(EncodeError::TooLong);
        }
        into.clear();
        let length = params.len() as u8 + 2;
        for bytes in [&[HEADER, HEADER, id, length, code], params] {
            append(into, bytes)?;
        }
        let sum = sum(&into[2..]);
        append(into, &[sum])
    }

    fn frame_answer(answer: Answer<'_>, into: &mut PacketBytes) -> Result<(), EncodeError> {
        Self::frame(answer.id, answer.error, answer.data, into)
    }

    fn look(bytes: &[u8], longest: usize) -> Look {
        let Some(begin) = bytes.iter().position(|byte| *byte == HEADER) else {
            return Look::Noise(bytes.len());
        };
        if begin > 0 {
            return Look::Noise(begin);
        }
        // A third FF is no id: the packet, if there is one, begins a byte later.
        if bytes.get(1).is_some_and(|byte| *byte != HEADER)
            || bytes.get(2).is_some_and(|byte| *byte == HEADER)
        {
            return Look::Noise(1);
        }
        let Some(length) = bytes.get(3).copied().map(usize::from) else {
            return Look::Unfinished;
        };
        let whole = BEFORE_BYTES + length;
        if length < 2 || whole > longest {
            return Look::Noise(1);
        }
        match bytes.get(..whole) {
            None => Look::Unfinished,
            Some(packet) if sum(&packet[2..whole - 1]) == packet[whole - 1] => Look::Packet(whole),
            Some(_) => Look::Damaged,
        }
    }

    fn open(packet: &[u8], body: &mut PacketBytes) -> (u8, u8) {
        body.clear();
        if let [_, _, id, _, code, data @ .., _] = packet {
            // No packet is longer than the buffer.
            let _ = body.extend_from_slice(data);
            (*id, *code)
        } else {
            (HEADER, 0)
        }
    }

    fn answer(frame: Frame<'_>) -> Option<Answer<'_>> {
        // The highest bit stands for no fault: it is a request for several.
        (frame.id <= Self::ID_MAX && frame.code < 0x80).then_some(Answer {
            id: frame.id,
            error: frame.code,
            data: frame.body,
        })
    }

    fn refusal(_error: u8) -> Option<u8> {
        // The error byte tells of the servo, not of the request.
        None
    }

    fn answer_bytes_max(length: usize) -> usize {
        Self::ANSWER_BYTES + length
    }
}

fn sum(bytes: &[u8]) -> u8 {
    !bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}
