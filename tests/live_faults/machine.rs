//! How long the machine itself stood still: what a thread sees that does nothing but look at the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The thread looks as often.
const NAP: Duration = Duration::from_millis(2);

/// Shorter pauses are not told.
const LEAST: Duration = Duration::from_millis(30);

/// When the thread was held up until, in seconds since 1970, and for how long, in seconds.
pub(crate) type Stall = (f64, f64);

/// Watches the machine.
pub(crate) struct Stalls {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Stall>>,
}

impl Stalls {
    /// Begins.
    pub(crate) fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = move || {
            let mut stalls = Vec::new();
            let mut last = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(NAP);
                let held_up = last.elapsed();
                last = Instant::now();
                if held_up > LEAST {
                    stalls.push((crate::unix_s(), held_up.as_secs_f64()));
                }
            }
            stalls
        };
        let thread = std::thread::Builder::new()
            .name("stalls".to_owned())
            .spawn(watch)
            .expect("a thread");
        Self { stop, thread }
    }

    /// What it saw.
    pub(crate) fn end(self) -> Vec<Stall> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
