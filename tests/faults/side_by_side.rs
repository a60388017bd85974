//! Trials that run beside each other.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs trials 0 to `trials` - 1 on `threads` threads, and returns what each came to, in their order.
pub(crate) fn side_by_side<T: Send>(threads: usize, trials: u64, trial: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= trials {
                        return;
                    }
                    let result = trial(number);
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// As many threads as there are CPUs.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
