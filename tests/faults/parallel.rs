//! Trials side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A trial takes a fraction of a second. One that takes this long hangs.
const HANGS: Duration = Duration::from_secs(240);

/// What `trial` makes of each number below `trials`, in their order. Each thread makes its own `kit` first, and lends it to its trials.
pub(crate) fn trials<K, T: Send>(
    trials: u64,
    kit: impl Fn() -> K + Sync,
    trial: impl Fn(&mut K, u64) -> T + Sync,
) -> Vec<T> {
    let next = Arc::new(AtomicU64::new(0));
    let watched = Arc::clone(&next);
    let (_done, ended) = std::sync::mpsc::sync_channel::<()>(1);
    // Nothing else ends a program whose trial hangs.
    let watching = std::thread::Builder::new().name("hangs".to_owned());
    let watch = move || {
        let mut before = u64::MAX;
        while ended.recv_timeout(HANGS) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let now = watched.load(Ordering::Relaxed);
            if now == before {
                eprintln!("a trial below number {now} hangs");
                std::process::exit(1);
            }
            before = now;
        }
    };
    watching.spawn(watch).expect("a thread");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let (mut kit, mut done) = (kit(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= trials {
                return done;
            }
            done.push((number, trial(&mut kit, number)));
        }
    };
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a trial does not panic"))
            .collect()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, made)| made).collect()
}
