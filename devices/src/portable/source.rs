//! The way of pictures from a grabbing thread to whoever polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hand_over::Place;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, MonotonicNs, SystemClock};

use super::{Agreed, Counts, Fence, Opener, PortableError, Settings};

/// A loss is told to whoever polled within so long before it, in nanoseconds. One that happened while nobody polled concerns nobody.
const AWAY_NS: u64 = 1_000_000_000;

/// Time between looks at the grabbing thread, and at whether to stop, in nanoseconds.
const LOOK_NS: u64 = 20_000_000;

/// How far the grabbing thread is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Phase {
    /// There is none.
    #[default]
    None,
    /// It is opening the camera.
    Opening,
    /// It has grabbed so many pictures.
    Grabbing(u64),
    /// It has ended.
    Failed(PortableError),
}

/// What threads and whoever polls have in common. It is locked for as long as two pictures take to change places.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The grabbing thread that counts. All others were given up.
    pub(super) generation: u64,
    pub(super) phase: Phase,
    pub(super) agreed: Option<Agreed>,
    pub(super) pace_ns: u64,
    pub(super) counts: Counts,
    /// Number of the newest picture.
    seq: u64,
    picture: Picture,
    /// Number and arrival of `picture`, until it is taken.
    taken: Option<(u64, MonotonicNs)>,
    /// Why there is no camera now.
    pub(super) lost: Option<PortableError>,
    /// The last loss, until it is told.
    untold: Option<PortableError>,
}

impl State {
    /// The grabbing thread has opened the camera.
    pub(super) fn open(&mut self, agreed: Agreed) {
        self.phase = Phase::Grabbing(0);
        self.agreed = Some(agreed);
        self.counts.openings += 1;
        self.lost = None;
    }

    /// It has grabbed a picture, of whatever worth.
    pub(super) fn grabbed(&mut self) {
        self.seq += 1;
        if let Phase::Grabbing(pictures) = &mut self.phase {
            *pictures += 1;
        }
    }

    /// The picture that was grabbed last is good.
    pub(super) fn offer(&mut self, picture: &mut Picture, now_ns: MonotonicNs) {
        std::mem::swap(&mut self.picture, picture);
        self.taken = Some((self.seq, now_ns));
        self.counts.delivered += 1;
    }

    /// The camera is gone. Nothing more of the thread that grabbed is heard.
    pub(super) fn lose(&mut self, error: PortableError) {
        // What fails while the camera is gone is no loss of its own.
        if self.lost.is_none() {
            self.counts.losses += 1;
            self.untold = Some(error.clone());
        }
        self.generation += 1;
        self.phase = Phase::None;
        self.taken = None;
        self.lost = Some(error);
    }
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: Place<State>,
    pub(super) stop: AtomicBool,
}

/// A camera of the portable library that never makes its caller wait.
pub struct PortableCamera {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// The one that was asked for: the camera is opened with it or not at all.
    format: PixelFormat,
    polled_ns: MonotonicNs,
    fence: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for PortableCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PortableCamera")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl PortableCamera {
    /// Opens a camera and starts the threads that grab and watch, with `priority` (`realtime.capture_priority` of the robot file).
    ///
    /// # Errors
    /// [`PortableError`], which names the field of `settings` if it is one's fault.
    pub fn start(settings: &Settings, opener: Arc<dyn Opener>, priority: u8) -> Result<Self, PortableError> {
        let clock = Arc::new(SystemClock::default());
        let (mut fence, mut camera) = Self::parts(settings, opener, clock.clone(), priority)?;
        loop {
            fence.turn();
            let state = camera.shared.state.hold();
            if let Some(error) = &state.lost {
                return Err(error.clone());
            }
            if state.agreed.is_some() {
                break;
            }
            drop(state);
            clock.sleep_until_ns(clock.now_ns() + LOOK_NS / 4);
        }
        camera.fence = Some(
            std::thread::Builder::new()
                .name("camera watch".to_owned())
                .spawn(move || {
                    while !fence.is_done() {
                        fence.turn();
                        clock.sleep_until_ns(clock.now_ns() + LOOK_NS);
                    }
                    fence.close();
                })
                .map_err(|error| PortableError::Thread(error.to_string()))?,
        );
        Ok(camera)
    }

