//! The thread that takes frames in, where its camera fails in ways a camera should not.

use controller::capture::CaptureThread;
use controller::lockstep::EpisodeRunError;
use firmware_bridge::{FrameError, FrameSource, FrameStamp};
use robot::{Frame, SystemClock};

/// Shows one frame, and panics when it is asked for another.
struct Breaking(bool);

impl FrameSource for Breaking {
    fn poll(&mut self, _into: &mut Frame) -> Result<Option<FrameStamp>, FrameError> {
        assert!(!std::mem::replace(&mut self.0, true), "as this test wants");
        Ok(Some(FrameStamp {
            seq: 1,
            age_ns: 0,
            reward: None,
            ended: false,
        }))
    }
}

#[test]
fn a_panic_of_the_capture_thread_is_told_to_the_tick_and_has_its_own_words() {
    let config = robot::Config::load(&crate::root().join("configs/sim-planar.ron")).expect("robot file");
    let thread = CaptureThread::start(Breaking(false), None, 0, SystemClock::default(), config.realtime)
        .expect("a thread");
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
