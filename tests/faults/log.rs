//! Logs that end in the middle.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use episode::{EpisodeWriter, TickRecord, read_episode_from};
use robot::Frame;
use robot::philox::Stream;

use crate::row::{Outcome, Scale};
use crate::sample::{ATTACHMENTS, PERIOD_NS, info, tick};
use crate::side_by_side::{cpus, side_by_side};

/// What was written: rows and pictures.
type Written = Vec<(TickRecord, Frame)>;

/// A disk in memory, which remembers how much of a file it had at each flush: that much survives a power cut.
#[derive(Clone, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    safe: Arc<Mutex<Vec<usize>>>,
}

impl Disk {
    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn len(&self) -> usize {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn safe(&self) -> Vec<usize> {
        self.safe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let length = self.len();
        self.safe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(length);
        Ok(())
    }
}

/// A row with a picture of noise, which does not compress.
fn row(number: u32, side: usize) -> (TickRecord, Frame) {
    let mut random = Stream::new(u64::from(number), 3);
    let mut frame = Frame::new(side);
    for byte in frame.rgb_mut() {
        *byte = random.next_u32() as u8;
    }
    let mut row = tick(number);
    row.capture.frame_hash = frame.hash();
    (row, frame)
}

/// A log, and what was written at which time.
struct Log {
    bytes: Vec<u8>,
    written: Written,
    /// Bytes of the file with which each row is on the disk.
    ends: Vec<usize>,
    /// How long the file was whenever the disk was asked to keep it.
    safe: Vec<usize>,
}

impl Log {
    fn new(ticks: u32, side: usize, chunk_bytes: usize) -> Self {
        let disk = Disk::default();
        let mut writer = EpisodeWriter::from_writer(
            disk.clone(),
            Path::new("memory"),
            &info(),
            &ATTACHMENTS,
            chunk_bytes,
        )
        .expect("a log begins");
        let (mut written, mut ends) = (Written::new(), Vec::new());
        let mut before = disk.len();
        for number in 0..ticks {
            let (row, frame) = row(number, side);
            writer
                .write_tick(&row, Some(&frame), u64::from(number) * PERIOD_NS)
                .expect("a row");
            written.push((row, frame));
            if disk.len() > before {
                before = disk.len();
                ends.resize(written.len(), before);
            }
        }
        writer.finish().expect("a log ends");
        ends.resize(written.len(), disk.len());
        Self {
            bytes: disk.bytes(),
            written,
            ends,
            safe: disk.safe(),
        }
    }

