//! Requests and answers over a pipe, each within a bounded time.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::pipe;
use super::{ProcessError, Spec};

/// What both ends speak.
const PROTOCOL_VERSION: u32 = 3;

/// The version before: a request for a picture names no side.
const PROTOCOL_VERSION_OF_ONE_SIDE: u32 = 2;

/// Width and height of the pictures that come by that version, in pixels.
const ONE_SIDE: usize = 64;

/// How long any answer may take: importing a simulator takes seconds, a plan on one minutes at worst.
const ANSWER_TIMEOUT_MS: u16 = 60_000;

/// Waits of [`ANSWER_TIMEOUT_MS`] for one answer.
const ANSWER_WAITS: u32 = 10;

/// How long it may take to end when nothing more is asked of it.
const ENDING_TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two looks at whether it has.
const LOOK_MS: u16 = 10;

/// A pipe that can be written to takes as much at least (Linux's `PIPE_BUF`) without making its writer wait.
const PIECE_BYTES: usize = 4096;

/// No spec is longer.
const TEXT_MAX_BYTES: u32 = 1 << 20;

/// A process that answers.
#[derive(Debug)]
pub(super) struct Conversation {
    rig: String,
    child: Child,
    requests: Option<ChildStdin>,
    answers: ChildStdout,
    /// What the other end speaks.
    version: u32,
}

impl Conversation {
    /// Starts it.
    pub(super) fn start(rig: &str, command: &mut Command) -> Result<Self, ProcessError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| pipe(rig, "starting it", source))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(pipe(rig, "starting it", io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self {
            rig: rig.to_owned(),
            child,
            requests: Some(requests),
            answers,
            version: PROTOCOL_VERSION,
        })
    }

    /// What the plant says of itself, first of all.
    pub(super) fn greeting(&mut self) -> Result<Spec, ProcessError> {
        let rig = self.rig.clone();
        let mut head = [0; 12];
        self.read("waiting for its environment", &mut head)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (version, length) = (number(4), number(8));
        let protocol = |problem: String| ProcessError::Protocol {
            rig: rig.clone(),
            problem,
        };
        if head[..4] != *b"ARMP" || length > TEXT_MAX_BYTES {
            return Err(protocol("it does not greet as a plant does".to_owned()));
        }
        let mut text = vec![0; length as usize];
        self.read("reading its spec", &mut text)?;
        if version == 0 {
            let message = String::from_utf8_lossy(&text).into_owned();
            return Err(ProcessError::Environment { rig, message });
        }
        if ![PROTOCOL_VERSION, PROTOCOL_VERSION_OF_ONE_SIDE].contains(&version) {
            let problem =
                format!("it speaks version {version} of the protocol, this program {PROTOCOL_VERSION}");
            return Err(protocol(problem));
        }
        self.version = version;
        let spec: Spec = serde_json::from_slice(&text)
            .map_err(|error| protocol(format!("its spec cannot be read: {error}")))?;
        match spec.problem() {
            Some(problem) => Err(protocol(problem)),
            None => Ok(spec),
        }
    }

    /// The side of all its pictures, in pixels, if it cannot be told another.
    pub(super) fn only_side(&self) -> Option<usize> {
        (self.version == PROTOCOL_VERSION_OF_ONE_SIDE).then_some(ONE_SIDE)
    }

    /// Sends `request` and fills `payload` with the answer.
    pub(super) fn ask(
        &mut self,
        doing: &'static str,
        request: &[u8],
        payload: &mut [u8],
    ) -> Result<(), ProcessError> {
        self.write(doing, request)?;
        let mut status = [0];
        self.read(doing, &mut status)?;
        if status[0] == 0 {
            return self.read(doing, payload);
        }
        let mut length = [0; 4];
        self.read(doing, &mut length)?;
        let mut text = vec![0; u32::from_le_bytes(length).min(TEXT_MAX_BYTES) as usize];
        self.read(doing, &mut text)?;
        Err(ProcessError::Environment {
            rig: self.rig.clone(),
            message: format!("{doing}: {}", String::from_utf8_lossy(&text)),
        })
    }

    /// Sends `bytes`, waiting for a bounded time each time the other end does not take them.
    fn write(&mut self, doing: &'static str, bytes: &[u8]) -> Result<(), ProcessError> {
        let Some(requests) = &mut self.requests else {
            return Err(pipe(&self.rig, doing, io::ErrorKind::BrokenPipe.into()));
        };
        for piece in bytes.chunks(PIECE_BYTES) {
            wait_for(&self.rig, doing, requests.as_fd(), PollFlags::POLLOUT)?;
            requests
                .write_all(piece)
                .map_err(|source| pipe(&self.rig, doing, source))?;
        }
        Ok(())
    }

    /// Fills `bytes`, waiting for a bounded time.
    fn read(&mut self, doing: &'static str, bytes: &mut [u8]) -> Result<(), ProcessError> {
        let mut filled = 0;
        while filled < bytes.len() {
            wait_for(&self.rig, doing, self.answers.as_fd(), PollFlags::POLLIN)?;
            match self.answers.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.gone(doing)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(pipe(&self.rig, doing, source)),
            }
        }
        Ok(())
    }

    /// Why there is no answer: the process has ended, and how, or has closed its end of the pipe.
    fn gone(&mut self, doing: &'static str) -> ProcessError {
        if self.ends()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            let rig = self.rig.clone();
            return ProcessError::Ended { rig, doing, status };
        }
        pipe(&self.rig, doing, io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the process ends by itself, now that nothing more is asked of it.
    fn ends(&mut self) -> bool {
        let give_up = Instant::now() + ENDING_TIMEOUT;
        // It may have an answer in hand that nobody waits for any more.
        let mut answers = true;
        while Instant::now() < give_up {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(_)) => return true,
                Err(_) => return false,
            }
            if answers {
                let mut fds = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
                if let Ok(1) = poll(&mut fds, PollTimeout::from(LOOK_MS)) {
                    answers = matches!(self.answers.read(&mut [0; 4096]), Ok(1..));
                }
            } else {
                // Its end of the pipe closes before it does.
                std::thread::park_timeout(Duration::from_millis(LOOK_MS.into()));
            }
        }
        false
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // At the end of its input it ends; one that hangs is ended.
        drop(self.requests.take());
        if !self.ends() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Waits until `fd` can be read from or written to, for a bounded time.
fn wait_for(rig: &str, doing: &'static str, fd: BorrowedFd<'_>, what: PollFlags) -> Result<(), ProcessError> {
    let mut waits = 0;
    loop {
        match poll(&mut [PollFd::new(fd, what)], PollTimeout::from(ANSWER_TIMEOUT_MS)) {
            Ok(0) if waits + 1 == ANSWER_WAITS => {
                return Err(pipe(rig, doing, io::ErrorKind::TimedOut.into()));
            }
            Ok(0) => {
                waits += 1;
                log::info!("rig `{rig}`: still {doing}");
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(pipe(rig, doing, errno.into())),
            Ok(_) => return Ok(()),
        }
    }
}
