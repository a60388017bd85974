//! Crashes, full disks and rotten bits: what was written before stays, nothing is made up, nothing panics.

use std::io::ErrorKind;
use std::path::Path;

use episode::{Episode, EpisodeError, EpisodeWriter, decision_stream, read_episode};

use crate::sample::{ATTACHMENTS, Disk, frame, info, log, read, tick};

/// Every tick in `episode` is one that was written, with its frame, in order.
fn check_unaltered(episode: &Episode) {
    assert_eq!(episode.ticks.len(), episode.frames.len());
    assert!(episode.ticks.is_sorted_by_key(|tick| tick.tick));
    for (read, image) in episode.ticks.iter().zip(&episode.frames) {
        assert_eq!(*read, tick(read.tick));
        assert_eq!(image.as_ref(), Some(&frame(read.tick)));
    }
}

#[test]
fn a_log_cut_off_at_any_byte_gives_every_tick_before_the_cut() {
    let (bytes, ends) = log(6);
    let mut most = 0;
    for length in 0..bytes.len() {
        let written = ends.iter().filter(|end| **end <= length).count();
        let recovered = match read(&bytes[..length]) {
            Ok(episode) => {
                check_unaltered(&episode);
                assert!(
                    !episode.complete && episode.problem.is_some(),
                    "cut at {length} went unnoticed"
                );
                assert_eq!(episode.info, info());
                episode.ticks.len()
            }
            Err(EpisodeError::NotALog { .. }) => 0,
            Err(error) => panic!("cut at {length}: {error}"),
        };
        assert!(
            recovered >= written && recovered >= most,
            "cut at {length}: {recovered} of {written}"
        );
        most = recovered;
    }
    let whole = read(&bytes).unwrap();
    check_unaltered(&whole);
    assert!(whole.complete && whole.ticks.len() == 6);
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let (bytes, _) = log(3);
    let whole = read(&bytes).unwrap();
    for position in 0..bytes.len() {
        for mask in [1 << (position % 8), 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= mask;
            match read(&damaged) {
                Ok(episode) => {
                    check_unaltered(&episode);
                    assert!(
                        !episode.complete || episode == whole,
                        "byte {position} changed the episode unseen"
                    );
                    assert_eq!(episode.complete, episode.problem.is_none());
                }
                // Another control period, other joints, another size of pictures or another robot file than the rest of the log has.
                Err(
                    EpisodeError::NotALog { .. }
                    | EpisodeError::Version { .. }
                    | EpisodeError::Inconsistent { .. }
                    | EpisodeError::FrameSize { .. }
                    | EpisodeError::RobotFile { .. },
                ) => {}
                Err(error) => panic!("byte {position}: {error}"),
            }
        }
    }
}

/// The place of a record of `opcode` in a log: where its length stands, and where its contents do.
fn record(bytes: &[u8], opcode: u8) -> (usize, usize) {
    record_from(bytes, opcode, 8)
}

/// The first such record from `at` on, where a record begins.
fn record_from(bytes: &[u8], opcode: u8, mut at: usize) -> (usize, usize) {
    loop {
        let length = u64::from_le_bytes(bytes[at + 1..at + 9].try_into().unwrap());
        if bytes[at] == opcode {
            return (at + 1, at + 9);
        }
        at += 9 + length as usize;
    }
}

