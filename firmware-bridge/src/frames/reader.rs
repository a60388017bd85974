//! Length-prefixed messages out of a non-blocking stream.

use std::io::{self, Read};

use serde::de::DeserializeOwned;

use super::{MAX_HEADER_BYTES, MAX_PICTURE_BYTES, Reply, Request};

const LENGTH_BYTES: usize = 2;

/// Why no more messages come.
#[derive(Debug)]
pub enum ReadError {
    /// The peer closed the connection.
    Closed,
    /// What came is not this protocol; the stream cannot be followed any further.
    Malformed,
    /// The operating system's reason.
    Io(io::Error),
}

/// A message whose header says how many bytes follow it.
pub trait WithBody: DeserializeOwned {
    /// Bytes after the header.
    fn body_bytes(&self) -> usize;
}

impl WithBody for Request {
    fn body_bytes(&self) -> usize {
        0
    }
}

impl WithBody for Reply {
    fn body_bytes(&self) -> usize {
        match self {
            Self::Frame(header) => header.picture_bytes(),
            Self::Welcome(_) | Self::Refused(_) | Self::Bridge(_) => 0,
        }
    }
}

/// Collects one message at a time. It allocates only for a message that is longer than all before it.
#[derive(Debug)]
pub struct MessageReader<M> {
    buffer: Vec<u8>,
    filled: usize,
    header: Option<M>,
}

impl<M: WithBody> Default for MessageReader<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: WithBody> MessageReader<M> {
    /// One that has read nothing yet.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; LENGTH_BYTES + MAX_HEADER_BYTES],
            filled: 0,
            header: None,
        }
    }

    /// The next complete message and its body; `None` when no more has arrived.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next(&mut self, stream: &mut impl Read) -> Result<Option<(M, &[u8])>, ReadError> {
        loop {
            let header_end = LENGTH_BYTES + self.header_bytes()?;
            if self.header.is_none() && self.filled >= LENGTH_BYTES && self.filled == header_end {
                let header: M = postcard::from_bytes(&self.buffer[LENGTH_BYTES..header_end])
                    .map_err(|_| ReadError::Malformed)?;
                if header.body_bytes() > MAX_PICTURE_BYTES {
                    return Err(ReadError::Malformed);
                }
                self.header = Some(header);
            }
            let end = header_end + self.header.as_ref().map_or(0, M::body_bytes);
            if self.buffer.len() < end {
                self.buffer.resize(end, 0);
            }
            if self.filled == end
                && let Some(header) = self.header.take()
            {
                self.filled = 0;
                return Ok(Some((header, &self.buffer[header_end..end])));
            }
            match stream.read(&mut self.buffer[self.filled..end]) {
                Ok(0) => return Err(ReadError::Closed),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                    ) =>
                {
                    return Err(ReadError::Closed);
                }
                Err(error) => return Err(ReadError::Io(error)),
            }
        }
    }

    /// Length of the header under way; 0 until its two bytes are there.
    fn header_bytes(&self) -> Result<usize, ReadError> {
        if self.filled < LENGTH_BYTES {
            return Ok(0);
        }
        match usize::from(u16::from_le_bytes([self.buffer[0], self.buffer[1]])) {
            len @ 1..=MAX_HEADER_BYTES => Ok(len),
            _ => Err(ReadError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FrameCause, FrameHeader, write_header};
    use super::*;

    /// Hands out a few bytes at a time and then has no more for now.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    const PIXELS: usize = 3 * 80 * 60;

    fn header(seq: u64) -> FrameHeader {
        FrameHeader {
            seq,
            device_time_us: 1,
            captured_monotonic_ns: 2,
            reward: 0.5,
            cause: FrameCause::Step,
            ended: false,
            width: 80,
            height: 60,
        }
    }

    #[test]
    fn messages_survive_any_chopping() {
        let mut bytes = Vec::new();
        for seq in [1, 1_000_000] {
            write_header(&Reply::Frame(header(seq)), &mut bytes);
            bytes.extend_from_slice(&[seq as u8; PIXELS]);
        }
        for chop in [1, 3, 1000, 40_000] {
            let mut stream = Dribble(&bytes, chop);
            let mut reader = MessageReader::<Reply>::new();
            for seq in [1, 1_000_000] {
                let (message, body) = reader.next(&mut stream).unwrap().unwrap();
                assert_eq!(message, Reply::Frame(header(seq)));
                assert_eq!(body, [seq as u8; PIXELS]);
            }
            assert!(reader.next(&mut stream).unwrap().is_none());
        }
    }

    #[test]
    fn a_picture_that_is_too_large_is_malformed() {
        let header = Reply::Frame(FrameHeader {
            width: 4096,
            height: 4097,
            ..header(1)
        });
        let mut bytes = Vec::new();
        write_header(&header, &mut bytes);
        let read = MessageReader::<Reply>::new()
            .next(&mut Dribble(&bytes, 1000))
            .map(|_| ());
        assert!(matches!(read, Err(ReadError::Malformed)));
    }

    #[test]
    fn a_senseless_length_is_malformed() {
        for bytes in [[0, 0], [0xFF, 0xFF]] {
            let mut reader = MessageReader::<Reply>::new();
            assert!(matches!(
                reader.next(&mut Dribble(&bytes, 2)),
                Err(ReadError::Malformed)
            ));
        }
    }
}
