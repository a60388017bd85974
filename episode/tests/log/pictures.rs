//! Pictures that show nothing are told from those that do.

use std::io::Cursor;
use std::path::Path;

use episode::{EpisodeError, EpisodeWriter, Pictures, read_episode};
use robot::Frame;

use crate::sample::{frame, info, tick};

fn written(frames: &[Option<Frame>]) -> Pictures {
    let mut writer = EpisodeWriter::from_writer(
        Cursor::new(Vec::new()),
        Path::new("pictures.mcap"),
        &info(),
        &[],
        1 << 16,
    )
    .unwrap();
    for (number, frame) in (0..).zip(frames) {
        let tick = tick(number);
        writer.write_tick(&tick, frame.as_ref(), tick.edge_ns).unwrap();
    }
    writer.finish().unwrap().pictures
}

fn of_colour(rgb: [u8; 3]) -> Option<Frame> {
    Frame::from_rgb(&rgb.repeat(64 * 64))
}

/// One pixel, the first or the last, is other than the rest by one step of one channel.
fn with_a_pixel(byte: usize) -> Option<Frame> {
    let mut frame = of_colour([7, 8, 9])?;
    frame.rgb_mut()[byte] += 1;
    Some(frame)
}

#[test]
fn what_they_have_in_common_is_in_the_summary() {
    let (first, second) = (Some(frame(1)), Some(frame(2)));
    let (black, grey, red) = (of_colour([0; 3]), of_colour([99; 3]), of_colour([200, 0, 0]));
    for (frames, expected) in [
        (vec![], Pictures::None),
        (vec![None, None], Pictures::None),
        (vec![first.clone(), second.clone()], Pictures::Varied),
        (vec![first.clone(), first.clone(), second], Pictures::Varied),
        // One picture is no series.
        (vec![first.clone()], Pictures::Varied),
        (vec![first.clone(), None, first.clone()], Pictures::Same),
        (vec![black.clone()], Pictures::OneColour),
        (vec![red.clone(), red], Pictures::OneColour),
        (vec![black.clone(), grey], Pictures::OneColour),
        (vec![black.clone(), first], Pictures::Varied),
        (vec![black.clone(), with_a_pixel(0)], Pictures::Varied),
        (vec![black, with_a_pixel(Frame::bytes(64) - 1)], Pictures::Varied),
    ] {
        assert_eq!(written(&frames), expected, "{frames:?}");
    }
}

/// Writes ticks with frames of these sides to `path`.
fn written_with_sides(path: &Path, sides: &[usize]) -> Result<(), EpisodeError> {
    let mut writer = EpisodeWriter::create(path, &info(), &[]).unwrap();
    for (number, side) in (0..).zip(sides) {
        let mut frame = Frame::new(*side);
        frame.rgb_mut()[number as usize] = 200;
        let mut tick = tick(number);
        tick.capture.frame_hash = frame.hash();
        writer.write_tick(&tick, Some(&frame), tick.edge_ns)?;
    }
    writer.finish().map(|_| ())
}

#[test]
fn a_log_has_pictures_of_any_side_and_of_one() {
    let dir = tempfile::tempdir().unwrap();
    for side in [32, 96, 256] {
        let path = dir.path().join(format!("{side}.mcap"));
        written_with_sides(&path, &[side; 3]).unwrap();
        let episode = read_episode(&path).unwrap();
        assert_eq!((episode.frame_side(), episode.intact), (Some(side), 3));
        assert!(episode.complete);
        let [stretch] = &episode.training().unwrap()[..] else {
            panic!("one stretch")
        };
        assert_eq!((stretch.side, stretch.frames.len()), (side, 3 * 3 * side * side));
    }
    let path = dir.path().join("mixed.mcap");
    let error = written_with_sides(&path, &[96, 96, 64]).unwrap_err();
    assert!(
        matches!(error, EpisodeError::FrameSize { tick: 2, .. }),
        "{error}"
    );
    // What came before is there.
    assert_eq!(read_episode(&path).unwrap().ticks.len(), 2);
}

#[test]
fn only_pictures_that_show_nothing_are_complained_of() {
    assert!(Pictures::Same.complaint().is_some() && Pictures::OneColour.complaint().is_some());
    assert!(Pictures::None.complaint().is_none() && Pictures::Varied.complaint().is_none());
}
