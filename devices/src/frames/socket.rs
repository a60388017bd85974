//! The client's end of the frame socket.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firmware_bridge::frames::{
    BridgeInfo, FRAME_PROTOCOL_VERSION, FrameCause, FrameHeader, MessageReader, PathTooLong, ReadError,
    Refusal, Reply, Request, check_length, monotonic_ns, write_header,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::Frame;
use robot::device::{DeviceError, FrameStamp, Picture, PixelFormat};

/// Why no frames come. Every message names the socket and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// There is no socket at this path.
    #[error("{}: no such socket; start the simulator bridge first, with this path", path.display())]
    Missing {
        /// The socket.
        path: PathBuf,
    },
    /// The path is too long for any socket.
    #[error(transparent)]
    TooLong(#[from] PathTooLong),
    /// What is at the path is no frame socket.
    #[error(
        "{}: is not a frame socket but {found}; give the path that `armillary sim --frames` or the camera's server was given",
        path.display()
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Nobody listens at this path.
    #[error("{}: nobody listens; the bridge that made this socket has ended, start it again", path.display())]
    NobodyListens {
        /// The socket.
        path: PathBuf,
    },
    /// The user may not connect.
    #[error("{}: permission denied; run bridge and controller as the same user", path.display())]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The source closed while in use.
    #[error("{}: closed by the other side; see what the bridge said, then start it again", path.display())]
    Closed {
        /// The socket.
        path: PathBuf,
    },
    /// No answer in time. The connection is closed with it.
    #[error("{}: no answer to {request} within {waited_ms} ms; the bridge hangs or is overloaded", path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// What was asked.
        request: &'static str,
        /// How long it took.
        waited_ms: u64,
    },
    /// The bridge refused a request.
    #[error("{}: {refusal}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Its reason.
        refusal: Refusal,
    },
    /// The bridge speaks another version of the protocol.
    #[error("{}: the bridge speaks frame protocol {theirs}, this program {ours}; use one release for both", path.display())]
    VersionMismatch {
        /// The socket.
        path: PathBuf,
        /// Our version.
        ours: u16,
        /// The bridge's version.
        theirs: u16,
    },
    /// A picture that is not the model's image, where one was asked for.
    #[error(
        "{}: delivers pictures of {width}x{height} where the model's image of {side}x{side} is needed; start the bridge with the same \
         robot file, whose field `capture.side` both go by",
        path.display()
    )]
    Size {
        /// The socket.
        path: PathBuf,
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Of the model's image, in pixels.
        side: usize,
    },
    /// What came is not the protocol.
    #[error("{}: what arrives is not the frame protocol; is this the bridge's socket?", path.display())]
    Malformed {
        /// The socket.
        path: PathBuf,
    },
    /// Anything else the operating system reports.
    #[error("{}: {source}; check that the bridge still runs", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl From<FrameError> for DeviceError {
    fn from(error: FrameError) -> Self {
        Self::new(error)
    }
}

/// Messages that are read at a time on the way to the newest picture: more than a socket's buffer holds pictures.
const MESSAGES_A_DRAIN: usize = 64;

/// What goes with a frame that was handed over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivered {
    /// Number and age.
    pub stamp: FrameStamp,
    /// The task's reward at capture; `None` where nobody gave one.
    pub reward: Option<f32>,
    /// Whether the world has ended the episode by itself, at this frame or before it.
    pub ended: bool,
    /// Device clock at capture, in microseconds.
    pub device_time_us: u64,
}

/// A connection to a bridge's frame socket. [`FrameSocket::newest`] allocates nothing.
#[derive(Debug)]
pub struct FrameSocket {
    path: PathBuf,
    stream: UnixStream,
    reader: MessageReader<Reply>,
    timeout: Duration,
    /// What a bridge of an earlier release has said of its arm already.
    earlier: Option<BridgeInfo>,
    newest: Picture,
    header: Option<FrameHeader>,
    handed_over: Option<Delivered>,
}

impl FrameSocket {
    /// Connects and waits for the bridge's welcome. `timeout` bounds this and every later answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, FrameError> {
        check_length(path)?;
        let stream = UnixStream::connect(path).map_err(|source| connect_error(path, source))?;
        stream.set_nonblocking(true).map_err(|source| FrameError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut socket = Self {
            path: path.to_owned(),
            stream,
            reader: MessageReader::new(),
            timeout,
            earlier: None,
            newest: Picture::default(),
            header: None,
            handed_over: None,
        };
        let welcome = socket.answer("connecting", |reply| match reply {
            Reply::Welcome(welcome) => Some(welcome),
            _ => None,
        })?;
        socket.earlier = welcome.earlier;
        socket.reader.earlier = welcome.earlier.is_some();
        if welcome.protocol_version != FRAME_PROTOCOL_VERSION && welcome.earlier.is_none() {
            return Err(FrameError::VersionMismatch {
                path: socket.path,
                ours: FRAME_PROTOCOL_VERSION,
                theirs: welcome.protocol_version,
            });
        }
        Ok(socket)
    }

