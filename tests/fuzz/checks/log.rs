//! Logs.

use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use episode::{Episode, EpisodeError, EpisodeWriter, TickRecord};
use robot::Frame;

#[expect(dead_code, reason = "the log's own tests use all of it")]
#[path = "../../../episode/tests/log/sample.rs"]
mod sample;

use sample::{ATTACHMENTS, Disk, PERIOD_NS};

/// A log is refused by an error that names it, or what is read agrees with itself. What is read of a log that was cut off is the
/// beginning of what is read of the whole.
pub(crate) struct Check {
    dir: tempfile::TempDir,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }
}

impl Check {
    fn path(&self) -> PathBuf {
        self.dir.path().join("episode.mcap")
    }

    /// # Panics
    /// If a reader does, or contradicts itself.
    pub(crate) fn check(&mut self, data: &[u8]) {
        let path = self.path();
        fs::write(&path, data).expect("writes");
        let whole = read(data, &path);
        agree(&whole, &path);
        let cut = data.len() / 4 * 3;
        begins(&whole, &read(&data[..cut], &path), cut);
    }

    /// Inputs from which a fuzzer begins: logs as they are written, and the same without compression and checksums, which a fuzzer
    /// cannot guess.
    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (ticks, side) in [(0, None), (1, None), (3, Some(32)), (7, None)] {
            let log = log(ticks, side);
            seeds.push(plain(&log));
            seeds.push(log);
        }
        seeds
    }
}

fn read(data: &[u8], path: &Path) -> Result<Episode, EpisodeError> {
    let read = episode::read_episode_from(data, path);
    match &read {
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("episode.mcap"), "{said}");
        }
        Ok(episode) => consistent(episode),
    }
    read
}

/// Whether what was read of a log fits together.
fn consistent(episode: &Episode) {
    let count = episode.ticks.len();
    assert_eq!(episode.frames.len(), count);
    assert!(episode.intact <= count);
    assert_eq!(episode.complete, episode.problem.is_none());
    assert!(
        episode.ticks.windows(2).all(|pair| pair[0].tick < pair[1].tick),
        "ticks do not increase"
    );
    let stretches = episode.stretches();
    let Ok(training) = episode.training() else {
        return;
    };
    // Late pictures show rows before theirs: the last rows of a stretch are on none.
    let late = episode.info.picture_delay_ticks as usize;
    let lengths = stretches.iter().map(|range| range.len().saturating_sub(late));
    let lengths: Vec<usize> = lengths.filter(|length| *length >= 2).collect();
    assert_eq!(training.len(), lengths.len());
    for (stretch, length) in training.iter().zip(lengths) {
        assert_eq!(stretch.length, length);
        assert_eq!(stretch.rewards.len(), length);
        assert_eq!(stretch.actions.len(), length * stretch.action_dim);
        assert_eq!(stretch.frames.len(), length * Frame::bytes(stretch.side));
        assert!(stretch.rewards.iter().flatten().all(|reward| reward.is_finite()));
    }
}

/// The other ways to read a log find no more than there is, and the same in a whole one.
fn agree(whole: &Result<Episode, EpisodeError>, path: &Path) {
    let mut shown = 0;
    let rows = episode::read_rows(path, |_, _| shown += 1);
    let decisions = episode::decision_stream(path);
    let pictures = episode::read_pictures(path, |_, _| ControlFlow::Continue(()));
    if let Ok(rows) = &rows {
        assert_eq!(rows.count, shown);
    }
    let Ok(whole) = whole else {
        return;
    };
    if whole.complete {
        let rows = rows.expect("a complete log has rows");
        assert!(rows.complete, "{:?}", rows.problem);
        assert_eq!(rows.count, whole.ticks.len() as u64);
        decisions.expect("a complete log has decisions");
        pictures.expect("a complete log can be read");
    }
}

/// What was read of the first `cut` bytes is the beginning of what was read of all.
fn begins(whole: &Result<Episode, EpisodeError>, part: &Result<Episode, EpisodeError>, cut: usize) {
    let (Ok(whole), Ok(part)) = (whole, part) else {
        return;
    };
    // A log may describe itself twice, and the later words count.
    if whole.info != part.info {
        return;
    }
    assert!(
        !(whole.complete && part.complete),
        "a log that was cut off at {cut} passes for a complete one"
    );
    let count = part.ticks.len();
    assert!(
        count <= whole.ticks.len(),
        "a log that was cut off at {cut} has more ticks"
    );
    // Compared as text: a number that is none is not equal to itself.
    assert_eq!(
        format!("{:?}", part.ticks),
        format!("{:?}", &whole.ticks[..count]),
        "cut at {cut}"
    );
    assert_eq!(part.frames, whole.frames[..count], "cut at {cut}");
}

/// A log of `ticks` rows, with pictures of `side` pixels, if any.
fn log(ticks: u32, side: Option<usize>) -> Vec<u8> {
    let disk = Disk::default();
    let mut writer = EpisodeWriter::from_writer(
        disk.clone(),
        Path::new("memory"),
        &sample::info(),
        &ATTACHMENTS,
        1,
    )
    .expect("a log begins");
    for number in 0..ticks {
        let frame = side.map(Frame::new);
        let mut row: TickRecord = sample::tick(number);
        row.capture.frame_hash = frame.as_ref().map_or(row.capture.frame_hash, Frame::hash);
        row.capture.fresh = frame.is_some();
        writer
            .write_tick(&row, frame.as_ref(), u64::from(number) * PERIOD_NS)
            .expect("a row");
    }
    writer.finish().expect("a log ends");
    disk.bytes()
}

/// The same log without compression and without checksums, in one chunk.
fn plain(log: &[u8]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = mcap::WriteOptions::new()
        .compression(None)
        .calculate_chunk_crcs(false)
        .calculate_data_section_crc(false)
        .calculate_summary_section_crc(false)
        .calculate_attachment_crcs(false)
        .emit_message_indexes(false)
        .repeat_schemas(false)
        .repeat_channels(false)
        .create(&mut out)
        .expect("a log begins");
    for record in mcap::read::LinearReader::new(log).expect("a log") {
        match record.expect("a record") {
            mcap::records::Record::Metadata(metadata) => writer.write_metadata(&metadata).expect("metadata"),
            mcap::records::Record::Attachment { header, data, .. } => writer
                .attach(&mcap::Attachment {
                    log_time: header.log_time,
                    create_time: header.create_time,
                    name: header.name,
                    media_type: header.media_type,
                    data,
                })
                .expect("an attachment"),
            _ => {}
        }
    }
    for message in mcap::MessageStream::new(log).expect("a log") {
        writer.write(&message.expect("a message")).expect("a message");
    }
    writer.finish().expect("a log ends");
    drop(writer);
    out.into_inner()
}
