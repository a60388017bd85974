//! Length-prefixed messages out of a non-blocking stream.

use std::io::{self, Read};

use robot::FRAME_BYTES;
use serde::de::DeserializeOwned;

use super::{MAX_HEADER_BYTES, Reply, Request};

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

    /// Reads a header; `None` if it is none.
    fn read_header(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

impl WithBody for Request {
    fn body_bytes(&self) -> usize {
        0
    }
}

impl WithBody for Reply {
    fn body_bytes(&self) -> usize {
        match self {
            Self::Frame(_) => FRAME_BYTES,
            Self::Welcome(_) | Self::Refused(_) => 0,
        }
    }

    fn read_header(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().or_else(|| {
            // A bridge of an earlier release sends frames without their last field, `ended`.
            let mut longer = [0; MAX_HEADER_BYTES + 1];
            longer.get_mut(..bytes.len())?.copy_from_slice(bytes);
            let read = postcard::from_bytes(longer.get(..=bytes.len())?).ok()?;
            matches!(read, Self::Frame(_)).then_some(read)
        })
    }
}

/// Collects one message at a time; never allocates after it is made.
#[derive(Debug)]
pub struct MessageReader<M> {
    buffer: Box<[u8]>,
    filled: usize,
    header: Option<M>,
}

impl<M: WithBody> MessageReader<M> {
    /// One that has read nothing yet.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; LENGTH_BYTES + MAX_HEADER_BYTES + FRAME_BYTES].into_boxed_slice(),
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
                let header = M::read_header(&self.buffer[LENGTH_BYTES..header_end]);
                self.header = Some(header.ok_or(ReadError::Malformed)?);
            }
            let end = header_end + self.header.as_ref().map_or(0, M::body_bytes);
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

    #[test]
    fn messages_survive_any_chopping() {
        let header = |seq| {
            Reply::Frame(FrameHeader {
                seq,
                device_time_us: 1,
                captured_monotonic_ns: 2,
                reward: 0.5,
                cause: FrameCause::Step,
                ended: false,
            })
        };
        let mut bytes = Vec::new();
        for seq in [1, 1_000_000] {
            write_header(&header(seq), &mut bytes);
            bytes.extend_from_slice(&[seq as u8; FRAME_BYTES]);
        }
        for chop in [1, 3, 1000, 40_000] {
            let mut stream = Dribble(&bytes, chop);
            let mut reader = MessageReader::<Reply>::new();
            for seq in [1, 1_000_000] {
                let (message, body) = reader.next(&mut stream).unwrap().unwrap();
                assert_eq!(message, header(seq));
                assert_eq!(body, [seq as u8; FRAME_BYTES]);
            }
            assert!(reader.next(&mut stream).unwrap().is_none());
        }
    }

    /// A frame of a bridge from before there was `ended`, and a client from then that reads one of ours.
    #[test]
    fn peers_of_an_earlier_release_are_understood_and_understand() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct EarlierHeader(u64, u64, u64, f32, FrameCause);
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        enum EarlierReply {
            Welcome,
            Frame(EarlierHeader),
        }
        let earlier = EarlierReply::Frame(EarlierHeader(7, 1, 2, 0.5, FrameCause::Stream));
        let mut bytes = Vec::new();
        write_header(&earlier, &mut bytes);
        let ours = |ended| {
            Reply::Frame(FrameHeader {
                seq: 7,
                device_time_us: 1,
                captured_monotonic_ns: 2,
                reward: 0.5,
                cause: FrameCause::Stream,
                ended,
            })
        };
        assert_eq!(Reply::read_header(&bytes[2..]), Some(ours(false)));
        // Half of a frame's header is none, however little is missing.
        let header = &bytes[2..];
        for length in 0..header.len() {
            assert_eq!(Reply::read_header(&header[..length]), None, "{length} bytes");
        }
        for ended in [false, true] {
            bytes.clear();
            write_header(&ours(ended), &mut bytes);
            assert_eq!(
                postcard::from_bytes::<EarlierReply>(&bytes[2..]).as_ref(),
                Ok(&earlier)
            );
        }
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
