//! How long the present step has taken, kept on disk: a loop that is killed in the middle of a step has spent its time all the same.

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
    path: PathBuf,
    /// Dropped to end the thread.
    running: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Starts on a step of the run in `out`.
    pub(super) fn start(out: &Path) -> Self {
        Self::every(EVERY, out)
    }

    fn every(period: Duration, out: &Path) -> Self {
        let (begun, path) = (Instant::now(), path(out));
        let (running, stopped) = sync_channel(0);
        let notes = path.clone();
        let note = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                // A disk that is full is told of by those whose work it keeps from being saved.
                let _ = fs::write(&notes, begun.elapsed().as_secs_f64().to_string());
            }
        };
        // Without a thread nothing is noted before the step is over.
        let thread = std::thread::Builder::new().name("clock".to_owned()).spawn(note);
        Self {
            begun,
            path,
            running: Some(running),
            thread: thread.ok(),
        }
    }

    /// The step is over. Its seconds, which are the caller's to note.
    pub(super) fn stop(mut self) -> f64 {
        self.halt();
        let seconds = self.begun.elapsed().as_secs_f64();
        let _ = fs::remove_file(&self.path);
        seconds
    }

    fn halt(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Seconds of a step in `out` that was never over; they are counted once.
pub(super) fn left_over(out: &Path) -> f64 {
    let path = path(out);
    let seconds = fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let _ = fs::remove_file(&path);
    seconds.unwrap_or(0.0)
}

fn path(out: &Path) -> PathBuf {
    out.join("step.seconds")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Clock, left_over, path};

    #[test]
    fn a_step_that_was_cut_off_is_counted_once_and_one_that_was_not_is_its_own_business() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let out = dir.path();
        let begun = Instant::now();
        let cut_off = Clock::every(Duration::from_millis(1), out);
        while !std::fs::read_to_string(path(out)).is_ok_and(|text| !text.is_empty()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was noted");
            std::thread::yield_now();
        }
        // As a kill does, it leaves its notes.
        drop(cut_off);
        let counted = left_over(out);
        assert!(
            counted > 0.0 && counted <= begun.elapsed().as_secs_f64(),
            "{counted}"
        );
        assert_eq!(left_over(out), 0.0);
        assert!(Clock::every(Duration::from_millis(1), out).stop() >= 0.0);
        assert_eq!(left_over(out), 0.0);
    }
}
