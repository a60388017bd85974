//! The time that a run has taken, kept on disk while a step is under way: a loop that is killed in the middle of a step has spent its
//! time all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of a step's time a kill can cost.
const EVERY: Duration = Duration::from_secs(10);

/// Runs while a step does.
pub(super) struct Clock {
    begun: Instant,
    /// Seconds of the run before this step.
    before: f64,
    /// Dropped to end the thread.
    running: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Starts on a step of the run in `out`, which has taken `before` seconds.
    pub(super) fn start(out: &Path, before: f64) -> Self {
        Self::every(EVERY, out, before)
    }

    fn every(period: Duration, out: &Path, before: f64) -> Self {
        let (begun, path) = (Instant::now(), path(out));
        let (running, stopped) = sync_channel(0);
        let note = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                // A disk that is full is told of by those whose work it keeps from being saved.
                let seconds = (before + begun.elapsed().as_secs_f64()).to_string();
                let _ = files::put(&path, seconds.as_bytes(), &|head| number(head).is_some());
            }
        };
        // Without a thread nothing is noted before the step is over.
        let thread = std::thread::Builder::new().name("clock".to_owned()).spawn(note);
        Self {
            begun,
            before,
            running: Some(running),
            thread: thread.ok(),
        }
    }

    /// The step is over. Seconds of the run up to now.
    pub(super) fn stop(self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Seconds that the run in `out` had taken when a clock noted them last; 0 if none did.
pub(super) fn noted(out: &Path) -> f64 {
    files::read(&path(out))
        .ok()
        .and_then(|bytes| number(&bytes))
        .filter(|seconds| seconds.is_finite())
        .unwrap_or(0.0)
}

/// The number that a file of ours holds, and nothing else.
fn number(bytes: &[u8]) -> Option<f64> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// Forgets them: the run is another.
pub(super) fn forget(out: &Path) {
    let path = path(out);
    if files::read(&path).is_ok_and(|bytes| number(&bytes).is_some()) {
        let _ = fs::remove_file(path);
    }
}

fn path(out: &Path) -> PathBuf {
    out.join("learn.seconds")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Clock, forget, noted};

    #[test]
    fn a_step_that_was_cut_off_has_taken_its_time() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let out = dir.path();
        assert_eq!(noted(out), 0.0);
        let begun = Instant::now();
        let clock = Clock::every(Duration::from_millis(1), out, 100.0);
        while noted(out) == 0.0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was noted");
            std::thread::yield_now();
        }
        // What a kill would leave.
        let cut_off = noted(out);
        assert!(
            cut_off > 100.0 && cut_off <= 100.0 + begun.elapsed().as_secs_f64(),
            "{cut_off}"
        );
        let whole = clock.stop();
        assert!(noted(out) <= whole && whole <= 100.0 + begun.elapsed().as_secs_f64());
        forget(out);
        assert_eq!(noted(out), 0.0);
    }
}
