//! The thread that owns a camera, and the way of pictures to whoever polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hand_over::Place;
use realtime::Raised;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, MonotonicNs};

use super::device::Agreed;
use super::kernel::System;
use super::stream::Taken;
use super::{BootClock, Counts, Driver, Linux, Settings, WebcamError};

/// A loss is told to whoever polled within so long before it, in nanoseconds. One that happened while nobody polled concerns nobody.
const AWAY_NS: u64 = 1_000_000_000;

/// What goes from the thread to whoever polls. It is locked for as long as two pictures take to change places.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) picture: Picture,
    /// The picture's number and time, until it is taken.
    pub(super) taken: Option<Taken>,
    /// Why there is no camera now.
    pub(super) lost: Option<WebcamError>,
    /// The last loss, until it is told.
    pub(super) untold: Option<WebcamError>,
    pub(super) age_max_ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) offered: Place<Offered>,
    /// For reports, never for the tick.
    pub(super) report: Place<(Option<Agreed>, Counts)>,
    pub(super) stop: AtomicBool,
}

/// A webcam that never makes its caller wait.
pub struct Webcam {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    polled_ns: MonotonicNs,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Webcam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webcam")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Webcam {
    /// Opens the camera and starts its thread, with `priority` (`realtime.capture_priority` of the robot file).
    ///
    /// # Errors
    /// [`WebcamError`], which names the field of `settings` if it is one's fault.
    pub fn start(settings: &Settings, priority: u8) -> Result<Self, WebcamError> {
        Self::start_on(settings, Box::new(Linux), Arc::new(BootClock), priority)
    }

    /// The same, where another system stands in for the kernel. `clock` must be that of its stamps.
    ///
    /// # Errors
    /// As for [`Webcam::start`].
    pub fn start_on(
        settings: &Settings,
        system: Box<dyn System>,
        clock: Arc<dyn Clock>,
        priority: u8,
    ) -> Result<Self, WebcamError> {
        let (mut driver, mut webcam) = Self::parts(settings, system, clock)?;
        webcam.thread = Some(
            std::thread::Builder::new()
                .name("webcam".to_owned())
                .spawn(move || {
                    let _raised = Raised::new(("realtime.capture_priority", priority), ("realtime", &[]));
                    while !driver.is_done() {
                        driver.turn();
                    }
                })
                .map_err(|error| WebcamError::Thread(error.to_string()))?,
        );
        Ok(webcam)
    }

    /// Opens the camera without a thread: whoever has the [`Driver`] gives it its turns. `clock` must be that of the drivers' stamps.
    ///
    /// # Errors
    /// As for [`Webcam::start`].
    pub fn parts(
        settings: &Settings,
        system: Box<dyn System>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Driver, Self), WebcamError> {
        settings.check()?;
        let shared = Arc::new(Shared::default());
        let mut driver = Driver::new(settings, system, Arc::clone(&clock), Arc::clone(&shared));
        driver.open()?;
        let polled_ns = clock.now_ns();
        let webcam = Self {
            shared,
            clock,
            polled_ns,
            thread: None,
        };
        Ok((driver, webcam))
    }

    /// What was agreed to with the camera the last time it was opened.
    pub fn agreed(&self) -> Option<Agreed> {
        self.shared.report.hold().0.clone()
    }

    /// What became of pictures so far.
    pub fn counts(&self) -> Counts {
        self.shared.report.hold().1
    }
}

impl Drop for Webcam {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks at `stop` at least every WAIT_MS. That it panicked was printed.
            let _ = thread.join();
        }
    }
}

impl FrameSource for Webcam {
    /// Exchanges `into` with the newest picture: nothing is copied or allocated. An error is told for as long as the camera is gone,
    /// and at least once for each loss; pictures come again once it has been found again.
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let now_ns = self.clock.now_ns();
        let away = now_ns.saturating_sub(self.polled_ns) > AWAY_NS;
        let Some(mut offered) = self.shared.offered.try_hold() else {
            // The thread is just offering a picture: it is there at the next poll.
            return Ok(None);
        };
        self.polled_ns = now_ns;
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err(DeviceError::new(
                "the camera's thread failed: its message is printed above",
            ));
        }
        let untold = offered.untold.take().filter(|_| !away);
        if let Some(error) = untold.or_else(|| offered.lost.clone()) {
            return Err(DeviceError::new(error));
        }
        let Some(taken) = offered.taken.take() else {
            return Ok(None);
        };
        let age_ns = now_ns.saturating_sub(taken.captured_ns);
        if age_ns > offered.age_max_ns {
            return Ok(None);
        }
        std::mem::swap(&mut offered.picture, into);
        Ok(Some(FrameStamp {
            seq: taken.seq,
            age_ns,
        }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.agreed().map(|agreed| (agreed.width, agreed.height))
    }

    fn format(&self) -> Option<PixelFormat> {
        self.agreed().map(|agreed| agreed.format.of_pictures())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        facts(self.agreed().as_ref(), &self.counts())
    }
}

/// What a report says of a camera.
fn facts(agreed: Option<&Agreed>, counts: &Counts) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(agreed) = agreed {
        let text = format!("{}, {} x {} pixels", agreed.card, agreed.width, agreed.height);
        facts.push(("camera", text));
    }
    let ages = match (counts.driver_stamps, counts.arrival_stamps) {
        (0, 0) => "unknown: no picture came".to_owned(),
        (_, 0) => "from the driver's time stamps".to_owned(),
        (0, _) => "from arrival: the driver's time stamps make no sense".to_owned(),
        (driver, arrival) => {
            format!("from the driver's time stamps for {driver} pictures, from arrival for {arrival}")
        }
    };
    facts.push(("ages of pictures", ages));
    let dropped = [
        ("replaced by a newer one", counts.superseded),
        ("marked by the driver", counts.flagged),
        ("torn", counts.torn),
        ("black", counts.black),
        ("frozen", counts.frozen),
        ("too old", counts.stale),
        ("out of order", counts.disordered),
        ("lost on the way", counts.gaps),
    ];
    let mut pictures = format!("{} delivered", counts.delivered);
    for (why, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
        pictures += &format!(", {count} {why}");
    }
    facts.push(("pictures", pictures));
    if counts.losses > 0 {
        facts.push((
            "camera lost",
            format!("{} times, opened {} times", counts.losses, counts.openings),
        ));
    }
    facts
}
