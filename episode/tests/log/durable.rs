//! What a power cut, or somebody who takes the file away, does to a log that is being written.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use episode::{EpisodeError, EpisodeWriter};

use crate::sample::{ATTACHMENTS, PERIOD_NS, frame, info, read, tick};

/// A disk that remembers how much of a file it had at each flush: that much survives a power cut.
#[derive(Clone, Default)]
struct Disk {
    bytes: Rc<RefCell<Vec<u8>>>,
    safe: Rc<RefCell<Vec<usize>>>,
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.bytes.borrow_mut().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.safe.borrow_mut().push(self.bytes.borrow().len());
        Ok(())
    }
}

#[test]
fn a_power_cut_at_any_offset_costs_one_chunk_at_most() {
    let disk = Disk::default();
    let path = Path::new("memory");
    let mut writer = EpisodeWriter::from_writer(disk.clone(), path, &info(), &ATTACHMENTS, 20_000).unwrap();
    // What the disk was asked to keep after each tick.
    let mut safe = Vec::new();
    for number in 0..24 {
        let picture = frame(number);
        let time_ns = u64::from(number) * PERIOD_NS;
        writer.write_tick(&tick(number), Some(&picture), time_ns).unwrap();
        safe.push(disk.safe.borrow().last().copied().unwrap_or(0));
    }
    writer.finish().unwrap();
    let bytes = disk.bytes.borrow().clone();
    let chunks: std::collections::BTreeSet<usize> = safe.iter().copied().collect();
    // 12 kB a picture, so that a chunk holds two ticks.
    let ticks_a_chunk = 2;
    assert_eq!(
        chunks.len(),
        1 + 24 / ticks_a_chunk,
        "each chunk is flushed by itself"
    );
    for offset in (safe[0]..bytes.len()).step_by(7) {
        let cut = read(&bytes[..offset]).unwrap();
        // Ticks that had been handed over when the file was so long and no longer.
        let handed_over = safe.iter().filter(|kept| **kept <= offset).count();
        let lost = handed_over.saturating_sub(cut.ticks.len());
        assert!(lost <= ticks_a_chunk, "{lost} ticks were lost at offset {offset}");
        assert!(!cut.complete);
    }
}

/// Something that is done to the file of a log.
type Mishap = fn(&Path);

#[test]
fn a_log_that_somebody_takes_away_or_changes_is_noticed() {
    let remove: Mishap = |path| fs::remove_file(path).unwrap();
    let remove_folder: Mishap = |path| fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let replace: Mishap = |path| {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let empty: Mishap = |path| {
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(0)
            .unwrap();
    };
    let append: Mishap = |path| {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    };
    for (mishap, words) in [
        (remove, "no longer be found"),
        (remove_folder, "no longer be found"),
        (replace, "another file is in its place"),
        (empty, "somebody else has changed it"),
        (append, "somebody else has changed it"),
    ] {
        for later in [0, 12] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("run/episode.mcap");
            let mut writer = EpisodeWriter::create(&path, &info(), &[])
                .unwrap()
                .durable()
                .unwrap();
            writer.write_tick(&tick(0), Some(&frame(0)), 0).unwrap();
            writer.flush().unwrap();
            writer.check().unwrap();
            mishap(&path);
            // Writing on does not hide it.
            for number in 1..=later {
                writer.write_tick(&tick(number), Some(&frame(number)), 0).unwrap();
            }
            for error in [writer.check().unwrap_err(), writer.finish().unwrap_err()] {
                assert!(matches!(error, EpisodeError::Gone { .. }), "{error}");
                let message = error.to_string();
                assert!(message.starts_with(&path.display().to_string()), "{message}");
                assert!(message.contains(words), "{message}");
            }
        }
    }
}
