//! The thread that waits for pictures. It may never come back from the library, and then nobody waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use realtime::Raised;
use robot::device::Picture;
use robot::{Clock, MonotonicNs};

use super::source::{Phase, Shared};
use super::{Agreed, Arrivals, Grabber, Opener, PortableError};
use crate::webcam::{Judge, Verdict};

/// The library's time stamps and the arrivals disagree by more than this only if the wall clock was set, or this program was held up.
const STAMP_JUMP: Duration = Duration::from_secs(1);

/// Opens a camera and grabs its pictures, until the camera fails or the fence gives this thread up.
pub(super) struct Worker {
    pub(super) opener: Arc<dyn Opener>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shared: Arc<Shared>,
    /// The fence has given this thread up when another number is there.
    pub(super) generation: u64,
    pub(super) judge: Judge,
    pub(super) priority: u8,
}

impl Worker {
    /// The thread's whole life.
    pub(super) fn run(mut self) {
        let _raised = Raised::new(("realtime.capture_priority", self.priority), ("realtime", &[]));
        // What the library leaves half done goes with it: nothing else shares it.
        let ended = catch_unwind(AssertUnwindSafe(|| self.grab_all()));
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => PortableError::Panicked,
        };
        let mut state = self.shared.state.hold();
        if state.generation == self.generation {
            state.phase = Phase::Failed(error);
        }
    }

    /// Returns when the fence has given this thread up. The camera is closed by then, and when there is an error.
    fn grab_all(&mut self) -> Result<(), PortableError> {
        let mut grabber = self.opener.open().map_err(PortableError::Open)?;
        let agreed = grabber.agreed();
        let mut arrivals = Arrivals::new((1e9 / agreed.rate_hz) as u64, self.clock.now_ns());
        {
            let mut state = self.shared.state.hold();
            if state.generation != self.generation {
                return Ok(());
            }
            state.open(agreed.clone());
        }
        let mut stamps = Stamps::default();
        let mut picture = Picture::default();
        loop {
            let asked_ns = self.clock.now_ns();
            let stamp = grab(grabber.as_mut(), &mut picture)?;
            let now_ns = self.clock.now_ns();
            let fresh = arrivals.is_fresh(asked_ns, now_ns);
            // Judging takes a while: it is done before the lock.
            let verdict = fresh.then(|| self.verdict(&picture, &agreed));
            let mut state = self.shared.state.hold();
            if state.generation != self.generation {
                return Ok(());
            }
            state.grabbed();
            state.pace_ns = arrivals.pace_ns();
            state.counts.stamp_jumps += u64::from(stamps.jumped(stamp, now_ns));
            match verdict {
                None => state.counts.old += 1,
                Some(Verdict::Torn) => state.counts.torn += 1,
                Some(Verdict::Black) => state.counts.black += 1,
                Some(Verdict::Frozen) => state.counts.frozen += 1,
                Some(Verdict::Good) => state.offer(&mut picture, now_ns),
            }
        }
    }

    fn verdict(&mut self, picture: &Picture, agreed: &Agreed) -> Verdict {
        if (picture.width, picture.height) != (agreed.width, agreed.height) {
            return Verdict::Torn;
        }
        self.judge.of_picture(picture)
    }
}

fn grab(grabber: &mut dyn Grabber, picture: &mut Picture) -> Result<Option<Duration>, PortableError> {
    grabber.grab(picture).map_err(PortableError::Grab)
}

/// The library's time stamps, which are looked at for the report alone.
#[derive(Debug, Default)]
struct Stamps {
    last: Option<(Duration, MonotonicNs)>,
}

impl Stamps {
    fn jumped(&mut self, stamp: Option<Duration>, now_ns: MonotonicNs) -> bool {
        let Some(stamp) = stamp else {
            return false;
        };
        let Some((last, last_ns)) = self.last.replace((stamp, now_ns)) else {
            return false;
        };
        let expected = last.saturating_add(Duration::from_nanos(now_ns.saturating_sub(last_ns)));
        stamp.abs_diff(expected) > STAMP_JUMP
    }
}
