//! Length-prefixed messages out of a non-blocking stream.

use std::io::{self, Read};

use serde::de::DeserializeOwned;

use super::{
    EARLIER_PROTOCOL_VERSION, EARLIER_SIDE, MAX_HEADER_BYTES, MAX_PICTURE_BYTES, Reply, Request, Welcome,
};

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

    /// Reads a header; `None` if it is none. Where the peer is an `earlier` one, the header may lack what was added since.
    fn read_header(bytes: &[u8], _earlier: bool) -> Option<Self> {
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
            Self::Frame(header) => header.picture_bytes(),
            Self::Welcome(_) | Self::Refused(_) | Self::Bridge(_) => 0,
        }
    }

    fn read_header(bytes: &[u8], earlier: bool) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((Self::Welcome(welcome), rest)) if welcome.protocol_version == EARLIER_PROTOCOL_VERSION => {
                let info = postcard::from_bytes(rest).ok()?;
                Some(Self::Welcome(Welcome {
                    earlier: Some(info),
                    ..welcome
                }))
            }
            Ok((reply, _)) if !earlier => Some(reply),
            Ok((reply @ (Self::Welcome(_) | Self::Refused(_)), _)) => Some(reply),
            _ if earlier => earlier_frame(bytes),
            _ => None,
        }
    }
}

/// A frame's header of an earlier peer, without its last fields: `width`, `height`, and perhaps `ended`.
fn earlier_frame(bytes: &[u8]) -> Option<Reply> {
    [
        &[EARLIER_SIDE, EARLIER_SIDE][..],
        &[0, EARLIER_SIDE, EARLIER_SIDE],
    ]
    .into_iter()
    .find_map(|missing| {
        let mut longer = [0; MAX_HEADER_BYTES + 3];
        let longer = longer.get_mut(..bytes.len() + missing.len())?;
        longer[..bytes.len()].copy_from_slice(bytes);
        longer[bytes.len()..].copy_from_slice(missing);
        match postcard::take_from_bytes(longer) {
            Ok((reply @ Reply::Frame(_), [])) => Some(reply),
            _ => None,
        }
    })
}

/// Collects one message at a time. It allocates only for a message that is longer than all before it.
#[derive(Debug)]
pub struct MessageReader<M> {
    buffer: Vec<u8>,
    filled: usize,
    header: Option<M>,
    /// Whether the peer is of [`EARLIER_PROTOCOL_VERSION`].
    pub earlier: bool,
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
            earlier: false,
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
                let header = M::read_header(&self.buffer[LENGTH_BYTES..header_end], self.earlier)
                    .ok_or(ReadError::Malformed)?;
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
    use super::super::{BridgeInfo, FrameCause, FrameHeader, write_header};
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

    /// What servers of before say, with and without the last field that they had.
    #[test]
    fn servers_of_an_earlier_release_are_understood() {
        #[derive(serde::Serialize)]
        struct EarlierWelcome(u16, bool, u32, u8);
        #[derive(serde::Serialize)]
        struct EarlierHeader(u64, u64, u64, f32, FrameCause);
        #[derive(serde::Serialize)]
        struct LaterHeader(u64, u64, u64, f32, FrameCause, bool);
        #[derive(serde::Serialize)]
        enum Earlier {
            Welcome(EarlierWelcome),
            Frame(EarlierHeader),
        }
        #[derive(serde::Serialize)]
        enum Later {
            #[expect(dead_code, reason = "the first variant's place is taken")]
            Welcome,
            Frame(LaterHeader),
        }
        let mut bytes = Vec::new();
        write_header(
            &Earlier::Welcome(EarlierWelcome(1, false, 100_000, 2)),
            &mut bytes,
        );
        let info = BridgeInfo {
            lockstep: false,
            period_us: 100_000,
            joints: 2,
        };
        let welcome = Reply::Welcome(Welcome {
            protocol_version: 1,
            earlier: Some(info),
        });
        assert_eq!(Reply::read_header(&bytes[2..], false), Some(welcome));
        let expected = |ended| {
            Some(Reply::Frame(FrameHeader {
                ended,
                width: 64,
                height: 64,
                ..header(7)
            }))
        };
        let stamp = (7, 1, 2, 0.5, FrameCause::Step);
        bytes.clear();
        write_header(
            &Earlier::Frame(EarlierHeader(stamp.0, stamp.1, stamp.2, stamp.3, stamp.4)),
            &mut bytes,
        );
        assert_eq!(Reply::read_header(&bytes[2..], true), expected(false));
        assert_eq!(
            Reply::read_header(&bytes[2..], false),
            None,
            "a server of now says how large"
        );
        // Half of a header is none, however little is missing.
        for length in 0..bytes.len() - 2 {
            assert_eq!(
                Reply::read_header(&bytes[2..][..length], true),
                None,
                "{length} bytes"
            );
        }
        bytes.clear();
        write_header(
            &Later::Frame(LaterHeader(stamp.0, stamp.1, stamp.2, stamp.3, stamp.4, true)),
            &mut bytes,
        );
        assert_eq!(Reply::read_header(&bytes[2..], true), expected(true));
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