    /// The path it is connected to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for the world behind the camera; `None` if there is none, but a camera alone.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn describe(&mut self) -> Result<Option<BridgeInfo>, FrameError> {
        if self.earlier.is_some() {
            return Ok(self.earlier);
        }
        self.request(Request::Describe)?;
        let answer = self.answer("a description", |reply| match reply {
            Reply::Bridge(info) => Some(info),
            _ => None,
        });
        match answer {
            Err(FrameError::Refused {
                refusal: Refusal::NotABridge,
                ..
            }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Starts a new episode and waits for its first frame.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn reset(&mut self, seed: u64, into: &mut Frame) -> Result<Delivered, FrameError> {
        let delivered = self.restart(seed)?;
        self.copy_to(into)?;
        Ok(delivered)
    }

    /// [`FrameSocket::reset`] without the copy: the pixels are those of [`FrameSocket::picture_at_hand`].
    pub(super) fn restart(&mut self, seed: u64) -> Result<Delivered, FrameError> {
        self.request(Request::Reset { seed })?;
        self.delivery("reset", FrameCause::Reset)
    }

    /// Lockstep: advances one control period once the firmware has received command `command_seq`, and waits for the
    /// frame at its end.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn step(&mut self, command_seq: u32, into: &mut Frame) -> Result<Delivered, FrameError> {
        self.request(Request::Step {
            command_seq: Some(command_seq),
        })?;
        let delivered = self.delivery("step", FrameCause::Step)?;
        self.copy_to(into)?;
        Ok(delivered)
    }

    /// Lockstep: advances one control period without waiting for a command.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn advance(&mut self, into: &mut Frame) -> Result<Delivered, FrameError> {
        self.request(Request::Step { command_seq: None })?;
        let delivered = self.delivery("step", FrameCause::Step)?;
        self.copy_to(into)?;
        Ok(delivered)
    }

    /// Blocks until something arrives, or `timeout` at most.
    ///
    /// # Errors
    /// [`FrameError::Io`].
    pub fn wait_readable(&self, timeout: Duration) -> Result<(), FrameError> {
        self.wait_for(timeout, PollFlags::POLLIN)
    }

    /// Ends the bridge.
    ///
    /// # Errors
    /// [`FrameError`] if it cannot be told.
    pub fn quit(&mut self) -> Result<(), FrameError> {
        self.request(Request::Quit)
    }

