//! How late something may be that is done at once, in real time, on a machine that may stand still or be busy.

use controller::stall::Sentinel;
use robot::config::Realtime;
use robot::{Clock, SystemClock};

/// Within this time something is done at once.
pub(crate) const AT_ONCE_MS: f64 = 10.0;

/// Whatever takes longer than this has waited for somebody: no thread is kept from a CPU for so long by others of its kind.
pub(crate) const WAITED_MS: f64 = 100.0;

/// Priority of the emergency stop's thread where the robot file asks for none. The sentinels that are raised have one more.
const PRIORITY: u8 = 90;

/// A stall beside [`AT_ONCE_MS`].
pub(crate) const STALL_NS: u64 = 2_000_000;

/// Nothing is asked of the operating system.
pub(crate) fn realtime() -> Realtime {
    Realtime {
        tick_priority: 0,
        capture_priority: 0,
        bus_priority: 0,
        plan_priority: 0,
        tick_cpu: None,
        plan_cpus: Vec::new(),
        lock_memory: false,
    }
}

/// Looks whether the machine stands still.
pub(crate) struct Machine {
    clock: SystemClock,
    /// Above the emergency stop's thread, where threads may have a priority.
    above: Sentinel,
    /// Without a priority.
    among: Sentinel,
    may_raise: bool,
}

/// Who was kept waiting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stalled {
    /// Every thread: the machine stood still.
    pub(crate) machine: bool,
    /// Threads without a priority.
    pub(crate) others: bool,
}

impl Machine {
    /// A sentinel that wakes up `stall_ns` late tells of a stall.
    pub(crate) fn new(stall_ns: u64) -> Self {
        let clock = SystemClock::default();
        let wanted = Realtime {
            tick_priority: PRIORITY,
            ..realtime()
        };
        let above = Sentinel::start(&clock, stall_ns, &wanted).expect("threads");
        let among = Sentinel::start(&clock, stall_ns, &realtime()).expect("threads");
        Self {
            clock,
            above,
            among,
            may_raise: realtime::may_raise(PRIORITY),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Whether the emergency stop's thread has a priority of its own.
    pub(crate) fn may_raise(&self) -> bool {
        self.may_raise
    }

    /// The priority for whoever presses: just below the emergency stop's, so that the time until the press is not measured as well. 0 where
    /// threads may have none.
    pub(crate) fn presser(&self) -> u8 {
        if self.may_raise { PRIORITY - 1 } else { 0 }
    }

    /// Who was kept waiting since then.
    pub(crate) fn stalled_since(&self, since_ns: u64) -> Stalled {
        let now_ns = self.now_ns();
        let machine = self.above.stalled_since(since_ns, now_ns);
        Stalled {
            machine,
            others: machine || self.among.stalled_since(since_ns, now_ns),
        }
    }
}

/// An error if `what` came after `ms`, later than `bound_ms`, without the excuse that somebody was kept waiting.
pub(crate) fn in_time(what: &str, ms: f64, bound_ms: f64, excused: bool) -> Result<(), String> {
    // What is no number is not in time either.
    if ms <= bound_ms || (ms > bound_ms && excused) {
        return Ok(());
    }
    Err(format!(
        "{what} after {ms:.1} ms, {bound_ms} ms allowed, and the machine did not stall"
    ))
}