    /// The same without the thread that watches: whoever has the [`Fence`] gives it its turns. The camera is opened by the first.
    ///
    /// # Errors
    /// [`PortableError::Setting`].
    pub fn parts(
        settings: &Settings,
        opener: Arc<dyn Opener>,
        clock: Arc<dyn Clock>,
        priority: u8,
    ) -> Result<(Fence, Self), PortableError> {
        settings.check()?;
        let shared = Arc::new(Shared::default());
        let fence = Fence::new(
            settings,
            opener,
            Arc::clone(&clock),
            Arc::clone(&shared),
            priority,
        );
        let camera = Self {
            shared,
            format: settings.format.of_pictures(),
            polled_ns: clock.now_ns(),
            clock,
            fence: None,
        };
        Ok((fence, camera))
    }

    /// What was agreed to with the camera the last time it was opened.
    pub fn agreed(&self) -> Option<Agreed> {
        self.shared.state.hold().agreed.clone()
    }

    /// What became of pictures so far.
    pub fn counts(&self) -> Counts {
        self.shared.state.hold().counts
    }
}

impl Drop for PortableCamera {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(fence) = self.fence.take() {
            // It looks at `stop` at least every LOOK_NS, and waits for a grabbing thread only for a while. That it panicked was printed.
            let _ = fence.join();
        }
    }
}

impl FrameSource for PortableCamera {
    /// Exchanges `into` with the newest picture: nothing is copied or allocated. Its age is from its arrival. An error is told for as
    /// long as the camera is gone, and at least once for each loss; pictures come again once it has been opened again.
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let now_ns = self.clock.now_ns();
        let away = now_ns.saturating_sub(self.polled_ns) > AWAY_NS;
        let Some(mut state) = self.shared.state.try_hold() else {
            // A picture is just being offered: it is there at the next poll.
            return Ok(None);
        };
        self.polled_ns = now_ns;
        if self.fence.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err(DeviceError::new(
                "the thread that watches the camera failed: its message is printed above",
            ));
        }
        let untold = state.untold.take().filter(|_| !away);
        if let Some(error) = untold.or_else(|| state.lost.clone()) {
            return Err(DeviceError::new(error));
        }
        let Some((seq, arrived_ns)) = state.taken.take() else {
            return Ok(None);
        };
        let age_ns = now_ns.saturating_sub(arrived_ns);
        let age_max_ns = state
            .agreed
            .as_ref()
            .map_or(0, |agreed| (2e9 / agreed.rate_hz) as u64);
        if age_ns > age_max_ns {
            return Ok(None);
        }
        std::mem::swap(&mut state.picture, into);
        Ok(Some(FrameStamp { seq, age_ns }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.agreed().map(|agreed| (agreed.width, agreed.height))
    }

    fn format(&self) -> Option<PixelFormat> {
        Some(self.format)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let state = self.shared.state.hold();
        facts(state.agreed.as_ref(), state.pace_ns, &state.counts)
    }
}

/// What a report says of a camera.
fn facts(agreed: Option<&Agreed>, pace_ns: u64, counts: &Counts) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(agreed) = agreed {
        let mut text = format!("{}, {} x {} pixels", agreed.name, agreed.width, agreed.height);
        let seen_hz = 1e9 / pace_ns.max(1) as f64;
        if seen_hz < 0.9 * agreed.rate_hz {
            text += &format!(", {seen_hz:.1} instead of {} pictures a second", agreed.rate_hz);
        }
        facts.push(("camera", text));
    }
    let mut ages =
        "from arrival: the camera library's time stamps follow the wall clock and are not used".to_owned();
    if counts.stamp_jumps > 0 {
        ages += &format!("; they disagreed with it {} times", counts.stamp_jumps);
    }
    facts.push(("ages of pictures", ages));
    let dropped = [
        ("perhaps too old", counts.old),
        ("torn", counts.torn),
        ("black", counts.black),
        ("frozen", counts.frozen),
    ];
    let mut pictures = format!("{} delivered", counts.delivered);
    for (why, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
        pictures += &format!(", {count} {why}");
    }
    facts.push(("pictures", pictures));
    if counts.losses > 0 {
        let mut lost = format!("{} times, opened {} times", counts.losses, counts.openings);
        if counts.abandoned > 0 {
            lost += &format!(", {} threads left in the camera library", counts.abandoned);
        }
        facts.push(("camera lost", lost));
    }
    facts
}
