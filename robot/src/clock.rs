//! Time: one monotonic nanosecond count, real or virtual.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Nanoseconds since the clock was made. Monotonic; never compared between clocks.
pub type MonotonicNs = u64;

/// Where the control loop reads time and waits for the next edge.
pub trait Clock: Send + Sync {
    /// Nanoseconds since this clock's origin.
    fn now_ns(&self) -> MonotonicNs;

    /// Returns at or after `deadline_ns`; at once if it has passed.
    fn sleep_until_ns(&self, deadline_ns: MonotonicNs);
}

/// The machine's monotonic clock.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> MonotonicNs {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep_until_ns(&self, deadline_ns: MonotonicNs) {
        loop {
            let now = self.now_ns();
            if now >= deadline_ns {
                return;
            }
            std::thread::park_timeout(Duration::from_nanos(deadline_ns - now));
        }
    }
}

/// A clock that moves only when told to: waiting jumps it to the deadline, so that simulated time costs no time.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now_ns: AtomicU64,
}

impl VirtualClock {
    /// Moves time on by `ns`.
    pub fn advance_ns(&self, ns: u64) {
        self.now_ns.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now_ns(&self) -> MonotonicNs {
        self.now_ns.load(Ordering::SeqCst)
    }

    fn sleep_until_ns(&self, deadline_ns: MonotonicNs) {
        self.now_ns.fetch_max(deadline_ns, Ordering::SeqCst);
    }
}
