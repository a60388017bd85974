//! The wire between the control loop and a firmware core in the same process: bytes in memory, without locks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use hand_over::alarm::Word;
use hand_over::bytes::{ByteReceiver, ByteSender};
use robot::Clock;
use robot::device::{LinkError, Motors};

use super::motors::MotorsSlot;
use crate::link::ByteStream;

/// Bytes that each direction holds: seconds of telemetry.
pub(super) const BYTES: usize = 16 * 1024;

/// How often a wait looks for bytes, in nanoseconds.
const LOOK_NS: u64 = 200_000;

/// Whether servos have let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum LetGo {
    /// They have not, as far as is known.
    No = 0,
    /// Torque is off, and stays off.
    Yes,
    /// The core has ended, and the arm holds.
    Never,
}

/// What both ends share.
pub(super) struct Wire {
    /// The host has let go of its end for good.
    pub(super) host_left: AtomicBool,
    /// What the motors say of themselves.
    pub(super) motors: MotorsSlot,
    /// Why the arm's end is gone.
    pub(super) fault: OnceLock<String>,
    /// What became of an emergency stop.
    stopped: Word,
    /// The clock of both ends.
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("let_go", &self.let_go())
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            host_left: AtomicBool::new(false),
            motors: MotorsSlot::default(),
            fault: OnceLock::new(),
            stopped: Word::default(),
            clock,
        }
    }

    /// Microseconds on the clock of both ends.
    pub(super) fn now_us(&self) -> u64 {
        self.clock.now_ns() / 1_000
    }

    /// Tells what became of the arm's torque.
    pub(super) fn tell(&self, let_go: LetGo) {
        self.stopped.say(let_go as u8);
    }

    /// What was told last.
    pub(super) fn let_go(&self) -> LetGo {
        match self.stopped.heard() {
            told if told == LetGo::Yes as u8 => LetGo::Yes,
            told if told == LetGo::Never as u8 => LetGo::Never,
            _ => LetGo::No,
        }
    }
}

/// The control loop's end.
pub struct HostEnd {
    name: String,
    wire: Arc<Wire>,
    to_arm: ByteSender,
    from_arm: ByteReceiver,
}

impl std::fmt::Debug for HostEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostEnd")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl HostEnd {
    pub(super) fn new(name: &str, wire: Arc<Wire>, to_arm: ByteSender, from_arm: ByteReceiver) -> Self {
        Self {
            name: name.to_owned(),
            wire,
            to_arm,
            from_arm,
        }
    }

    /// What both ends share.
    pub(super) fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire)
    }

    /// Copies what the motors said last, if it is new.
    pub fn motors(&self, into: &mut Motors) {
        self.wire.motors.hear(into);
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.wire.fault.get() {
            None => Ok(()),
            Some(fault) => Err(LinkError::Lost {
                port: self.name.clone(),
                problem: fault.clone(),
            }),
        }
    }
}

impl Drop for HostEnd {
    fn drop(&mut self) {
        self.wire.host_left.store(true, Ordering::SeqCst);
    }
}

impl ByteStream for HostEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn now_us(&self) -> u64 {
        self.wire.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.check()?;
        if !self.to_arm.send(bytes) {
            return Err(LinkError::WriteTimeout {
                port: self.name.clone(),
            });
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.check()?;
        Ok(self.from_arm.receive(into))
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        let until_us = self.now_us().saturating_add(timeout_us);
        while self.from_arm.is_empty() && self.now_us() < until_us {
            self.check()?;
            self.wire.clock.sleep_until_ns(self.wire.clock.now_ns() + LOOK_NS);
        }
        Ok(())
    }
}
