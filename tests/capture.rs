//! The thread that takes frames in, where its camera fails in ways a camera should not.

use controller::capture::{CaptureThread, Sight};
use controller::lockstep::EpisodeRunError;
use robot::config::Realtime;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Frame, SystemClock};

/// Shows one frame, and panics when it is asked for another.
struct Breaking(bool);

impl FrameSource for Breaking {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        assert!(!std::mem::replace(&mut self.0, true), "as this test wants");
        into.fill(64, 64, PixelFormat::Rgb8, Frame::default().rgb());
        Ok(Some(FrameStamp { seq: 1, age_ns: 0 }))
    }
}

fn start(camera: impl FrameSource + 'static, realtime: Realtime) -> CaptureThread {
    let sight = Sight {
        camera: Box::new(camera),
        task: None,
        encoder: None,
    };
    CaptureThread::start(sight, 64, 0, SystemClock::default(), realtime).expect("a thread")
}

/// Shows pictures of another size than the model sees.
struct Large;

impl FrameSource for Large {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        into.fill(640, 480, PixelFormat::Yuyv, &[0; 2 * 640 * 480]);
        Ok(Some(FrameStamp { seq: 1, age_ns: 0 }))
    }
}

#[test]
fn pictures_that_the_model_does_not_see_end_the_camera_in_words() {
    let config = robot::Config::load(&crate::root().join("configs/sim-planar.ron")).expect("robot file");
    let thread = start(Large, config.realtime);
    while !thread.failed() {
        std::thread::yield_now();
    }
    assert!(thread.take_newest().is_none());
    let (_, error) = thread.stop().expect("it did not panic");
    let words = error.expect("it failed").to_string();
    for part in ["640x480", "Yuyv", "64x64", "`capture.side`"] {
        assert!(words.contains(part), "no {part} in {words}");
    }
}

#[test]
fn a_panic_of_the_capture_thread_is_told_to_the_tick_and_has_its_own_words() {
    let config = robot::Config::load(&crate::root().join("configs/sim-planar.ron")).expect("robot file");
    let thread = start(Breaking(false), config.realtime);
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
