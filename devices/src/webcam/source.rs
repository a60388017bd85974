//! The thread that owns a camera, and the way of pictures to whoever polls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use robot::device::{DeviceError, FrameSource, FrameStamp, Picture};
use robot::{Clock, MonotonicNs};

use super::device::{self, Agreed};
use super::kernel::{Kernel, System};
use super::stream::{Stream, Taken};
use super::{BootClock, Counts, Judge, Linux, Settings, Verdict, WebcamError, identity};

/// Longest wait for a picture, and between looks at whether to stop, in milliseconds.
const WAIT_MS: u16 = 50;

/// A camera that is silent for so long, and for ten of its periods, is opened anew, in nanoseconds.
const SILENT_NS: u64 = 1_000_000_000;

/// First and longest time between attempts to open a camera, in nanoseconds.
const BACK_OFF_NS: (u64, u64) = (100_000_000, 2_000_000_000);

/// A loss is told to whoever polled within so long before it, in nanoseconds. One that happened while nobody polled concerns nobody.
const AWAY_NS: u64 = 1_000_000_000;

/// What goes from the thread to whoever polls. It is locked for as long as two pictures take to change places.
#[derive(Debug, Default)]
struct Offered {
    picture: Picture,
    /// The picture's number and time, until it is taken.
    taken: Option<Taken>,
    /// Why there is no camera now.
    lost: Option<WebcamError>,
    /// The last loss, until it is told.
    untold: Option<(WebcamError, MonotonicNs)>,
    age_max_ns: u64,
}

