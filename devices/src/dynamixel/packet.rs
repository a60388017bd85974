//! How Dynamixel servos frame a packet, protocol 2.
//!
//! ```text
//!  request   FF FF FD 00 | ID | LEN_L LEN_H | INST | params ...     | CRC_L CRC_H
//!  answer    FF FF FD 00 | ID | LEN_L LEN_H | 55   | ERR | data ... | CRC_L CRC_H
//!
//!  LEN = what follows it, stuffed; the CRC covers all before it, stuffed
//! ```

use crate::servo_bus::{Answer, EncodeError, Frame, Look, PACKET_BYTES_MAX, PacketBytes, Protocol, append};

use super::crc::crc;
use super::stuffing::{stuff, unstuff};

const HEADER: [u8; 4] = [0xFF, 0xFF, 0xFD, 0x00];
/// Header, id and length.
const BEFORE_BYTES: usize = 7;
/// The code of every answer.
const STATUS: u8 = 0x55;
/// Bit 7 of the error byte: the servo is at fault; its register says why.
const ALERT: u8 = 0x80;

/// Bits of the hardware error register.
pub mod hardware_error {
    /// Voltage outside its limits.
    pub const VOLTAGE: u8 = 1 << 0;
    /// Too hot.
    pub const TEMPERATURE: u8 = 1 << 2;
    /// Encoder at fault.
    pub const ENCODER: u8 = 1 << 3;
    /// Electric shock, or too little power.
    pub const SHOCK: u8 = 1 << 4;
    /// Too much load for too long: the servo has let go.
    pub const OVERLOAD: u8 = 1 << 5;
}

/// Dynamixel's protocol 2.
#[derive(Debug, Clone, Copy)]
pub struct Dynamixel;

impl Dynamixel {
    /// Whether an answer's error byte says that the servo is at fault.
    pub fn alert(error: u8) -> bool {
        error & ALERT != 0
    }
}

impl Protocol for Dynamixel {
    const NAME: &'static str = "Dynamixel 2";
    const ID_MAX: u8 = 252;
    const ADDRESS_BYTES: usize = 2;
    const ANSWER_BYTES: usize = BEFORE_BYTES + 4;
    const MODEL_ADDRESS: u16 = super::registers::MODEL.address;

    fn frame(id: u8, code: u8, params: &[u8], into: &mut PacketBytes) -> Result<(), EncodeError> {
        into.clear();
        append(into, &HEADER)?;
        append(into, &[id, 0, 0, code])?;
        let mut fits = Ok(());
        stuff(params, |byte| {
            if fits.is_ok() {
                fits = append(into, &[byte]);
            }
        });
        fits?;
        let length = (into.len() + 2 - BEFORE_BYTES) as u16;
        into[5..BEFORE_BYTES].copy_from_slice(&length.to_le_bytes());
        let crc = crc(into);
        append(into, &crc.to_le_bytes())
    }

    fn frame_answer(answer: Answer<'_>, into: &mut PacketBytes) -> Result<(), EncodeError> {
        let mut params = PacketBytes::new();
        append(&mut params, &[answer.error])?;
        append(&mut params, answer.data)?;
        Self::frame(answer.id, STATUS, &params, into)
    }

    fn look(bytes: &[u8], longest: usize) -> Look {
        let Some(begin) = bytes.iter().position(|byte| *byte == HEADER[0]) else {
            return Look::Noise(bytes.len());
        };
        if begin > 0 {
            return Look::Noise(begin);
        }
        if bytes.iter().zip(HEADER).any(|(byte, header)| *byte != header) {
            return Look::Noise(1);
        }
        let &[_, _, _, _, _, low, high, ..] = bytes else {
            return Look::Unfinished;
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let whole = BEFORE_BYTES + length;
        if length < 3 || whole > longest.min(PACKET_BYTES_MAX) {
            return Look::Noise(1);
        }
        match bytes.get(..whole) {
            None => Look::Unfinished,
            Some(packet) if crc(&packet[..whole - 2]).to_le_bytes() == packet[whole - 2..] => {
                Look::Packet(whole)
            }
            Some(_) => Look::Damaged,
        }
    }

    fn open(packet: &[u8], body: &mut PacketBytes) -> (u8, u8) {
        body.clear();
        if let [_, _, _, _, id, _, _, code, data @ .., _, _] = packet {
            // No packet is longer than the buffer.
            unstuff(data, |byte| {
                let _ = body.push(byte);
            });
            (*id, *code)
        } else {
            (u8::MAX, 0)
        }
    }

    fn answer(frame: Frame<'_>) -> Option<Answer<'_>> {
        let (error, data) = frame.body.split_first()?;
        (frame.code == STATUS && frame.id <= Self::ID_MAX).then_some(Answer {
            id: frame.id,
            error: *error,
            data,
        })
    }

    fn refusal(error: u8) -> Option<u8> {
        let number = error & !ALERT;
        (number != 0).then_some(number)
    }

    fn answer_bytes_max(length: usize) -> usize {
        // A byte is added to every three at most.
        Self::ANSWER_BYTES + length + length.div_ceil(3)
    }
}
