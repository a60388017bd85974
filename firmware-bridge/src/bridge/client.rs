//! The bridge's end of one frame connection. Nothing here waits for the client.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::Frame;

use crate::frames::{MessageReader, ReadError, Reply, Request, write_header};

/// The connection is of no further use.
#[derive(Debug)]
pub(super) struct Gone {
    malformed: bool,
}

impl Gone {
    /// Whether the client is still there but cannot be understood.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed
    }
}

/// A connected client: one message being written, one waiting.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    reader: MessageReader<Request>,
    writing: Vec<u8>,
    written: usize,
    waiting: Vec<u8>,
    /// What waits answers a request, and must not be replaced by a newer frame.
    waiting_is_reply: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            reader: MessageReader::new(),
            writing: Vec::new(),
            written: 0,
            waiting: Vec::new(),
            waiting_is_reply: false,
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether the other side has closed the connection.
    pub(super) fn has_left(&self) -> bool {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.written < self.writing.len()
    }

    /// The next request, if one has arrived.
    pub(super) fn request(&mut self) -> Result<Option<Request>, Gone> {
        match self.reader.next(&mut self.stream) {
            Ok(message) => Ok(message.map(|(request, _)| request)),
            Err(ReadError::Malformed) => Err(Gone { malformed: true }),
            Err(ReadError::Closed) => Err(Gone { malformed: false }),
            Err(ReadError::Io(error)) => {
                log::warn!("frame client let go: {error}");
                Err(Gone { malformed: false })
            }
        }
    }

    /// Queues the answer to a request, in front of any waiting frame.
    pub(super) fn reply(&mut self, reply: &Reply, frame: Option<&Frame>) {
        self.queue(reply, frame.map_or(&[], Frame::rgb));
        self.waiting_is_reply = true;
    }

    /// Queues a frame with its pixels unless an answer waits; an older waiting frame is dropped.
    pub(super) fn stream(&mut self, reply: &Reply, pixels: &[u8]) {
        if !self.waiting_is_reply || self.waiting.is_empty() {
            self.queue(reply, pixels);
            self.waiting_is_reply = false;
        }
    }

    fn queue(&mut self, reply: &Reply, pixels: &[u8]) {
        self.waiting.clear();
        write_header(reply, &mut self.waiting);
        self.waiting.extend_from_slice(pixels);
        self.take_next();
    }

    /// Writes what the client takes without waiting.
    pub(super) fn flush(&mut self) -> Result<(), Gone> {
        loop {
            self.take_next();
            if !self.is_writing() {
                return Ok(());
            }
            match self.stream.write(&self.writing[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone { malformed: false }),
            }
        }
    }

    fn take_next(&mut self) {
        if !self.is_writing() {
            std::mem::swap(&mut self.writing, &mut self.waiting);
            self.waiting.clear();
            self.written = 0;
        }
    }
}
