//! The pulse of a machine: a thread that does nothing but wake up tells others whether it woke up in time.

use crate::sync::{AtomicU64, Ordering};

/// The last beat, and the last late one. Times are in nanoseconds on one clock of whoever uses it.
#[derive(Debug)]
pub struct Pulse {
    beat_ns: AtomicU64,
    last_stall_end_ns: AtomicU64,
}

impl Pulse {
    /// A pulse that was last felt at `now_ns`.
    pub fn new(now_ns: u64) -> Self {
        Self {
            beat_ns: AtomicU64::new(now_ns),
            last_stall_end_ns: AtomicU64::new(0),
        }
    }

    /// A beat at `now_ns`, `late` or not.
    pub fn beat(&self, now_ns: u64, late: bool) {
        if late {
            // Before the beat: whoever sees the beat sees this.
            self.last_stall_end_ns.store(now_ns, Ordering::Release);
        }
        self.beat_ns.store(now_ns, Ordering::Release);
    }

    /// Whether a stall ended at `since_ns` or later, or the last beat was more than `patience_ns` before `now_ns`.
    pub fn stalled_since(&self, since_ns: u64, now_ns: u64, patience_ns: u64) -> bool {
        // The beat first: if it is the one that ended a stall, the end of that stall is seen below.
        let beat_ns = self.beat_ns.load(Ordering::Acquire);
        now_ns.saturating_sub(beat_ns) > patience_ns
            || self.last_stall_end_ns.load(Ordering::Acquire) >= since_ns
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Pulse;

    #[test]
    fn a_stall_is_told_while_it_lasts_and_afterwards_to_whoever_asks_about_its_time() {
        let pulse = Pulse::new(100);
        assert!(!pulse.stalled_since(50, 110, 10));
        assert!(pulse.stalled_since(50, 111, 10), "no beat for more than 10");
        pulse.beat(120, true);
        assert!(pulse.stalled_since(120, 121, 10));
        assert!(!pulse.stalled_since(121, 121, 10), "it ended before");
        pulse.beat(130, false);
        assert!(pulse.stalled_since(110, 131, 10));
        assert!(!pulse.stalled_since(125, 131, 10));
    }
}
