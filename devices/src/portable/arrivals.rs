//! Which pictures are fresh, where nothing but their arrival is known.
//!
//! A library keeps pictures that nobody took, and hands over the oldest first. A picture for which the caller had to wait was not kept:
//! it is fresh, if the caller was not itself held up meanwhile. So a hold-up puts all pictures in doubt, and the doubt ends when two
//! pictures in a row had to be waited for, neither of them longer than two periods. Two hold-ups in a row, of that length and just while kept
//! pictures are handed over, are not told.

use robot::MonotonicNs;

/// Pictures in a row, each of them waited for, that show that a camera is slower than agreed.
const SLOW_AFTER: usize = 3;

/// Tells fresh pictures from those that may have waited somewhere.
#[derive(Debug, Clone)]
pub struct Arrivals {
    period_ns: u64,
    /// Time between pictures as it is seen to be; not less than `period_ns`.
    pace_ns: u64,
    /// The next picture was taken after this.
    after_ns: MonotonicNs,
    doubtful: bool,
    /// Whether the last picture was waited for, and whether for no longer than a picture takes.
    waited_before: bool,
    plausible_before: bool,
    last_ns: MonotonicNs,
    /// The latest times between pictures that were waited for.
    intervals_ns: [u64; SLOW_AFTER],
}

impl Arrivals {
    /// For a camera that agreed to a picture each `period_ns`, and was opened at `now_ns`.
    pub fn new(period_ns: u64, now_ns: MonotonicNs) -> Self {
        Self {
            period_ns,
            pace_ns: period_ns,
            after_ns: now_ns,
            doubtful: true,
            waited_before: false,
            plausible_before: false,
            last_ns: now_ns,
            intervals_ns: [0; SLOW_AFTER],
        }
    }

    /// Whether the picture that was asked for at `asked_ns` and came at `now_ns` was taken at most two periods before.
    pub fn is_fresh(&mut self, asked_ns: MonotonicNs, now_ns: MonotonicNs) -> bool {
        let wait_ns = now_ns.saturating_sub(asked_ns);
        let waited = wait_ns >= self.period_ns / 2;
        if waited && self.waited_before {
            self.intervals_ns.rotate_left(1);
            self.intervals_ns[SLOW_AFTER - 1] = now_ns.saturating_sub(self.last_ns);
        } else if !waited {
            self.intervals_ns = [0; SLOW_AFTER];
        }
        let slowest_ns = self.intervals_ns.iter().copied().min().unwrap_or(0);
        self.pace_ns = slowest_ns.max(self.period_ns);
        // A longer wait may be a hold-up, during which pictures were kept.
        let plausible = waited && wait_ns <= 2 * self.pace_ns;
        let nothing_kept = plausible && self.plausible_before;
        if nothing_kept {
            self.after_ns = self.after_ns.max(asked_ns);
        }
        let known = now_ns.saturating_sub(self.after_ns) <= 2 * self.pace_ns;
        let fresh = known && (nothing_kept || !self.doubtful);
        self.doubtful = !fresh;
        // Cameras are a little faster than they say, but not much.
        self.after_ns += self.period_ns * 4 / 5;
        self.waited_before = waited;
        self.plausible_before = plausible;
        self.last_ns = now_ns;
        fresh
    }

    /// Time between pictures as it is seen to be, in nanoseconds: what was agreed, or more for a camera that is slower.
    pub fn pace_ns(&self) -> u64 {
        self.pace_ns
    }
}
