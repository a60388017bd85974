//! The board's program on a computer: bytes from a pseudo-terminal, ticks by a clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use board::{Arm, Board, HobbyServos};
use firmware_bridge::bridge::Pty;
use firmware_bridge::fresh;
use firmware_bridge::wire::MAX_FRAME_BYTES;
use firmware_bridge::{BridgeError, FirmwareOptions};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::Clock;

use crate::body::Body;

/// Serial number of the emulated board.
pub const SERIAL_NUMBER: &str = "armillary-twin";

/// Longest time without a look at the clock.
const NAP: Duration = Duration::from_millis(1);

/// The firmware of an arm behind a serial port.
pub struct Twin {
    arm: Arm,
    options: FirmwareOptions,
    body: Body,
    pty: Pty,
    clock: Arc<dyn Clock>,
    served_us: Arc<AtomicU64>,
}

impl Twin {
    /// Makes a serial port at `link` for the firmware of `arm` with `body`, by `clock`. Nothing runs before [`Twin::serve`]. `None` for
    /// an arm that is not sound.
    ///
    /// # Errors
    /// Those of [`Pty::new`].
    pub fn new(
        arm: Arm,
        body: Body,
        link: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, BridgeError> {
        let Some(options) = arm.options(SERIAL_NUMBER, fresh::id()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            arm,
            options,
            body,
            pty: Pty::new(link)?,
            clock,
            served_us: Arc::default(),
        }))
    }

    /// Time of the clock up to which everything has been done, in microseconds.
    pub fn served_us(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.served_us)
    }

    /// Runs the board until `stop` is set, and boots it again whenever it is reset.
    ///
    /// # Errors
    /// [`BridgeError::Io`] when the pseudo-terminal fails.
    pub fn serve(mut self, stop: &AtomicBool) -> Result<(), BridgeError> {
        while !stop.load(Ordering::Relaxed) {
            self.run(stop)?;
        }
        Ok(())
    }

    /// From boot to the next reset.
    fn run(&mut self, stop: &AtomicBool) -> Result<(), BridgeError> {
        let booted_us = self.now_us();
        let mut next_tick_us = 0;
        self.body.boot();
        self.options.identity.boot_id = fresh::id();
        let mut board = Board::new(
            self.options.clone(),
            HobbyServos::new(self.body.clone(), self.arm.joints),
            self.body.clone(),
        );
        let mut bytes = [0; 512];
        while !stop.load(Ordering::Relaxed) {
            let clock_us = self.now_us();
            let now_us = clock_us - booted_us;
            self.pty.refresh()?;
            while next_tick_us <= now_us {
                self.body.advance(next_tick_us);
                if self.body.take_reset(next_tick_us) {
                    return Ok(());
                }
                if !self.body.is_hung() {
                    board.tick(next_tick_us);
                }
                next_tick_us += u64::from(self.arm.tick_us);
            }
            let mut heard = false;
            loop {
                let count = self.pty.read(&mut bytes)?;
                if count == 0 {
                    break;
                }
                heard = true;
                // A board that hangs, or is reset, loses what it is told.
                if !self.body.is_hung() {
                    board.on_bytes(now_us, &bytes[..count]);
                }
            }
            let mut frame = [0; MAX_FRAME_BYTES];
            loop {
                let sent = board.transmit(&mut frame);
                if sent.is_empty() {
                    break;
                }
                self.pty.queue(sent);
            }
            self.pty.flush()?;
            if !heard {
                self.served_us.store(clock_us, Ordering::SeqCst);
                self.nap();
            }
        }
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.clock.now_ns() / 1_000
    }

    /// Waits for bytes, or for a moment.
    fn nap(&self) {
        if self.pty.is_open() {
            let nap = PollTimeout::try_from(NAP.as_millis()).unwrap_or(PollTimeout::ZERO);
            // Interrupted or not: everything is looked at next.
            let _ = poll(&mut [PollFd::new(self.pty.as_fd(), PollFlags::POLLIN)], nap);
        } else {
            // Without a host the pseudo-terminal never lets a poll wait.
            std::thread::park_timeout(NAP);
        }
    }
}
