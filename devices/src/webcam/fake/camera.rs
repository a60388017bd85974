//! What the camera can do wrong, and what its pictures look like.

use nix::errno::Errno;
use robot::device::{Picture, PixelFormat};

use super::super::abi::four_letters;

/// A format and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// The format's four letters.
    pub code: u32,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Most pictures a second.
    pub rate_hz_max: u32,
    /// Bytes of nothing after each row.
    pub padding: u32,
}

/// What happens to one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The camera stands still before it, for so many nanoseconds.
    Stall {
        /// For how long.
        ns: u64,
    },
    /// The camera is pulled out instead, and put back after so many nanoseconds.
    Unplug {
        /// For how long.
        ns: u64,
        /// What the old node answers from then on: ENODEV, or EINVAL as from a blocking node.
        answer: Errno,
    },
    /// It carries the mark of an error.
    Flagged,
    /// Only so many bytes of it arrive, without a mark.
    Short {
        /// How many.
        bytes: u32,
    },
    /// Its time stamp is of the wall clock and says so.
    WallClock,
    /// Its time stamp is of the wall clock and claims to be monotonic.
    WallClockAsMonotonic,
    /// It is handed over after the next one.
    Disordered,
    /// It is handed over in a buffer of this number.
    Index(u32),
    /// It is lost on the way.
    Lost,
    /// It is black.
    Black,
    /// It is the same as the first.
    Frozen,
}

/// Bytes of a picture before padding, or most bytes of a JPEG.
pub(super) fn bytes_max(offered: &Offered) -> u32 {
    let (row, rows) = rows(offered);
    (row + offered.padding) * rows
}

/// Bytes of a row and rows; for a JPEG, of all that one may have.
pub(super) fn rows(offered: &Offered) -> (u32, u32) {
    const YUYV: u32 = four_letters(*b"YUYV");
    const NV12: u32 = four_letters(*b"NV12");
    const RGB3: u32 = four_letters(*b"RGB3");
    match offered.code {
        YUYV => (2 * offered.width, offered.height),
        NV12 => (offered.width, offered.height / 2 * 3),
        RGB3 => (3 * offered.width, offered.height),
        _ => (offered.width, offered.height),
    }
}

/// Draws picture `number`, and returns how many bytes it has.
pub(super) fn draw(offered: &Offered, number: u64, black: bool, into: &mut [u8]) -> u32 {
    let (row, rows) = rows(offered);
    if offered.code == four_letters(*b"MJPG") {
        let length = (into.len() / 4 + 64).min(into.len());
        let picture = &mut into[..length];
        for (at, byte) in picture.iter_mut().enumerate() {
            *byte = (at % 251) as u8;
        }
        picture[..6].copy_from_slice(&[0xff, 0xd8, 0xff, 0xfe, 0, 10]);
        picture[6..14].copy_from_slice(&number.to_le_bytes());
        picture[length - 2..].copy_from_slice(&[0xff, 0xd9]);
        return length as u32;
    }
    let stride = (row + offered.padding) as usize;
    for (y, line) in into.chunks_mut(stride).take(rows as usize).enumerate() {
        for (x, byte) in line[..row as usize].iter_mut().enumerate() {
            let level = 32 + (x as u64 * 7 + y as u64 * 3 + number * 13) % 190;
            // In YUYV every second byte is a colour; in the others, what is grey does not matter.
            let colour = offered.code == four_letters(*b"YUYV") && x % 2 == 1;
            *byte = match (black, colour) {
                (_, true) => 128,
                (true, false) => 16,
                (false, false) => level as u8,
            };
        }
    }
    if !black {
        for (at, byte) in number.to_le_bytes().into_iter().enumerate() {
            into[2 * at] = byte;
        }
    }
    bytes_max(offered)
}

/// The number of a picture that this camera drew, counted over all openings.
pub fn frame_number(picture: &Picture) -> Option<u64> {
    let mut number = [0; 8];
    match picture.format {
        PixelFormat::Jpeg => number.copy_from_slice(picture.bytes.get(6..14)?),
        _ => {
            for (at, byte) in number.iter_mut().enumerate() {
                *byte = *picture.bytes.get(2 * at)?;
            }
        }
    }
    Some(u64::from_le_bytes(number))
}
