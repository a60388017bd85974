//! The far end of a serial line, with what is wrong on it.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use robot::philox::Stream;

use super::falsifier::Falsifier;
use super::{BridgeError, Pty};
use crate::faults::Fault;
use crate::wire::MAX_FRAME_BYTES;

/// Messages of the host that are kept, to reach the arm again.
const KEPT: usize = 64;

/// The seed of what is random on a line.
const SEED: u64 = 0x11FE;

/// What is lost, doubled or overtaken as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// Frames of [`crate::wire`].
    Frames,
    /// What is read or said at once.
    Chunks,
}

/// The far end of a serial line at a lasting path, and what is done on purpose to what passes through it. No call blocks.
#[derive(Debug)]
pub struct Line {
    /// `None` for an arm that is reached in another way, and while the cable is pulled.
    pty: Option<Pty>,
    /// Where the pty is to appear, if there is to be one.
    path: Option<PathBuf>,
    /// What is lost as a whole, where faults are to be expected.
    pieces: Option<Pieces>,
    wrong: Vec<Fault>,
    random: Stream,
    /// Bytes of the host that do not end a message yet.
    begun: Vec<u8>,
    kept: VecDeque<Vec<u8>>,
    /// Messages that the next one overtakes: of the host, and of the arm.
    held: [Option<Vec<u8>>; 2],
    telemetry: Falsifier,
}

/// Who speaks.
#[derive(Debug, Clone, Copy)]
enum Speaker {
    Host,
    Arm,
}

impl Line {
    /// Makes a pty at `path`, if there is to be one.
    ///
    /// # Errors
    /// As of [`Pty::new`].
    pub fn new(path: Option<PathBuf>) -> Result<Self, BridgeError> {
        Ok(Self {
            pty: path.as_deref().map(Pty::new).transpose()?,
            path,
            pieces: None,
            wrong: Vec::new(),
            random: Stream::new(SEED, 0),
            begun: Vec::new(),
            kept: VecDeque::new(),
            held: [None, None],
            telemetry: Falsifier::default(),
        })
    }

