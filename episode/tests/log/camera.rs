//! The camera's own pictures: large, read on request, and as safe as the rest of the log.

use std::ops::ControlFlow;
use std::path::Path;

use episode::{EpisodeError, EpisodeWriter, MAX_PICTURE_BYTES, read_episode, read_pictures};

use crate::sample::{ATTACHMENTS, Disk, frame, info, log, tick};

const TOPIC: &str = "/capture/camera";

/// What the camera sent for a tick: every third tick shows the picture of the one before it.
fn jpeg(number: u32) -> Option<Vec<u8>> {
    let bytes = (0..700).map(|index| (index * 31 + number * 7) as u8);
    (number % 3 != 1).then(|| [0xff, 0xd8].into_iter().chain(bytes).collect())
}

/// A log of `count` ticks with a chunk a tick.
fn kept(count: u32) -> Vec<u8> {
    let disk = Disk::default();
    let mut writer =
        EpisodeWriter::from_writer(disk.clone(), Path::new("memory"), &info(), &ATTACHMENTS, 1).unwrap();
    for number in 0..count {
        let tick = tick(number);
        writer
            .write_tick_with_picture(&tick, Some(&frame(number)), jpeg(number).as_deref(), tick.edge_ns)
            .unwrap();
    }
    let pictures = (0..count).filter_map(jpeg).count() as u64;
    assert_eq!(writer.finish().unwrap().camera_pictures, pictures);
    disk.bytes()
}

/// Pictures by tick.
type Pictures = Vec<(u32, Vec<u8>)>;

/// All pictures of a log, and what is wrong with it.
fn pictures(path: &Path) -> Result<(Pictures, Option<String>), EpisodeError> {
    let mut found = Vec::new();
    let problem = read_pictures(path, |tick, jpeg| {
        found.push((tick, jpeg.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok((found, problem))
}

fn file(dir: &tempfile::TempDir, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.path().join("episode.mcap");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn they_come_back_as_they_came_and_the_rest_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &kept(8));
    let expected: Vec<(u32, Vec<u8>)> = (0..8)
        .filter_map(|number| Some((number, jpeg(number)?)))
        .collect();
    assert_eq!(pictures(&path).unwrap(), (expected.clone(), None));
    let with = read_episode(&path).unwrap();
    assert_eq!((with.camera_pictures, with.complete), (expected.len(), true));
    let mut without = read_episode(&file(&dir, &log(8).0)).unwrap();
    assert_eq!(without.camera_pictures, 0);
    without.camera_pictures = with.camera_pictures;
    assert_eq!(with, without);
    // Whoever has seen enough ends it.
    let path = file(&dir, &kept(8));
    let mut first = None;
    let problem = read_pictures(&path, |tick, _| {
        assert_eq!(first.replace(tick), None);
        ControlFlow::Break(())
    });
    assert_eq!((first, problem.unwrap()), (Some(0), None));
}

#[test]
fn others_see_compressed_images_and_a_log_without_them_has_no_such_channel() {
    let topics = |bytes: &[u8]| {
        let summary = mcap::Summary::read(bytes).unwrap().unwrap();
        let topics = summary
            .channels
            .values()
            .map(|channel| channel.topic.clone())
            .collect::<Vec<_>>();
        topics.iter().filter(|topic| *topic == TOPIC).count()
    };
    let bytes = kept(4);
    assert_eq!((topics(&bytes), topics(&log(4).0)), (1, 0));
    let mut seen = 0;
    for message in mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap) {
        if message.channel.topic == TOPIC {
            let schema = message.channel.schema.as_ref().unwrap();
            assert_eq!(schema.name, "foxglove.CompressedImage");
            let image =
                <foxglove::messages::CompressedImage as foxglove::Decode>::decode(&*message.data).unwrap();
            let row = tick(message.sequence);
            assert_eq!(image.format, "jpeg");
            assert_eq!(Some(image.data.to_vec()), jpeg(message.sequence));
            assert_eq!(message.log_time, row.edge_ns);
            let stamp = image.timestamp.unwrap();
            assert_eq!(
                u64::from(stamp.sec()) * 1_000_000_000 + u64::from(stamp.nsec()),
                row.edge_ns
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

/// Every picture that is shown is one that was written, and belongs to a tick that can be read.
fn check(path: &Path, bytes: &[u8]) -> usize {
    std::fs::write(path, bytes).unwrap();
    let Ok(episode) = read_episode(path) else { return 0 };
    let Ok((found, _)) = pictures(path) else { return 0 };
    for (tick, bytes) in &found {
        assert_eq!(Some(bytes), jpeg(*tick).as_ref());
        assert!(episode.ticks.iter().any(|row| row.tick == *tick));
    }
    assert_eq!(episode.camera_pictures, found.len());
    found.len()
}

#[test]
fn a_cut_or_a_flipped_byte_costs_pictures_and_alters_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episode.mcap");
    let bytes = kept(4);
    let mut most = 0;
    for length in (0..bytes.len()).step_by(31) {
        let found = check(&path, &bytes[..length]);
        assert!(found >= most, "cut at {length}: {found} after {most}");
        most = found;
    }
    assert_eq!(check(&path, &bytes), 3);
    let mut costs = std::collections::BTreeSet::new();
    for position in (0..bytes.len()).step_by(23) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0xff;
        costs.insert(check(&path, &damaged));
    }
    // In the middle it costs the pictures of one chunk.
    assert!(costs.contains(&2), "{costs:?}");
}

#[test]
fn one_that_no_reader_would_believe_in_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episode.mcap");
    let mut writer = EpisodeWriter::create(&path, &info(), &[]).unwrap();
    let huge = vec![1; MAX_PICTURE_BYTES + 1];
    let write = |writer: &mut EpisodeWriter, number: u32, jpeg: &[u8]| {
        writer.write_tick_with_picture(&tick(number), Some(&frame(number)), Some(jpeg), 0)
    };
    write(&mut writer, 0, &huge[1..]).unwrap();
    let error = write(&mut writer, 1, &huge).unwrap_err().to_string();
    for part in ["episode.mcap", "tick 1", "8388609", "keep_pictures"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
    write(&mut writer, 2, &huge[1..]).unwrap();
    writer.finish().unwrap();
    let episode = read_episode(&path).unwrap();
    assert_eq!(
        (episode.ticks.len(), episode.camera_pictures, episode.complete),
        (2, 2, true)
    );
    let (found, problem) = pictures(&path).unwrap();
    assert_eq!((found.len(), problem), (2, None));
}
