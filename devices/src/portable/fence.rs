//! What opens, watches and gives up the threads that wait for pictures.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use robot::{Clock, MonotonicNs, SystemClock};

use super::source::{Phase, Shared};
use super::worker::Worker;
use super::{Opener, PortableError, Settings};
use crate::webcam::Judge;

/// Most threads that are left behind in the library at one time. While there are so many, the camera is not opened again.
pub const HUNG_MAX: usize = 3;

/// A camera that is silent for so long, and for ten of its periods, is opened again, in nanoseconds.
const SILENT_NS: u64 = 1_000_000_000;

/// Longest wait for the first picture of a camera, in nanoseconds: some take seconds for it.
const FIRST_NS: u64 = 5_000_000_000;

/// Longest wait for the library to open a camera, in nanoseconds. Some systems ask the user first.
const OPENING_NS: u64 = 15_000_000_000;

/// First and longest time between attempts to open a camera, in nanoseconds.
const BACK_OFF_NS: (u64, u64) = (100_000_000, 2_000_000_000);

/// Longest time between turns that counts as waiting, in nanoseconds. In more than that this program was held up itself.
const TURN_MAX_NS: u64 = 100_000_000;

/// Longest wait for a thread to close the camera at the end, in nanoseconds.
const CLOSING_NS: u64 = 500_000_000;

/// Opens the camera on a thread of its own, and gives that thread up when it does not come back. One turn at a time, so that it can be
/// driven in virtual time.
pub struct Fence {
    settings: Settings,
    opener: Arc<dyn Opener>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    priority: u8,
    /// The thread that grabs.
    grabbing: Option<JoinHandle<()>>,
    /// Threads that were given up and have not come back.
    hung: Vec<JoinHandle<()>>,
    /// The phase that was seen last, and for how long.
    seen: (Phase, u64),
    turned_ns: MonotonicNs,
    /// When the camera is opened next, and how long that was waited for.
    next_ns: MonotonicNs,
    wait_ns: u64,
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fence")
            .field("settings", &self.settings)
            .field("seen", &self.seen)
            .field("hung", &self.hung.len())
            .finish_non_exhaustive()
    }
}

impl Fence {
    pub(super) fn new(
        settings: &Settings,
        opener: Arc<dyn Opener>,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
        priority: u8,
    ) -> Self {
        Self {
            settings: settings.clone(),
            opener,
            turned_ns: clock.now_ns(),
            clock,
            shared,
            priority,
            grabbing: None,
            hung: Vec::new(),
            seen: (Phase::None, 0),
            next_ns: 0,
            wait_ns: 0,
        }
    }

    /// Whether the [`super::PortableCamera`] is gone, so that no more turns are needed.
    pub fn is_done(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Whether a thread is opening the camera.
    pub fn is_opening(&self) -> bool {
        self.shared.state.hold().phase == Phase::Opening
    }

    /// Threads that were given up and have not come back.
    pub fn hung(&mut self) -> usize {
        self.hung.retain(|thread| !thread.is_finished());
        self.hung.len()
    }

    /// One turn: looks whether pictures come, and opens the camera if there is none and it is time. It never waits.
    pub fn turn(&mut self) {
        let now_ns = self.clock.now_ns();
        let passed_ns = now_ns.saturating_sub(self.turned_ns).min(TURN_MAX_NS);
        self.turned_ns = now_ns;
        let (phase, rate_hz) = {
            let state = self.shared.state.hold();
            let rate_hz = state.agreed.as_ref().map_or(1.0, |agreed| agreed.rate_hz);
            (state.phase.clone(), rate_hz)
        };
        if phase == self.seen.0 {
            self.seen.1 += passed_ns;
        } else {
            self.seen = (phase.clone(), 0);
        }
        let still_ns = self.seen.1;
        let silent = || PortableError::Silent {
            silent_ms: still_ns / 1_000_000,
        };
        let silent_max_ns = SILENT_NS.max((1e10 / rate_hz) as u64);
        match phase {
            Phase::None if now_ns >= self.next_ns => self.open(now_ns),
            Phase::Failed(error) => self.lose(error, now_ns),
            Phase::Opening if still_ns >= OPENING_NS => {
                let waited_ms = still_ns / 1_000_000;
                self.lose(PortableError::Opening { waited_ms }, now_ns);
            }
            Phase::Grabbing(0) if still_ns >= FIRST_NS.max(silent_max_ns) => self.lose(silent(), now_ns),
            Phase::Grabbing(pictures) if pictures > 0 => {
                self.wait_ns = 0;
                if still_ns >= silent_max_ns {
                    self.lose(silent(), now_ns);
                }
            }
            Phase::None | Phase::Opening | Phase::Grabbing(_) => {}
        }
    }

    /// Starts a thread that opens the camera and grabs.
    fn open(&mut self, now_ns: MonotonicNs) {
        if self.hung() >= HUNG_MAX {
            self.lose(PortableError::Hung, now_ns);
            return;
        }
        self.seen = (Phase::Opening, 0);
        let generation = {
            let mut state = self.shared.state.hold();
            state.phase = Phase::Opening;
            state.generation
        };
        let worker = Worker {
            opener: Arc::clone(&self.opener),
            clock: Arc::clone(&self.clock),
            shared: Arc::clone(&self.shared),
            generation,
            judge: Judge::new(self.settings.black_level, self.settings.frozen_after),
            priority: self.priority,
        };
        let thread = std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || worker.run());
        match thread {
            Ok(thread) => self.grabbing = Some(thread),
            Err(error) => self.lose(PortableError::Thread(error.to_string()), now_ns),
        }
    }

    /// The camera is gone: it is opened again after a while, by another thread.
    fn lose(&mut self, error: PortableError, now_ns: MonotonicNs) {
        let given_up = matches!(
            error,
            PortableError::Silent { .. } | PortableError::Opening { .. }
        );
        let mut state = self.shared.state.hold();
        state.lose(error);
        state.counts.abandoned += u64::from(given_up);
        drop(state);
        // It ends by itself once it comes back from the library.
        self.hung.extend(self.grabbing.take());
        self.next_ns = now_ns + self.wait_ns;
        self.wait_ns = (2 * self.wait_ns).clamp(BACK_OFF_NS.0, BACK_OFF_NS.1);
    }

    /// Gives the grabbing thread up, and waits a while for it to close the camera, so that another program can open it.
    pub(super) fn close(&mut self) {
        self.give_up();
        let clock = SystemClock::default();
        while self.grabbing.as_ref().is_some_and(|thread| !thread.is_finished())
            && clock.now_ns() < CLOSING_NS
        {
            clock.sleep_until_ns(clock.now_ns() + CLOSING_NS / 100);
        }
    }

    fn give_up(&self) {
        self.shared.state.hold().generation += 1;
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.give_up();
    }
}