#[test]
fn a_header_that_promises_gigabytes_is_not_believed() {
    let (bytes, _) = log(3);
    let (chunk, inside) = record(&bytes, mcap::records::op::CHUNK);
    let (attachment, data) = record(&bytes, mcap::records::op::ATTACHMENT);
    let (metadata, _) = record(&bytes, mcap::records::op::METADATA);
    // After two times: name, media type, length of the data.
    let name = u32::from_le_bytes(bytes[data + 16..data + 20].try_into().unwrap()) as usize;
    let media = data + 20 + name;
    let media_length = u32::from_le_bytes(bytes[media..media + 4].try_into().unwrap()) as usize;
    for (what, place) in [
        ("record of a chunk", chunk),
        ("record of an attachment", attachment),
        ("record of metadata", metadata),
        ("chunk when it is unpacked", inside + 16),
        ("data of an attachment", media + 4 + media_length),
    ] {
        for length in [4 << 30, 1 << 40, u64::MAX] {
            let mut promising = bytes.clone();
            promising[place..place + 8].copy_from_slice(&u64::to_le_bytes(length));
            match read(&promising) {
                Ok(episode) => {
                    check_unaltered(&episode);
                    assert!(!episode.complete, "{what} of {length} bytes went unnoticed");
                }
                Err(EpisodeError::NotALog { .. }) => {}
                Err(error) => panic!("{what} of {length} bytes: {error}"),
            }
        }
    }
}