    /// The path to open as a serial port, if there is to be one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What to wait for bytes with, while a host has the port open.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pty
            .as_ref()
            .filter(|pty| pty.is_open() && !self.is(Fault::LineStuck))
            .map(Pty::as_fd)
    }

    /// Begins to tell pieces apart and to keep them.
    pub fn expect_faults(&mut self, pieces: Pieces) {
        self.pieces = Some(pieces);
    }

    /// Changes what is wrong.
    ///
    /// # Errors
    /// As of [`Pty::new`], for a port that is to come back.
    pub fn set(&mut self, wrong: &[Fault]) -> Result<(), BridgeError> {
        self.wrong.clear();
        self.wrong.extend_from_slice(wrong);
        self.telemetry = Falsifier::default();
        if self.is(Fault::LineCut) {
            self.pty = None;
            self.begun.clear();
            self.held = [None, None];
        } else if self.pty.is_none() {
            self.pty = self.path.as_deref().map(Pty::new).transpose()?;
        }
        Ok(())
    }

    /// Hands every piece of what the host has said to `hear`.
    ///
    /// # Errors
    /// [`BridgeError::Io`].
    pub fn read(&mut self, mut hear: impl FnMut(&[u8])) -> Result<(), BridgeError> {
        let stuck = self.is(Fault::LineStuck);
        let Some(pty) = &mut self.pty else {
            return Ok(());
        };
        pty.refresh()?;
        if stuck {
            return Ok(());
        }
        let mut buffer = [0; 1024];
        loop {
            let count = match &mut self.pty {
                Some(pty) => pty.read(&mut buffer)?,
                None => 0,
            };
            if count == 0 {
                return Ok(());
            }
            match self.pieces {
                None => hear(&buffer[..count]),
                Some(Pieces::Frames) => self.pass(&buffer[..count], &mut hear),
                Some(Pieces::Chunks) => self.deliver(buffer[..count].to_vec(), &mut hear),
            }
        }
    }

    /// Passes bytes of the host on, frame by frame.
    fn pass(&mut self, bytes: &[u8], hear: &mut impl FnMut(&[u8])) {
        for &byte in bytes {
            self.begun.push(byte);
            // A delimiter ends a message. The one in front of a message ends nothing.
            let ends = byte == 0 && self.begun.len() > 1;
            if !ends && self.begun.len() < MAX_FRAME_BYTES {
                continue;
            }
            let message = mem::take(&mut self.begun);
            self.deliver(message, hear);
        }
    }

    /// Lets a piece of what the host said travel.
    fn deliver(&mut self, piece: Vec<u8>, hear: &mut impl FnMut(&[u8])) {
        let replayed = if self.is(Fault::LineReplayed) {
            self.kept.pop_front()
        } else {
            None
        };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(piece.clone());
        if !self.is(Fault::LineDeaf) {
            for piece in self.travel(piece, Speaker::Host).into_iter().chain(replayed) {
                hear(&piece);
            }
        }
    }

    /// Queues what the arm says.
    pub fn say(&mut self, frame: &[u8]) {
        if self.wrong.is_empty() && self.held[1].is_none() {
            if let Some(pty) = &mut self.pty {
                pty.queue(frame);
            }
            return;
        }
        if self.is(Fault::LineMute) {
            return;
        }
        let falsified = match self.pieces {
            Some(Pieces::Frames) => self.telemetry.falsified(&self.wrong, frame),
            _ => None,
        };
        let frame = falsified.unwrap_or_else(|| frame.to_vec());
        for message in self.travel(frame, Speaker::Arm) {
            if let Some(pty) = &mut self.pty {
                pty.queue(&message);
            }
        }
    }

    /// Writes what was queued.
    ///
    /// # Errors
    /// [`BridgeError::Io`].
    pub fn flush(&mut self) -> Result<(), BridgeError> {
        self.pty.as_mut().map_or(Ok(()), Pty::flush)
    }

    /// What arrives of a message: nothing, it, or more.
    fn travel(&mut self, mut message: Vec<u8>, speaker: Speaker) -> Vec<Vec<u8>> {
        let mut arrives = Vec::new();
        let mut stays = None;
        let mut doubled = false;
        for fault in self.wrong.clone() {
            match fault {
                Fault::LineNoise { flips_per_byte } => {
                    for byte in &mut message {
                        if self.random.uniform() < flips_per_byte {
                            *byte ^= 1 << self.random.below(8);
                        }
                    }
                }
                Fault::LineLossy {
                    lost,
                    doubled: twice,
                    overtaken,
                } => {
                    if self.random.uniform() < lost {
                        message.clear();
                    }
                    doubled = self.random.uniform() < twice;
                    if self.random.uniform() < overtaken {
                        stays = Some(mem::take(&mut message));
                    }
                }
                _ => {}
            }
        }
        if !message.is_empty() {
            if doubled {
                arrives.push(message.clone());
            }
            arrives.push(message);
        }
        let held = match speaker {
            Speaker::Host => &mut self.held[0],
            Speaker::Arm => &mut self.held[1],
        };
        // The one that was overtaken comes now.
        arrives.extend(mem::replace(held, stays));
        arrives
    }

    fn is(&self, fault: Fault) -> bool {
        self.wrong.contains(&fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Decoder, HostToArm, NO_SESSION, encode};

    /// A line without a port: what passes is the same.
    fn line(wrong: &[Fault]) -> Line {
        let mut line = Line::new(None).expect("needs nothing");
        line.expect_faults(Pieces::Frames);
        line.set(wrong).expect("needs nothing");
        line
    }

    fn ping(host_time_us: u64) -> Vec<u8> {
        let message = HostToArm::Ping {
            host_time_us,
            session_nonce: NO_SESSION,
        };
        let mut buffer = [0; MAX_FRAME_BYTES];
        encode(&message, &mut buffer).expect("fits").to_vec()
    }

    /// Times of the pings that reach the arm, and how many frames did that are none.
    fn heard(line: &mut Line, count: u64) -> (Vec<u64>, u32) {
        let mut decoder = Decoder::<HostToArm>::default();
        let mut times = Vec::new();
        for time_us in 1..=count {
            // In pieces, as a port gives them.
            for piece in ping(time_us).chunks(5) {
                line.pass(piece, &mut |bytes: &[u8]| {
                    for message in bytes.iter().filter_map(|byte| decoder.push(*byte)) {
                        if let HostToArm::Ping { host_time_us, .. } = message {
                            times.push(host_time_us);
                        }
                    }
                });
            }
        }
        (times, decoder.bad_frames())
    }

    #[test]
    fn a_sound_line_passes_each_message_once() {
        let (times, bad) = heard(&mut line(&[]), 100);
        assert_eq!((times, bad), ((1..=100).collect(), 0));
    }

    #[test]
    fn messages_are_lost_doubled_and_overtaken() {
        let lossy = |lost, doubled, overtaken| Fault::LineLossy {
            lost,
            doubled,
            overtaken,
        };
        let (times, _) = heard(&mut line(&[lossy(1.0, 0.0, 0.0)]), 100);
        assert_eq!(times, []);
        let (times, _) = heard(&mut line(&[lossy(0.0, 1.0, 0.0)]), 3);
        assert_eq!(times, [1, 1, 2, 2, 3, 3]);
        let (times, bad) = heard(&mut line(&[lossy(0.0, 0.0, 0.3)]), 1_000);
        let back = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(back > 100, "{back} were overtaken");
        assert_eq!(bad, 0);
        let mut sorted = times.clone();
        sorted.sort_unstable();
        sorted.dedup();
        // The last one may still wait for the one that overtakes it.
        assert!(sorted.len() >= 999 && times.len() == sorted.len());
        let (times, _) = heard(&mut line(&[Fault::LineDeaf]), 10);
        assert_eq!(times, []);
    }

    #[test]
    fn noise_damages_frames_and_is_the_same_every_time() {
        let noise = Fault::LineNoise { flips_per_byte: 0.01 };
        let first = heard(&mut line(&[noise]), 1_000);
        assert!((1..500).contains(&first.1), "{} bad frames", first.1);
        assert_eq!(first, heard(&mut line(&[noise]), 1_000));
    }

    #[test]
    fn what_was_heard_before_is_heard_again() {
        let mut line = line(&[]);
        heard(&mut line, 3);
        line.set(&[Fault::LineReplayed]).expect("needs nothing");
        let (times, _) = heard(&mut line, 3);
        assert_eq!(times, [1, 1, 2, 2, 3, 3]);
    }
}
