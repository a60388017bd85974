//! A log that is taken away while it is written: the recorder says so, and the tick waits for nobody.

use std::path::Path;

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