/// A string of four gigabytes, in each place where a record has one: nobody asks the system for so much memory.
#[test]
fn strings_that_promise_gigabytes_are_not_believed() {
    let (bytes, ends) = log(3);
    let (_, metadata) = record(&bytes, mcap::records::op::METADATA);
    // The first chunk has the channels, without which nothing is understood.
    let (_, chunk) = record_from(&bytes, mcap::records::op::CHUNK, ends[0]);
    let (_, attachment) = record(&bytes, mcap::records::op::ATTACHMENT);
    let string_end = |at: usize| at + 4 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let map = string_end(metadata);
    let (key, value) = (map + 4, string_end(map + 4));
    for (what, place) in [
        ("name of metadata", metadata),
        ("map of metadata", map),
        ("key of metadata", key),
        ("value of metadata", value),
        ("name of an attachment", attachment + 16),
        ("media type of an attachment", string_end(attachment + 16)),
        ("compression of a chunk", chunk + 28),
    ] {
        for length in [u32::MAX, 0x7fff_ffff, 1 << 24] {
            let mut promising = bytes.clone();
            promising[place..place + 4].copy_from_slice(&length.to_le_bytes());
            match read(&promising) {
                Ok(episode) => {
                    check_unaltered(&episode);
                    let problem = episode.problem.unwrap_or_default();
                    assert!(problem.contains("shorter than it says"), "{what}: {problem}");
                    // A chunk is lost alone.
                    let expected = if place > ends[0] { 2 } else { 0 };
                    assert_eq!(episode.ticks.len(), expected, "{what}");
                }
                Err(EpisodeError::NotALog { problem, .. }) => {
                    assert!(problem.contains("shorter than it says"), "{what}: {problem}");
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}

#[test]
fn damage_in_a_chunk_costs_that_chunk_alone() {
    let (bytes, ends) = log(6);
    let mut damaged = bytes;
    // Well inside the compressed data of the fourth tick.
    damaged[ends[2] + 200] ^= 0x10;
    let episode = read(&damaged).unwrap();
    check_unaltered(&episode);
    let ticks: Vec<u32> = episode.ticks.iter().map(|tick| tick.tick).collect();
    assert_eq!(
        (ticks, episode.intact, episode.complete),
        (vec![0, 1, 2, 4, 5], 3, false)
    );
    // What is trained on does not reach across.
    assert_eq!(episode.stretches(), [0..3, 3..5]);
    let problem = episode.problem.unwrap();
    assert!(
        problem.starts_with("not readable after tick 2 up to tick 4: "),
        "{problem}"
    );
}

#[test]
fn trailing_bytes_are_a_problem() {
    let (mut bytes, _) = log(2);
    bytes.push(0);
    let episode = read(&bytes).unwrap();
    check_unaltered(&episode);
    assert_eq!((episode.ticks.len(), episode.complete), (2, false));
}

#[test]
fn a_full_disk_is_a_typed_error_and_the_prefix_stays_readable() {
    let (bytes, ends) = log(6);
    for capacity in (0..bytes.len()).step_by(61) {
        let disk = Disk::of(capacity);
        let path = Path::new("runs/full.mcap");
        let result = EpisodeWriter::from_writer(disk.clone(), path, &info(), &ATTACHMENTS, 1).and_then(
            |mut writer| {
                for number in 0..6 {
                    if let Err(error) = writer.write_tick(
                        &tick(number),
                        Some(&frame(number)),
                        50_000_000 * u64::from(number),
                    ) {
                        let again = writer.write_tick(&tick(number), None, 0);
                        assert!(
                            matches!(again, Err(EpisodeError::Write { .. })),
                            "writing went on after {error}"
                        );
                        return Err(error);
                    }
                }
                writer.finish()
            },
        );
        let Err(EpisodeError::Write { path: named, source }) = result else {
            panic!("capacity {capacity}: {result:?}");
        };
        assert_eq!((named.as_path(), source.kind()), (path, ErrorKind::StorageFull));
        let written = ends.iter().filter(|end| **end <= capacity).count();
        match read(&disk.bytes()) {
            Ok(episode) => {
                check_unaltered(&episode);
                assert!(episode.ticks.len() >= written && !episode.complete);
            }
            Err(EpisodeError::NotALog { .. }) => assert_eq!(written, 0),
            Err(error) => panic!("capacity {capacity}: {error}"),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn dev_full_is_a_write_error() {
    let path = Path::new("/dev/full");
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let result = EpisodeWriter::from_writer(file, path, &info(), &[], 1);
    let message = result.unwrap_err().to_string();
    assert!(
        message.starts_with("/dev/full: cannot write the log: "),
        "{message}"
    );
    assert!(message.contains("free space"), "{message}");
}

#[test]
fn dropping_the_writer_saves_the_ticks_but_does_not_call_the_log_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dropped.mcap");
    let mut writer = EpisodeWriter::create(&path, &info(), &[]).unwrap();
    writer.write_tick(&tick(0), Some(&frame(0)), 0).unwrap();
    drop(writer);
    let episode = read_episode(&path).unwrap();
    check_unaltered(&episode);
    assert_eq!((episode.ticks.len(), episode.complete), (1, false));
    assert!(matches!(
        decision_stream(&path),
        Err(EpisodeError::Incomplete { .. })
    ));
}

#[test]
fn what_was_flushed_is_readable_while_the_log_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("open.mcap");
    let mut writer = EpisodeWriter::create(&path, &info(), &[]).unwrap();
    for number in 0..3 {
        writer.write_tick(&tick(number), Some(&frame(number)), 0).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(read_episode(&path).unwrap().ticks.len(), 3);
    writer.finish().unwrap();
    assert!(read_episode(&path).unwrap().complete);
}

/// The same log with pictures that say they are 96 pixels wide.
fn widened(bytes: &[u8]) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let mut writer = mcap::Writer::new(&mut out).unwrap();
    for record in mcap::read::ChunkFlattener::new(bytes).unwrap() {
        if let mcap::records::Record::Metadata(metadata) = record.unwrap() {
            writer.write_metadata(&metadata).unwrap();
        }
    }
    for message in mcap::MessageStream::new(bytes).unwrap() {
        let mut message = message.unwrap();
        if message.channel.topic == "/capture" {
            let width = |number: u8| [0x15, number, 0, 0, 0];
            let mut data = message.data.to_vec();
            let place = data.windows(5).position(|bytes| bytes == width(64)).unwrap();
            data[place..place + 5].copy_from_slice(&width(96));
            message.data = data.into();
        }
        writer.write(&message).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    out.into_inner()
}

#[test]
fn pictures_that_no_model_sees_are_named() {
    let (bytes, _) = log(2);
    let problem = read(&widened(&bytes)).unwrap_err().to_string();
    for part in [
        "tick 0",
        "`width`",
        "96x64 rgb8",
        "multiple of 16 from 32 to 256",
        "leave this log out",
    ] {
        assert!(problem.contains(part), "{problem}");
    }
}