#[derive(Debug, Default)]
struct Shared {
    offered: Mutex<Offered>,
    /// For reports, never for the tick.
    report: Mutex<(Option<Agreed>, Counts)>,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a thread that panicked left is whole: it only ever exchanged whole values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the camera's thread does, one turn at a time. Public so that it can be driven in virtual time.
pub struct Driver {
    system: Box<dyn System>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    shared: Arc<Shared>,
    judge: Judge,
    picture: Picture,
    counts: Counts,
    seq: u64,
    state: State,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("settings", &self.settings)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

enum State {
    /// No camera; it is looked for again at `until_ns`, then after twice as long.
    Closed {
        until_ns: MonotonicNs,
        wait_ns: u64,
    },
    Open(Box<Running>),
}

struct Running {
    kernel: Box<dyn Kernel>,
    stream: Stream,
    silent_max_ns: u64,
    heard_ns: MonotonicNs,
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
    /// Opens the camera and starts its thread.
    ///
    /// # Errors
    /// [`WebcamError`], which names the field of `settings` if it is one's fault.
    pub fn start(settings: &Settings) -> Result<Self, WebcamError> {
        let (mut driver, mut webcam) = Self::parts(settings, Box::new(Linux), Arc::new(BootClock))?;
        webcam.thread = Some(
            std::thread::Builder::new()
                .name("webcam".to_owned())
                .spawn(move || {
                    while !driver.shared.stop.load(Ordering::Relaxed) {
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
        let mut driver = Driver {
            system,
            clock: Arc::clone(&clock),
            settings: settings.clone(),
            shared: Arc::clone(&shared),
            judge: Judge::new(settings.black_level, settings.frozen_after),
            picture: Picture::default(),
            counts: Counts::default(),
            seq: 0,
            state: State::Closed {
                until_ns: 0,
                wait_ns: 0,
            },
        };
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
        lock(&self.shared.report).0.clone()
    }

    /// What became of pictures so far.
    pub fn counts(&self) -> Counts {
        lock(&self.shared.report).1
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
        let mut offered = match self.shared.offered.try_lock() {
            Ok(offered) => offered,
            // The thread is just offering a picture: it is there at the next poll.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        self.polled_ns = now_ns;
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err(DeviceError::new(
                "the camera's thread failed: its message is printed above",
            ));
        }
        let untold = offered.untold.take().filter(|_| !away).map(|(error, _)| error);
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
}

impl Driver {
    /// One turn: waits for a picture and offers it, or for the time to look for the camera again. At most about 50 ms.
    pub fn turn(&mut self) {
        match &mut self.state {
            State::Closed { until_ns, wait_ns } => {
                let (until_ns, wait_ns) = (*until_ns, *wait_ns);
                let now_ns = self.clock.now_ns();
                if now_ns < until_ns {
                    let soon_ns = now_ns + u64::from(WAIT_MS) * 1_000_000;
                    self.clock.sleep_until_ns(until_ns.min(soon_ns));
                } else if let Err(error) = self.open() {
                    let longer_ns = (2 * wait_ns).clamp(BACK_OFF_NS.0, BACK_OFF_NS.1);
                    lock(&self.shared.offered).lost = Some(error);
                    self.state = State::Closed {
                        until_ns: self.clock.now_ns() + longer_ns,
                        wait_ns: longer_ns,
                    };
                }
            }
            State::Open(running) => {
                let taken = running.stream.newest(
                    running.kernel.as_mut(),
                    WAIT_MS,
                    self.clock.as_ref(),
                    &mut self.picture,
                    &mut self.counts,
                );
                self.seq = running.stream.seq();
                let now_ns = self.clock.now_ns();
                let silent_ns = now_ns.saturating_sub(running.heard_ns);
                match taken {
                    Ok(Some(taken)) => {
                        running.heard_ns = now_ns;
                        self.offer(taken);
                    }
                    Ok(None) if silent_ns <= running.silent_max_ns => {}
                    Ok(None) => self.lose(WebcamError::Silent {
                        silent_ms: silent_ns / 1_000_000,
                    }),
                    Err(error) => self.lose(error),
                }
                lock(&self.shared.report).1 = self.counts;
            }
        }
    }

    fn open(&mut self) -> Result<(), WebcamError> {
        let camera = identity::find(&self.settings.device, &self.system.cameras())?;
        let mut kernel = self
            .system
            .open(&camera.node)
            .map_err(|errno| WebcamError::Open {
                node: camera.node.clone(),
                errno,
            })?;
        let agreed = device::negotiate(kernel.as_mut(), &camera.node, &self.settings)?;
        let period_ns = (1e9 / agreed.rate_hz) as u64;
        let age_max_ns = match self.settings.age_max_s {
            Some(age_s) => (age_s * 1e9) as u64,
            None => 2 * period_ns,
        };
        // One on from the last, so that the first picture of a new stream is never taken for the last of the old.
        let stream = Stream::start(kernel.as_mut(), &agreed, age_max_ns, self.seq)?;
        let room = agreed.bytes_max as usize;
        self.picture
            .bytes
            .reserve(room.saturating_sub(self.picture.bytes.len()));
        self.counts.openings += 1;
        {
            let mut offered = lock(&self.shared.offered);
            (offered.lost, offered.age_max_ns) = (None, age_max_ns);
        }
        *lock(&self.shared.report) = (Some(agreed), self.counts);
        self.state = State::Open(Box::new(Running {
            kernel,
            stream,
            silent_max_ns: SILENT_NS.max(10 * period_ns),
            heard_ns: self.clock.now_ns(),
        }));
        Ok(())
    }

    fn offer(&mut self, taken: Taken) {
        match self.judge.of_picture(&self.picture) {
            Verdict::Good => {}
            Verdict::Black => return self.counts.black += 1,
            Verdict::Frozen => return self.counts.frozen += 1,
            Verdict::Torn => return self.counts.torn += 1,
        }
        self.counts.delivered += 1;
        match taken.by_driver {
            true => self.counts.driver_stamps += 1,
            false => self.counts.arrival_stamps += 1,
        }
        let mut offered = lock(&self.shared.offered);
        std::mem::swap(&mut offered.picture, &mut self.picture);
        offered.taken = Some(taken);
    }

    fn lose(&mut self, error: WebcamError) {
        self.counts.losses += 1;
        let now_ns = self.clock.now_ns();
        {
            let mut offered = lock(&self.shared.offered);
            offered.taken = None;
            offered.untold = Some((error.clone(), now_ns));
            offered.lost = Some(error);
        }
        // Dropping the kernel closes the node, without which a camera that comes back gets another number.
        self.state = State::Closed {
            until_ns: now_ns,
            wait_ns: 0,
        };
    }
}
