//! Messages of USB/IP: 48 bytes of header with numbers of four bytes, the first one first, and the data.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

const HEADER_BYTES: usize = 48;

/// EPIPE: a transfer that the device does not have.
pub(super) const STALL: i32 = -32;

/// ECONNRESET: a transfer that was taken back.
const TAKEN_BACK: i32 = -104;

/// What the kernel asks for.
#[derive(Debug)]
pub(super) enum Request {
    Control { seq: u32, setup: [u8; 8], data: Vec<u8> },
    Bulk { seq: u32, length: usize },
    Unlink { seq: u32, victim: u32 },
}

/// Waits for a request.
pub(super) fn read(from: &mut UnixStream) -> io::Result<Request> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let seq = word(4);
    if word(0) == 2 {
        let victim = word(20);
        return Ok(Request::Unlink { seq, victim });
    }
    let (inwards, endpoint, length) = (word(12) == 1, word(16), word(24) as usize);
    let mut data = vec![0; if inwards { 0 } else { length }];
    from.read_exact(&mut data)?;
    if endpoint == 0 {
        let mut setup = [0; 8];
        setup.copy_from_slice(&header[40..]);
        return Ok(Request::Control { seq, setup, data });
    }
    Ok(Request::Bulk { seq, length })
}

/// Tells how the transfer `seq` ended, and that `length` bytes went over.
pub(super) fn submitted(
    to: &mut UnixStream,
    seq: u32,
    status: i32,
    length: usize,
    data: &[u8],
) -> io::Result<()> {
    write(to, 3, seq, status, length, data)
}

/// Tells whether the transfer that `seq` takes back was still waiting.
pub(super) fn unlinked(to: &mut UnixStream, seq: u32, waited: bool) -> io::Result<()> {
    write(to, 4, seq, if waited { TAKEN_BACK } else { 0 }, 0, &[])
}

fn write(
    to: &mut UnixStream,
    command: u32,
    seq: u32,
    status: i32,
    length: usize,
    data: &[u8],
) -> io::Result<()> {
    let mut message = vec![0; HEADER_BYTES];
    message[..4].copy_from_slice(&command.to_be_bytes());
    message[4..8].copy_from_slice(&seq.to_be_bytes());
    message[20..24].copy_from_slice(&status.to_be_bytes());
    message[24..28].copy_from_slice(&(length as u32).to_be_bytes());
    message.extend_from_slice(data);
    to.write_all(&message)
}
