//! Reading and writing a port by its descriptor, without waiting for longer than a few milliseconds.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::device::LinkError;
use serialport::TTYPort;

use super::us;
use crate::link::ByteStream;

/// Longest time a frame may take to be accepted by the port.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_millis(4);

/// A descriptor of an open port. Several of one port do not wait for each other: what one cannot write at once is tried again until
/// [`WRITE_TIMEOUT`].
#[derive(Debug)]
pub(super) struct Descriptor {
    name: String,
    fd: OwnedFd,
    origin: Instant,
}

impl Descriptor {
    /// One more descriptor of `port`.
    ///
    /// # Errors
    /// [`LinkError::Io`].
    pub(super) fn of(name: &str, port: &TTYPort) -> Result<Self, LinkError> {
        // SAFETY: the port owns this descriptor and outlives the borrow, which ends with this call.
        let fd = unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) };
        let another = || {
            // The library makes its descriptors blocking: a write that the port has no room for would then wait without bound.
            let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
            fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
            fd.try_clone_to_owned()
        };
        Ok(Self {
            name: name.to_owned(),
            fd: another().map_err(|source| LinkError::Io {
                port: name.to_owned(),
                source,
            })?,
            origin: Instant::now(),
        })
    }

    /// Whether `events` are there, a hang-up included, within `timeout_ms`. Unlike the library's own wait it does not allocate to say no.
    fn ready(&self, events: PollFlags, timeout_ms: u64) -> Result<bool, LinkError> {
        let timeout = PollTimeout::try_from(timeout_ms).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.fd.as_fd(), events)], timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    fn fault(&self, errno: Errno) -> LinkError {
        let port = self.name.clone();
        match errno {
            // What Linux says of a USB device that was pulled out (the first three: which one depends on how far it has got with it), and
            // of the other side of a pty that is gone.
            Errno::ENODEV | Errno::ENXIO | Errno::EIO | Errno::EPIPE | Errno::ESHUTDOWN => {
                LinkError::Closed { port }
            }
            errno => LinkError::Io {
                port,
                source: errno.into(),
            },
        }
    }
}

impl ByteStream for Descriptor {
    fn name(&self) -> &str {
        &self.name
    }

    fn now_us(&self) -> u64 {
        us(self.origin.elapsed())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let mut rest = bytes;
        while !rest.is_empty() {
            // Not by the library: it does not pass the system's own number of an error on.
            match nix::unistd::write(&self.fd, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(LinkError::WriteTimeout {
                            port: self.name.clone(),
                        });
                    }
                    self.ready(PollFlags::POLLOUT, us(left).div_ceil(1_000))?;
                }
                Err(errno) => return Err(self.fault(errno)),
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        if !self.ready(PollFlags::POLLIN, 0)? {
            return Ok(0);
        }
        match nix::unistd::read(&self.fd, into) {
            // End of file is how some drivers say that the device is gone.
            Ok(0) => Err(LinkError::Closed {
                port: self.name.clone(),
            }),
            Ok(count) => Ok(count),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(0),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        // What has happened, a hang-up for one, the next read reports.
        self.ready(PollFlags::POLLIN, timeout_us.div_ceil(1_000))
            .map(|_| ())
    }

    fn second(&self) -> Result<Option<Box<dyn ByteStream>>, LinkError> {
        Ok(Some(Box::new(Self {
            name: self.name.clone(),
            fd: self.fd.try_clone().map_err(|source| LinkError::Io {
                port: self.name.clone(),
                source,
            })?,
            origin: self.origin,
        })))
    }
}
