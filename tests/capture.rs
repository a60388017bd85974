//! The thread that takes frames in, where its camera fails in ways a camera should not.

use std::sync::Arc;

use calibration::picture::{PictureSettings, PictureTable};
use controller::capture::{CaptureThread, Sight};
use controller::live;
use controller::lockstep::{EpisodeRunError, Labels};
use controller::session::PolicyChoice;
use devices::fake::FakeBus;
use image::codecs::jpeg::JpegEncoder;
use robot::config::Pipeline;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat, Signals};
use robot::{Frame, SystemClock};

/// Shows one frame, and panics when it is asked for another.
struct Breaking(bool);

impl FrameSource for Breaking {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        assert!(!std::mem::replace(&mut self.0, true), "as this test wants");
        into.fill(64, 64, PixelFormat::Rgb8, &[100; 3 * 64 * 64]);
        Ok(Some(FrameStamp { seq: 1, age_ns: 0 }))
    }
}

fn start(camera: impl FrameSource + 'static) -> CaptureThread {
    let config = robot::Config::load(&crate::root().join("configs/sim-planar.ron")).expect("robot file");
    let sight = Sight::new(&config, Box::new(camera), None, None, None).expect("a view");
    CaptureThread::start(
        sight,
        config.frame_side,
        0,
        0,
        Arc::new(SystemClock::default()),
        config.realtime,
    )
    .expect("a thread")
}

/// Shows these pictures, one a poll, and then no more.
struct Album(Vec<Picture>, u64);

impl Album {
    fn of(pictures: impl IntoIterator<Item = (u32, u32, PixelFormat, Vec<u8>)>) -> Self {
        let pictures = pictures
            .into_iter()
            .map(|(width, height, format, bytes)| Picture {
                width,
                height,
                format,
                bytes,
            });
        Self(pictures.collect(), 0)
    }
}

impl FrameSource for Album {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let Some(picture) = self.0.get(self.1 as usize) else {
            return Ok(None);
        };
        into.copy_from(picture);
        self.1 += 1;
        Ok(Some(FrameStamp {
            seq: self.1,
            age_ns: 0,
        }))
    }
}

/// Waits until frame `seq` is there; nothing but the capture thread has to run for it.
fn frame(thread: &CaptureThread, seq: u64) -> Frame {
    loop {
        match thread.take_newest() {
            Some(captured) if captured.frame_seq == seq => return captured.frame.clone(),
            _ => std::thread::yield_now(),
        }
    }
}

#[test]
fn pictures_of_any_size_and_format_become_the_models_image() {
    // Y 126 is the middle of 16 to 235.
    let grey = [126, 128].repeat(640 * 480);
    let thread = start(Album::of([(640, 480, PixelFormat::Yuyv, grey)]));
    let image = frame(&thread, 1);
    assert!(image.rgb().iter().all(|level| (127..=129).contains(level)));
    drop(thread.stop().expect("it did not panic"));
    // A picture that is the model's image already comes through to the bit.
    let pixels: Vec<u8> = (0..3 * 64 * 64).map(|index| (index % 251) as u8).collect();
    let thread = start(Album::of([(64, 64, PixelFormat::Rgb8, pixels.clone())]));
    assert_eq!(frame(&thread, 1).rgb(), pixels);
    drop(thread.stop().expect("it did not panic"));
}

/// 80 x 60 pixels, compressed.
fn jpeg(rgb: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes)
        .encode(rgb, 80, 60, image::ExtendedColorType::Rgb8)
        .expect("into memory");
    bytes
}

#[test]
fn pictures_that_arrived_damaged_or_black_are_passed_over_and_counted() {
    let white = vec![255; 3 * 80 * 60];
    let thread = start(Album::of([
        (80, 60, PixelFormat::Jpeg, vec![0xff, 0xd8, 0xff]),
        (80, 60, PixelFormat::Rgb8, vec![0; 7]),
        (80, 60, PixelFormat::Jpeg, jpeg(&[3; 3 * 80 * 60])),
        (80, 60, PixelFormat::Rgb8, white),
    ]));
    assert!(frame(&thread, 4).rgb().iter().all(|level| *level == 255));
    assert!(!thread.failed());
    let (sight, error) = thread.stop().expect("it did not panic");
    assert_eq!(
        (
            sight.imager.damaged(),
            sight.judge.refused().black,
            error.is_none()
        ),
        (2, 1, true)
    );
    let facts = sight.facts();
    assert!(
        facts.contains(&("pictures that do not decode", "2".to_owned()))
            && facts.contains(&("pictures that are black", "1".to_owned())),
        "{facts:?}"
    );
}

#[test]
fn a_camera_whose_pictures_change_size_has_failed_in_words() {
    let thread = start(Album::of([
        (80, 60, PixelFormat::Rgb8, vec![0; 3 * 80 * 60]),
        (64, 64, PixelFormat::Rgb8, vec![0; 3 * 64 * 64]),
    ]));
    while !thread.failed() {
        std::thread::yield_now();
    }
    let (_, error) = thread.stop().expect("it did not panic");
    let words = error.expect("it failed").to_string();
    for part in ["80", "64", "another size"] {
        assert!(words.contains(part), "no {part} in {words}");
    }
}

#[test]
fn a_panic_of_the_capture_thread_is_told_to_the_tick_and_has_its_own_words() {
    let thread = start(Breaking(false));
    while !thread.failed() {
        std::thread::yield_now();
    }
    assert!(thread.take_newest().is_some(), "what came before is there");
    let error = EpisodeRunError::from(thread.stop().map(|_| ()).expect_err("it panicked"));
    assert!(matches!(error, EpisodeRunError::Capture(_)));
    let words = error.to_string();
    assert!(
        words.contains("camera's frames failed") && !words.contains("start a thread"),
        "{words}"
    );
}

#[test]
fn a_model_that_learned_by_another_table_is_refused_and_both_are_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = crate::session(PolicyChoice::Hold, Pipeline::NextTick);
    let (mut controller, _) = session.live_controller().expect("a controller");
    let mut sight = Sight::new(&session.config, Box::new(Sized640), None, None, None).expect("a view");
    sight.learned_by = Some("ab".repeat(32));
    let log = dir.path().join("episode.mcap");
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 0, 0),
        attachments: &[],
    };
    let mut bus = FakeBus::new(&[0.0, 0.0]);
    let refused = live::run(
        &session.config,
        &mut controller,
        &mut bus,
        sight,
        0,
        10,
        &labels,
        &Signals::default(),
    );
    let words = refused.err().expect("refused").to_string();
    let settings = PictureSettings::of(&session.config, 640, 480).expect("a view");
    let table = PictureTable::new(&settings).expect("a table");
    for part in [
        "`picture_sha256`",
        &"ab".repeat(32),
        table.sha256(),
        "record and train anew",
    ] {
        assert!(words.contains(part), "no {part} in {words}");
    }
    assert!(bus.sent_rad.is_empty() && !log.exists(), "nothing was begun");
}

/// Says how large its pictures will be before the first.
struct Sized640;

impl FrameSource for Sized640 {
    fn poll(&mut self, _into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        Ok(None)
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some((640, 480))
    }
}
