//! The time that a run has taken, kept on disk while a step is under way: a loop that is killed in the middle of a step has spent its
//! time all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;

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
                // Other steps report a full disk.
                let seconds = before + begun.elapsed().as_secs_f64();
                let _ = files::put(&path, text(seconds).as_bytes(), &files::is_marked);
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
        .filter(|bytes| files::is_marked(bytes))
        .and_then(|bytes| number(bytes.split(|byte| *byte == b'\n').next()?))
        .unwrap_or(0.0)
}

/// What the file holds: the number, and the mark by which this program knows it.
fn text(seconds: f64) -> String {
    format!("{seconds}\n{}\n", String::from_utf8_lossy(files::MARK))
}

fn number(line: &[u8]) -> Option<f64> {
    let seconds: f64 = std::str::from_utf8(line).ok()?.parse().ok()?;
    seconds.is_finite().then_some(seconds)
}

/// Makes the file ready for a run in `out`, which goes on if it was `begun`. Earlier versions wrote the number alone: beside the notes
/// of a run that was begun it is taken, and gets its mark. The seconds of another run are forgotten.
///
/// # Errors
/// If the file is somebody else's.
pub(super) fn prepare(out: &Path, begun: bool) -> anyhow::Result<()> {
    let path = path(out);
    files::check(&path, &|head| {
        files::is_marked(head) || (begun && number(head).is_some())
    })?;
    let there = files::read(&path).unwrap_or_default();
    if begun && let Some(seconds) = number(&there) {
        files::replace(&path, text(seconds).as_bytes())?;
    } else if !begun && files::is_marked(&there) {
        fs::remove_file(&path).with_context(|| format!("{}: cannot remove", path.display()))?;
    }
    Ok(())
}

fn path(out: &Path) -> PathBuf {
    out.join("learn.seconds")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Clock, noted, path, prepare};

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
        prepare(out, true).expect("is ours");
        assert_eq!(noted(out), cut_off.max(noted(out)));
        prepare(out, false).expect("is ours");
        assert_eq!(noted(out), 0.0);
    }

    #[test]
    fn a_number_of_somebody_else_is_refused_and_one_of_an_earlier_version_is_taken() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let out = dir.path();
        std::fs::write(path(out), "12.5").expect("writes");
        assert!(prepare(out, false).is_err());
        assert_eq!(std::fs::read(path(out)).expect("is there"), b"12.5");
        prepare(out, true).expect("lies beside the notes of a run");
        assert_eq!(noted(out), 12.5);
        std::fs::write(path(out), "notes of mine").expect("writes");
        assert!(prepare(out, true).is_err());
    }
}