    /// Reads what is left of it. At least `least` rows are there, each as it was written, and the loss is named unless nothing is lost.
    fn check(&self, left: &[u8], least: usize) -> Result<(), String> {
        match read_episode_from(left, Path::new("memory")) {
            Ok(episode) => {
                let count = episode.ticks.len();
                if count < least || episode.intact < least {
                    return Err(format!(
                        "{} intact rows of {count}, {least} were safe",
                        episode.intact
                    ));
                }
                if episode.complete {
                    return Err("the loss is not noticed".to_owned());
                }
                let problem = episode.problem.unwrap_or_default();
                let named = |last: usize| problem.contains(&format!("tick {last}"));
                if !episode.intact.checked_sub(1).is_none_or(named) {
                    return Err(format!("the loss is not named: {problem}"));
                }
                for (row, frame) in episode.ticks.iter().zip(&episode.frames) {
                    let (said, picture) = &self.written[row.tick as usize];
                    if said != row || Some(picture) != frame.as_ref() {
                        return Err(format!("row {} is not as it was written", row.tick));
                    }
                }
                Ok(())
            }
            // Nothing was on the disk that could be read: the description, or the robot file in it, may be damaged.
            Err(_) if least == 0 => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A log of a megabyte, cut off anywhere.
pub(crate) fn cut(scale: Scale) -> Outcome {
    // One chunk a row, and chunks of several rows.
    let logs = [Log::new(20, 128, 1), Log::new(20, 128, 200_000)];
    let stride = scale.trials_of(1, 17, 20_011) as usize;
    // Near the ends of chunks, and in the description and the end: each offset, or some.
    let (reach, step) = (scale.trials(40, 2) as usize, scale.trials(1, 61) as usize);
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        let near = log
            .ends
            .iter()
            .flat_map(|end| end.saturating_sub(reach)..=end + reach);
        let mut lengths: Vec<usize> = (0..log.bytes.len()).step_by(stride).chain(near).collect();
        // All of the description, and all of the end.
        lengths.extend((0..8_000).step_by(step));
        lengths.extend((log.bytes.len() - 2_000..log.bytes.len()).step_by(step));
        lengths.retain(|length| *length < log.bytes.len());
        lengths.sort_unstable();
        lengths.dedup();
        cuts.extend(lengths.into_iter().map(|length| (index, length)));
    }
    let batch = 200;
    let results = side_by_side(cpus(), cuts.len().div_ceil(batch) as u64, |number| {
        let mut outcome = Outcome::default();
        for (index, length) in cuts.iter().skip(number as usize * batch).take(batch) {
            let log = &logs[*index];
            let least = log.ends.partition_point(|end| end <= length);
            let checked = log.check(&log.bytes[..*length], least);
            outcome.tried(checked.map_err(|problem| format!("cut off at {length}: {problem}")));
        }
        outcome
    });
    let mut outcome = Outcome::of_all(results);
    outcome.worst = format!(
        "logs of {} and {} bytes, every {} offset, and near the ends of chunks each",
        logs[0].bytes.len(),
        logs[1].bytes.len(),
        if stride == 1 {
            "single".to_owned()
        } else {
            format!("{stride}th")
        }
    );
    outcome
}

/// What is on the disk of bytes that it was not asked to keep yet.
fn leave(tail: &mut Vec<u8>, random: &mut Stream) {
    const BLOCK: usize = 512;
    let keep = random.below(tail.len() + 1);
    match random.below(4) {
        // The file ends early.
        0 => tail.truncate(keep),
        // It has its length, and zeros from some place on.
        1 => tail[keep..].fill(0),
        // Blocks that were written, and such as were not, in any order.
        2 => {
            for block in tail.chunks_mut(BLOCK) {
                if random.below(2) == 0 {
                    block.fill(0);
                }
            }
        }
        // What was there before, of somebody else.
        _ => {
            for byte in &mut tail[keep..] {
                *byte = random.next_u32() as u8;
            }
        }
    }
}

/// The power goes, at any time while a log is written that the disk is asked to keep chunk by chunk.
pub(crate) fn power_cut(scale: Scale) -> Outcome {
    let log = Log::new(60, 32, 15_000);
    let batch = 100;
    let results = side_by_side(cpus(), scale.trials(300, 20), |number| {
        let mut outcome = Outcome::default();
        for trial in 0..batch {
            let seed = number * batch + trial;
            let mut random = Stream::new(seed, 0x0FF);
            // So much was written when the power went, and so much of it the disk had been asked to keep.
            let length = 1 + random.below(log.bytes.len() - 1);
            let asked = log.safe.partition_point(|safe| *safe < length);
            let safe = asked.checked_sub(1).map_or(0, |last| log.safe[last]);
            let mut left = log.bytes[..safe].to_vec();
            let mut tail = log.bytes[safe..length].to_vec();
            leave(&mut tail, &mut random);
            left.extend(tail);
            let least = log.ends.partition_point(|end| *end <= safe);
            // All rows of the chunk that was being written had been handed over.
            let next = log.safe.get(asked).copied().unwrap_or(usize::MAX);
            let handed_over = log.ends.partition_point(|end| *end <= next);
            outcome.measured = outcome.measured.max((handed_over - least) as u64);
            let checked = log.check(&left, least);
            outcome.tried(checked.map_err(|problem| format!("seed {seed}, at {length}: {problem}")));
        }
        outcome
    });
    let most = results.iter().map(|outcome| outcome.measured).max().unwrap_or(0);
    let mut outcome = Outcome::of_all(results);
    let first = log.ends.first();
    let chunk = log.ends.iter().filter(|end| Some(*end) == first).count();
    outcome.worst = format!("{most} rows not safe at most, of chunks of {chunk}");
    outcome
}