    fn request(&mut self, request: Request) -> Result<(), FrameError> {
        let mut bytes = Vec::with_capacity(32);
        write_header(&request, &mut bytes);
        let start = Instant::now();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait("a request", start, PollFlags::POLLOUT)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(self.closed()),
                Err(source) => {
                    return Err(FrameError::Io {
                        path: self.path.clone(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Waits for the frame that answers `request`.
    fn delivery(&mut self, request: &'static str, cause: FrameCause) -> Result<Delivered, FrameError> {
        let header = self.answer(request, |reply| match reply {
            Reply::Frame(header) if header.cause == cause => Some(header),
            _ => None,
        })?;
        Ok(self.hand_over(&header))
    }

    /// Drains what has arrived to the newest frame and, if that is newer than the last one handed over, copies it into `into`.
    /// Never blocks.
    ///
    /// # Errors
    /// [`FrameError`] when the source is gone.
    pub fn newest(&mut self, into: &mut Frame) -> Result<Option<Delivered>, FrameError> {
        let newer = self.newer()?;
        if newer.is_some() {
            self.copy_to(into)?;
        }
        Ok(newer)
    }

    /// [`FrameSocket::newest`] without the copy: the pixels are those of [`FrameSocket::picture_at_hand`].
    pub(super) fn newer(&mut self) -> Result<Option<Delivered>, FrameError> {
        // A server that says more than that at a time must not keep anybody here.
        for _ in 0..MESSAGES_A_DRAIN {
            if self.next()?.is_none() {
                break;
            }
        }
        let last = self.handed_over.map(|delivered| delivered.stamp.seq);
        let newer = self
            .header
            .filter(|header| last.is_none_or(|seq| header.seq > seq));
        Ok(newer.map(|header| self.hand_over(&header)))
    }

    /// The picture that arrived last.
    pub(super) fn picture_at_hand(&self) -> &Picture {
        &self.newest
    }

    fn copy_to(&self, into: &mut Frame) -> Result<(), FrameError> {
        let Picture {
            width,
            height,
            ref bytes,
            ..
        } = self.newest;
        let side = into.side();
        if [width as usize, height as usize] != [side, side] {
            return Err(FrameError::Size {
                path: self.path.clone(),
                width,
                height,
                side,
            });
        }
        into.rgb_mut().copy_from_slice(bytes);
        Ok(())
    }

    /// What went with the frame that was handed over last.
    pub(super) fn delivered(&self) -> Option<Delivered> {
        self.handed_over
    }

    fn hand_over(&mut self, header: &FrameHeader) -> Delivered {
        // Both ends read the clock of one machine.
        let age_ns = monotonic_ns().checked_sub(header.captured_monotonic_ns);
        let delivered = Delivered {
            stamp: FrameStamp {
                seq: header.seq,
                age_ns: age_ns.unwrap_or(FrameStamp::IN_THE_FUTURE),
            },
            reward: header.reward().filter(|reward| reward.is_finite()),
            ended: header.ended,
            device_time_us: header.device_time_us,
        };
        self.handed_over = Some(delivered);
        delivered
    }

    /// Waits for the reply that `wanted` picks; a refusal ends the wait.
    fn answer<T>(
        &mut self,
        request: &'static str,
        wanted: impl Fn(Reply) -> Option<T>,
    ) -> Result<T, FrameError> {
        let start = Instant::now();
        loop {
            match self.next()? {
                Some(Reply::Refused(refusal)) => {
                    return Err(FrameError::Refused {
                        path: self.path.clone(),
                        refusal,
                    });
                }
                Some(reply) => {
                    if let Some(answer) = wanted(reply) {
                        return Ok(answer);
                    }
                    // A server that says other things without end is as good as one that says nothing.
                    self.check_time(request, start)
                }
                None => self.wait(request, start, PollFlags::POLLIN),
            }
            .inspect_err(|_| {
                // An answer that comes late must not pass for that to a later request. A socket that cannot be shut down is
                // closed already.
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
            })?;
        }
    }

    /// The next message that has arrived; keeps a frame's pixels.
    fn next(&mut self) -> Result<Option<Reply>, FrameError> {
        match self.reader.next(&mut self.stream) {
            Ok(Some((reply, body))) => {
                if let Reply::Frame(header) = reply {
                    let (width, height) = (header.width.into(), header.height.into());
                    self.newest.fill(width, height, PixelFormat::Rgb8, body);
                    self.header = Some(header);
                }
                Ok(Some(reply))
            }
            Ok(None) => Ok(None),
            Err(ReadError::Closed) => Err(self.closed()),
            Err(ReadError::Malformed) => Err(FrameError::Malformed {
                path: self.path.clone(),
            }),
            Err(ReadError::Io(source)) => Err(FrameError::Io {
                path: self.path.clone(),
                source,
            }),
        }
    }

    fn wait(&self, request: &'static str, start: Instant, flags: PollFlags) -> Result<(), FrameError> {
        self.check_time(request, start)?;
        self.wait_for(self.timeout.saturating_sub(start.elapsed()), flags)
    }

    /// Whether the answer to `request` may still come.
    fn check_time(&self, request: &'static str, start: Instant) -> Result<(), FrameError> {
        let waited = start.elapsed();
        if waited < self.timeout {
            return Ok(());
        }
        Err(FrameError::Timeout {
            path: self.path.clone(),
            request,
            waited_ms: waited.as_millis() as u64,
        })
    }

    fn wait_for(&self, timeout: Duration, flags: PollFlags) -> Result<(), FrameError> {
        let timeout =
            PollTimeout::try_from(timeout.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.stream.as_fd(), flags)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(FrameError::Io {
                path: self.path.clone(),
                source: errno.into(),
            }),
        }
    }

    fn closed(&self) -> FrameError {
        FrameError::Closed {
            path: self.path.clone(),
        }
    }
}

/// Why nothing can be connected to at `path`. The system says of a file what it says of a socket that nobody listens at.
fn connect_error(path: &Path, source: io::Error) -> FrameError {
    let there = std::fs::metadata(path);
    let path = path.to_owned();
    match (source.kind(), there) {
        (io::ErrorKind::NotFound, _) => FrameError::Missing { path },
        (io::ErrorKind::PermissionDenied, _) => FrameError::Permission { path },
        (_, Ok(there)) if !there.file_type().is_socket() => FrameError::NotASocket {
            path,
            found: files::kind_of(&there).unwrap_or("a file"),
        },
        (io::ErrorKind::ConnectionRefused, _) => FrameError::NobodyListens { path },
        _ if source.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => FrameError::NotASocket {
            path,
            found: "a socket of another kind",
        },
        _ => FrameError::Io { path, source },
    }
}
