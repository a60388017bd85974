//! Telling our misses from the machine's: sentinel threads that do nothing but wake up every millisecond, or more often.
//!
//! When the machine pauses, a sentinel is late as well. A deadline missed while one slept through is counted as a miss and
//! as a host stall; neither hides the other.
//!
//! A virtual machine's CPUs are paused one by one. Where threads may have real-time priorities there is therefore a
//! sentinel on each CPU that the tick may run on, one step above the tick: nothing of ours keeps it waiting. Elsewhere there
//! is a single one that runs where there is room, since one that is kept on a busy CPU would take our own threads for a
//! pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hand_over::Pulse;
use robot::config::Realtime;
use robot::{Clock, SystemClock};

/// Most time between two wake-ups.
const BEAT_MAX_NS: u64 = 1_000_000;

/// Least time between two.
const BEAT_MIN_NS: u64 = 100_000;

/// CPUs that are watched at most, one by one.
const WATCHED_MAX: usize = 16;

/// Wakes up every `beat_ns` until told to stop. Late by more than `stall_ns` is a stall.
fn keep(pulse: &Pulse, clock: &SystemClock, (beat_ns, stall_ns): (u64, u64), stop: &AtomicBool) {
    let mut before = clock.now_ns();
    while !stop.load(Ordering::Relaxed) {
        clock.sleep_until_ns(before + beat_ns);
        let now = clock.now_ns();
        pulse.beat(now, now.saturating_sub(before + beat_ns) > stall_ns);
        before = now;
    }
}

/// The sentinels.
#[derive(Debug)]
pub struct Sentinel {
    stall_ns: u64,
    beat_ns: u64,
    stop: Arc<AtomicBool>,
    pulses: Vec<Arc<Pulse>>,
    threads: Vec<JoinHandle<()>>,
}

impl Sentinel {
    /// Starts them. A wake-up that is `stall_ns` late is a stall of the machine.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(clock: &SystemClock, stall_ns: u64, wanted: &Realtime) -> std::io::Result<Self> {
        let mut sentinel = Self {
            stall_ns,
            // Of a pause, what comes before the next beat goes unseen: a quarter of a stall at most.
            beat_ns: (stall_ns / 4).clamp(BEAT_MIN_NS, BEAT_MAX_NS),
            stop: Arc::default(),
            pulses: Vec::new(),
            threads: Vec::new(),
        };
        let cpus = realtime::cpus(wanted.tick_cpu.as_slice());
        let priority = if realtime::may_raise(wanted.tick_priority) {
            realtime::above(wanted.tick_priority)
        } else {
            0
        };
        if priority > 0 && (1..=WATCHED_MAX).contains(&cpus.len()) {
            for cpu in cpus {
                sentinel.add(clock, format!("sentinel {cpu}"), priority, vec![cpu])?;
            }
        } else {
            sentinel.add(clock, "sentinel".to_owned(), priority, Vec::new())?;
        }
        Ok(sentinel)
    }

    fn add(
        &mut self,
        clock: &SystemClock,
        name: String,
        priority: u8,
        cpus: Vec<usize>,
    ) -> std::io::Result<()> {
        let pulse = Arc::new(Pulse::new(clock.now_ns()));
        let (its, stop, clock) = (Arc::clone(&pulse), Arc::clone(&self.stop), clock.clone());
        let times = (self.beat_ns, self.stall_ns);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _raised =
                realtime::Raised::new(("realtime.tick_priority", priority), ("realtime.tick_cpu", &cpus));
            keep(&its, &clock, times, &stop);
        })?;
        self.pulses.push(pulse);
        self.threads.push(thread);
        Ok(())
    }

    /// Whether the machine stalled at some time since `since_ns`, or is only now coming back.
    pub fn stalled_since(&self, since_ns: u64, now_ns: u64) -> bool {
        self.pulses
            .iter()
            .any(|pulse| pulse.stalled_since(since_ns, now_ns, self.beat_ns + self.stall_ns))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A sentinel that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}
