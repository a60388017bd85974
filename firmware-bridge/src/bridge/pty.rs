//! A pseudo-terminal that stands for a serial port, at a path that stays the same.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::termios::{FlushArg, SetArg, cfmakeraw, tcflush, tcgetattr, tcsetattr};

use super::names::LinkName;
use super::{BridgeError, io_error};

/// The far end of a serial port that a program plays: the master end of a pseudo-terminal, with a lasting name. No call blocks.
// It keeps no slave open, so that it notices when the host closes its own.
#[derive(Debug)]
pub struct Pty {
    master: OwnedFd,
    device: PathBuf,
    name: LinkName,
    /// A host has the slave open.
    open: bool,
    /// Rest of a frame that the host has not taken yet.
    pending: Vec<u8>,
}

impl Pty {
    /// Makes a raw pty and points `link` at it.
    ///
    /// # Errors
    /// [`BridgeError::PathTaken`], [`BridgeError::InUse`] or [`BridgeError::Name`] for a name that cannot be had, [`BridgeError::Io`] for
    /// the rest.
    pub fn new(link: &Path) -> Result<Self, BridgeError> {
        LinkName::clear(link)?;
        let (master, device) = make_pty().map_err(|errno| io_error("making a pty", errno.into()))?;
        let name = LinkName::make(link, &device)?;
        Ok(Self {
            master,
            device,
            name,
            open: false,
            pending: Vec::new(),
        })
    }

    /// The lasting name.
    pub fn link(&self) -> &Path {
        self.name.path()
    }

    /// What to wait for bytes with, while a host has the slave open.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Whether a host had the slave open at the last [`Pty::refresh`].
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Looks whether a host has the slave open; cleans up after one that left.
    ///
    /// # Errors
    /// [`BridgeError::Io`].
    pub fn refresh(&mut self) -> Result<(), BridgeError> {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(io_error("looking at the pty", errno.into())),
        }
        let events = fds[0].revents().unwrap_or(PollFlags::empty());
        // Bytes that a host wrote before it left are still read.
        let open = !events.contains(PollFlags::POLLHUP) || events.contains(PollFlags::POLLIN);
        if self.open && !open {
            self.clean_up()?;
        }
        self.open = open;
        Ok(())
    }

    /// Discards what the host left unread: the next one must not take it for news. A host that was killed can also
    /// leave the port marked as exclusively its own; then a new pty takes its place behind the link.
    fn clean_up(&mut self) -> Result<(), BridgeError> {
        self.pending.clear();
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match open(&self.device, flags, Mode::empty()) {
            Ok(slave) => tcflush(&slave, FlushArg::TCIOFLUSH)
                .map_err(|errno| io_error("flushing the pty", errno.into())),
            Err(Errno::EBUSY) => {
                let (master, device) = make_pty().map_err(|errno| io_error("making a pty", errno.into()))?;
                self.name.point(&device)?;
                self.master = master;
                self.device = device;
                Ok(())
            }
            Err(errno) => Err(io_error("re-opening the pty", errno.into())),
        }
    }

    /// Reads what has arrived; 0 when nothing has.
    ///
    /// # Errors
    /// [`BridgeError::Io`].
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, BridgeError> {
        match nix::unistd::read(&self.master, into) {
            Ok(count) => Ok(count),
            // EIO: no host has the slave open.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::EIO) => Ok(0),
            Err(errno) => Err(io_error("reading the pty", errno.into())),
        }
    }

    /// Queues a frame; dropped if no host listens, or if it has stopped taking them.
    pub fn queue(&mut self, frame: &[u8]) {
        // A few frames may wait for the host to read; older news than that is no news.
        if self.open && self.pending.len() < 4 * crate::wire::MAX_FRAME_BYTES {
            self.pending.extend_from_slice(frame);
        }
    }

    /// Writes what the pty takes without waiting.
    ///
    /// # Errors
    /// [`BridgeError::Io`].
    pub fn flush(&mut self) -> Result<(), BridgeError> {
        while !self.pending.is_empty() {
            match nix::unistd::write(&self.master, &self.pending) {
                Ok(count) => {
                    self.pending.drain(..count);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::EIO) => return Ok(()),
                Err(errno) => return Err(io_error("writing to the pty", errno.into())),
            }
        }
        Ok(())
    }
}

/// A raw, non-blocking pty: its master, and the path of its slave.
fn make_pty() -> Result<(OwnedFd, PathBuf), Errno> {
    let pair = nix::pty::openpty(None, None)?;
    let mut termios = tcgetattr(&pair.slave)?;
    cfmakeraw(&mut termios);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &termios)?;
    // The link's own mode says nothing. By default a group may write to a terminal.
    fchmod(&pair.slave, Mode::S_IRUSR | Mode::S_IWUSR)?;
    fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    fcntl(&pair.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let device = nix::unistd::ttyname(&pair.slave)?;
    Ok((pair.master, device))
}
