//! What the camera's thread does: it looks for the camera, takes pictures, judges them, and offers the good ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use robot::device::Picture;
use robot::{Clock, MonotonicNs};

use super::kernel::{Kernel, System};
use super::source::Shared;
use super::stream::{Stream, Taken, Turn};
use super::{Counts, Judge, Settings, Verdict, WebcamError, device, identity};

/// Longest wait for a picture, and between looks at whether to stop, in milliseconds.
const WAIT_MS: u16 = 50;

/// A camera that is silent for so long, and for ten of its periods, is opened anew, in nanoseconds.
const SILENT_NS: u64 = 1_000_000_000;

/// First and longest time between attempts to open a camera, in nanoseconds.
const BACK_OFF_NS: (u64, u64) = (100_000_000, 2_000_000_000);

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
    silent_ns: u64,
    silent_max_ns: u64,
}

impl Driver {
    /// One without a camera yet.
    pub(super) fn new(
        settings: &Settings,
        system: Box<dyn System>,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            system,
            clock,
            settings: settings.clone(),
            shared,
            judge: Judge::new(settings.black_level, settings.frozen_after),
            picture: Picture::default(),
            counts: Counts::default(),
            seq: 0,
            state: State::Closed {
                until_ns: 0,
                wait_ns: 0,
            },
        }
    }

    /// Whether the [`super::Webcam`] is gone, so that no more turns are needed.
    pub fn is_done(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

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
                    self.shared.offered.hold().lost = Some(error);
                    self.state = State::Closed {
                        until_ns: self.clock.now_ns() + longer_ns,
                        wait_ns: longer_ns,
                    };
                }
            }
            State::Open(running) => {
                let turn = running.stream.newest(
                    running.kernel.as_mut(),
                    WAIT_MS,
                    self.clock.as_ref(),
                    &mut self.picture,
                    &mut self.counts,
                );
                self.seq = running.stream.seq();
                running.silent_ns = match turn {
                    Ok(Turn::Silence(ns)) => running.silent_ns + ns,
                    _ => 0,
                };
                let (silent_ns, silent_max_ns) = (running.silent_ns, running.silent_max_ns);
                match turn {
                    Ok(Turn::Picture(taken)) => self.offer(taken),
                    Ok(Turn::Silence(_)) if silent_ns >= silent_max_ns => self.lose(WebcamError::Silent {
                        silent_ms: silent_ns / 1_000_000,
                    }),
                    Ok(Turn::Silence(_) | Turn::Dropped) => {}
                    Err(error) => self.lose(error),
                }
                self.shared.report.hold().1 = self.counts;
            }
        }
    }

    /// Finds the camera, comes to terms with it and begins.
    pub(super) fn open(&mut self) -> Result<(), WebcamError> {
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
        self.counts.openings += 1;
        {
            let mut offered = self.shared.offered.hold();
            (offered.lost, offered.age_max_ns) = (None, age_max_ns);
        }
        *self.shared.report.hold() = (Some(agreed), self.counts);
        self.state = State::Open(Box::new(Running {
            kernel,
            stream,
            silent_ns: 0,
            silent_max_ns: SILENT_NS.max(10 * period_ns),
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
        let mut offered = self.shared.offered.hold();
        std::mem::swap(&mut offered.picture, &mut self.picture);
        offered.taken = Some(taken);
    }

    fn lose(&mut self, error: WebcamError) {
        self.counts.losses += 1;
        let now_ns = self.clock.now_ns();
        {
            let mut offered = self.shared.offered.hold();
            offered.taken = None;
            offered.untold = Some(error.clone());
            offered.lost = Some(error);
        }
        // Dropping the kernel closes the node, without which a camera that comes back gets another number.
        self.state = State::Closed {
            until_ns: now_ns,
            wait_ns: 0,
        };
    }
}
