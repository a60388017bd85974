//! Telling our misses from the machine's: a sentinel thread that does nothing but wake up every millisecond.
//!
//! When the whole machine pauses, the sentinel is late as well. A deadline missed while the sentinel slept through is
//! counted as a miss and as a host stall; neither hides the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use robot::{Clock, SystemClock};

use crate::realtime::Raised;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    beat_ns: AtomicU64,
    last_stall_end_ns: AtomicU64,
    worst_ns: AtomicU64,
    count: AtomicU64,
}

/// The sentinel.
#[derive(Debug)]
pub struct Sentinel {
    stall_ns: u64,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sentinel {
    /// Starts it. A wake-up that is `stall_ns` late is a stall of the machine; `priority` is the tick's, or our own threads
    /// would look like one.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(clock: SystemClock, stall_ns: u64, priority: u8) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.beat_ns.store(clock.now_ns(), Ordering::SeqCst);
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sentinel".to_owned())
            .spawn(move || {
                let _raised = Raised::new(("realtime.tick_priority", priority), ("realtime.tick_cpu", &[]));
                let mut before = clock.now_ns();
                while !its.stop.load(Ordering::Relaxed) {
                    clock.sleep_until_ns(before + 1_000_000);
                    let now = clock.now_ns();
                    let late = now.saturating_sub(before + 1_000_000);
                    its.worst_ns.fetch_max(late, Ordering::SeqCst);
                    if late > stall_ns {
                        its.count.fetch_add(1, Ordering::SeqCst);
                        its.last_stall_end_ns.store(now, Ordering::SeqCst);
                    }
                    its.beat_ns.store(now, Ordering::SeqCst);
                    before = now;
                }
            })?;
        Ok(Self {
            stall_ns,
            shared,
            thread: Some(thread),
        })
    }

    /// Whether the machine stalled at some time since `since_ns`, or is only now coming back.
    pub fn stalled_since(&self, since_ns: u64, now_ns: u64) -> bool {
        self.shared.last_stall_end_ns.load(Ordering::SeqCst) >= since_ns
            || now_ns.saturating_sub(self.shared.beat_ns.load(Ordering::SeqCst)) > self.stall_ns
    }

    /// Stalls seen, and the worst lateness in nanoseconds.
    pub fn summary(&self) -> (u64, u64) {
        (
            self.shared.count.load(Ordering::SeqCst),
            self.shared.worst_ns.load(Ordering::SeqCst),
        )
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A sentinel that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}
