//! A log that is taken away while it is written: the recorder says so, and the tick waits for nobody.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use controller::capture::KeptPicture;
use controller::record::Recorder;
use episode::{EpisodeError, EpisodeInfo, EpisodeWriter, TickRecord};

/// A recorder that has taken one row, and its log.
fn begun(dir: &Path) -> (Recorder, std::path::PathBuf) {
    let log = dir.join("run/episode.mcap");
    let info = EpisodeInfo {
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned()],
        ..EpisodeInfo::default()
    };
    let writer = EpisodeWriter::create(&log, &info, &[])
        .and_then(EpisodeWriter::durable)
        .expect("a log");
    let mut recorder = Recorder::start(writer, 64, 0).expect("a thread");
    recorder.push(&TickRecord::default(), None, &KeptPicture::default(), 0, false);
    (recorder, log)
}

#[test]
fn a_folder_that_is_removed_fails_the_recorder_while_the_episode_runs() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (recorder, log) = begun(dir.path());
    std::fs::remove_dir_all(dir.path().join("run")).expect("removes");
    // Nothing but the recording thread has to run for it.
    while !recorder.failed() {
        std::thread::yield_now();
    }
    let error = recorder.finish().expect_err("the log is gone");
    assert!(
        matches!(&error, EpisodeError::Gone { path, .. } if *path == log),
        "{error}"
    );
}

#[test]
fn a_log_that_is_removed_in_the_last_moment_is_no_success() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (recorder, log) = begun(dir.path());
    std::fs::remove_file(&log).expect("removes");
    let error = recorder.finish().expect_err("the log is gone");
    assert!(matches!(error, EpisodeError::Gone { .. }), "{error}");
}

/// A disk that does not answer once it has taken the head of a log, until it is let go.
#[derive(Clone, Default)]
struct HungDisk(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    hangs: bool,
    bytes: u64,
}

impl HungDisk {
    fn set(&self, hangs: bool) {
        let (held, changed) = &*self.0;
        held.lock().expect("nobody panics").hangs = hangs;
        changed.notify_all();
    }
}

impl Write for HungDisk {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let (held, changed) = &*self.0;
        let held = held.lock().expect("nobody panics");
        let mut held = changed
            .wait_while(held, |held| held.hangs)
            .expect("nobody panics");
        held.bytes += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for HungDisk {
    fn seek(&mut self, _to: SeekFrom) -> std::io::Result<u64> {
        Ok(self.0.0.lock().expect("nobody panics").bytes)
    }
}

#[test]
fn a_disk_that_does_not_answer_is_not_waited_for_without_end_and_rows_that_find_no_place_are_counted() {
    let disk = HungDisk::default();
    let path = Path::new("hung/episode.mcap");
    let info = EpisodeInfo {
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned()],
        ..EpisodeInfo::default()
    };
    let writer = EpisodeWriter::from_writer(disk.clone(), path, &info, &[], 1).expect("a log");
    disk.set(true);
    let mut recorder = Recorder::start(writer, 64, 0)
        .expect("a thread")
        .with_patience(Duration::from_millis(50));
    // The tick waits for nobody: it goes on, and one row too many is counted.
    let mut rows = 0;
    while recorder.dropped() == 0 {
        recorder.push(&TickRecord::default(), None, &KeptPicture::default(), 0, false);
        rows += 1;
        assert!(rows < 1_000, "rows must find no place some time");
    }
    let error = recorder.finish().expect_err("the disk does not answer");
    assert!(
        matches!(&error, EpisodeError::Hung { path: named, waited_s } if named == path && *waited_s >= 0.05),
        "{error}"
    );
    disk.set(false);
}
