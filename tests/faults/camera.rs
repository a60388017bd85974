//! A camera that is unplugged, stands still, or whose reader does not come back: a webcam behind the kernel's interface, and any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use controller::plan::Policy;
use controller::session::{PolicyChoice, Session};
use controller::tick::Controller;
use devices::webcam::fake::{DEVICE, Fake, Fault, Offered};
use devices::webcam::{Counts, Driver, Format, Lock, Settings, Webcam, abi};
use episode::{Episode, PlanSource, Reason};
use firmware_bridge::arm::SimulatedArm;
use nix::errno::Errno;
use robot::config::Pipeline;
use robot::device::{FrameSource, Picture, Plant};
use robot::philox::Stream;
use robot::{Clock, VirtualClock};

use crate::drivers;
use crate::parallel;
use crate::rig::{Rig, Shown, Shutter, World};
use crate::row::{Outcome, Scale};

const PERIOD_NS: u64 = 100_000_000;

/// The camera's pictures a second, and the time from one to the next.
const RATE_HZ: u32 = 30;
const PICTURE_NS: u64 = 1_000_000_000 / RATE_HZ as u64;

/// Size of its pictures.
const SIZE: (u32, u32) = (160, 120);

/// A webcam in virtual time, with a kernel of a test behind it.
struct Cable {
    clock: Arc<VirtualClock>,
    driver: Driver,
    webcam: Webcam,
    /// From this picture on `poll` does not come back.
    stuck_from: Option<u64>,
    /// When the loop was first told that the camera is gone.
    told_ns: Option<u64>,
    pictures_after: u64,
}

#[derive(Clone)]
struct Camera(Arc<Mutex<Cable>>);

impl Camera {
    /// A camera to which `fault` happens at picture `number`.
    fn new(number: u64, fault: Option<Fault>, stuck_from: Option<u64>) -> Self {
        Self::with_faults(fault.map(|fault| (number, fault)), stuck_from)
    }

    /// A camera to which `faults` happen, each at the picture of its number.
    fn with_faults(faults: impl IntoIterator<Item = (u64, Fault)>, stuck_from: Option<u64>) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let fake = Fake::new(clock.clone());
        fake.offer(vec![Offered {
            code: abi::four_letters(*b"YUYV"),
            width: SIZE.0,
            height: SIZE.1,
            rate_hz_max: RATE_HZ,
            padding: 0,
        }]);
        for (number, fault) in faults {
            fake.fault(number, fault);
        }
        let settings = Settings {
            device: DEVICE.to_owned(),
            width: SIZE.0,
            height: SIZE.1,
            rate_hz: f64::from(RATE_HZ),
            format: Format::Yuyv,
            exposure_us: Lock::default(),
            white_balance_k: Lock::default(),
            focus: Lock::default(),
            gain: Lock::default(),
            age_max_s: None,
            frozen_after: 3,
            black_level: 24,
        };
        let (driver, webcam) =
            Webcam::parts(&settings, Box::new(fake), clock.clone()).expect("the camera opens");
        Self(Arc::new(Mutex::new(Cable {
            clock,
            driver,
            webcam,
            stuck_from,
            told_ns: None,
            pictures_after: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Cable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> Counts {
        self.lock().webcam.counts()
    }
}

impl World for Camera {
    fn picture(&mut self, number: u64, now_ns: u64, _arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let cable = &mut *self.lock();
        if cable.stuck_from.is_some_and(|from| number >= from) {
            return Shown::Stuck;
        }
        while cable.clock.now_ns() < now_ns {
            cable.driver.turn();
        }
        let mut picture = Picture::default();
        match cable.webcam.poll(&mut picture) {
            Ok(Some(stamp)) => {
                cable.pictures_after += u64::from(cable.told_ns.is_some());
                Shown::Picture(picture, stamp)
            }
            Ok(None) => Shown::Nothing,
            Err(error) => {
                cable.told_ns.get_or_insert(now_ns);
                Shown::Gone(error.to_string())
            }
        }
    }
}

fn session() -> Session {
    let policy = PolicyChoice::Random;
    Session::of(drivers::config(), None, policy, Some(Pipeline::NextTick)).expect("sound")
}

/// Random motion, without a model.
fn controller(session: &Session) -> Controller {
    Controller::new(
        &session.config,
        Pipeline::NextTick,
        None,
        Policy::Random(controller::plan::ColouredNoise::default()),
        0,
    )
}

/// Every tick is there and came in time.
fn none_lost(log: &Episode) -> Result<(), String> {
    for (index, row) in log.ticks.iter().enumerate() {
        if row.tick as usize != index || row.record.lateness_ns != 0 || row.record.deadline_missed {
            return Err(format!("tick {} came late or is missing", row.tick));
        }
    }
    Ok(())
}

/// From the fault to the stop that was sent, in nanoseconds.
struct Stop {
    after_ns: u64,
}

/// Checks an episode that a camera has ended, and that nothing moves until a new run, which does.
fn ended(
    rig: &Rig,
    log: Option<Episode>,
    reason: Reason,
    fault_ns: u64,
    within_ns: u64,
) -> Result<Stop, String> {
    let log = log.ok_or("no log")?;
    none_lost(&log)?;
    let last = log.ticks.last().ok_or("no tick at all")?;
    if last.guard.reason != reason || last.plan.source != PlanSource::Stop {
        return Err(format!("ended by {:?}", last.guard.reason));
    }
    let stopped_ns = rig.stopped_ns().ok_or("no stop was sent")?;
    let after_ns = stopped_ns.saturating_sub(fault_ns);
    if after_ns > within_ns {
        return Err(format!(
            "the stop left {} ms after the fault",
            after_ns / 1_000_000
        ));
    }
    rig.stays(6_000_000_000)?;
    Ok(Stop { after_ns })
}

/// A new run is the deliberate act after which the arm moves, seen by the same camera.
fn again(session: &Session, rig: &Rig) -> Result<(), String> {
    let (_, before) = rig.arm();
    let sight = drivers::sight(session, None, rig.camera(SIZE));
    let (ran, log) = rig.episode(session, &mut controller(session), sight, 9, 8);
    let (outcome, _) = ran.map_err(|error| error.to_string())?;
    let log = log.ok_or("no log")?;
    let seen = log.ticks.iter().filter(|row| row.capture.fresh).count();
    let (_, after) = rig.arm();
    if outcome.stopped.is_some() || seen < 5 || before == after {
        return Err(format!(
            "the next run ended by {:?}, saw {seen} pictures and led from {before:?} to {after:?}",
            outcome.stopped
        ));
    }
    Ok(())
}

fn shutter() -> Shutter {
    Shutter {
        first_ns: PICTURE_NS,
        period_ns: PICTURE_NS,
    }
}

/// One camera that is pulled out in motion and put back.
fn unplugged_once(seed: u64) -> Result<Stop, String> {
    let mut random = Stream::new(seed, 0xCAB1E);
    let number = 20 + random.below(90) as u64;
    let fault = Fault::Unplug {
        ns: 50_000_000 + random.below(3_000_000_000) as u64,
        answer: if random.below(2) == 0 {
            Errno::ENODEV
        } else {
            Errno::EINVAL
        },
    };
    let camera = Camera::new(number, Some(fault), None);
    let session = session();
    let rig = Rig::new(&session.config, seed, Box::new(camera.clone()), shutter());
    let sight = drivers::sight(&session, None, rig.camera(SIZE));
    let (ran, log) = rig.episode(&session, &mut controller(&session), sight, seed, 400);
    if ran.is_ok() {
        return Err("the run ended without an error".to_owned());
    }
    // The first picture is taken a period after the camera was opened.
    let fault_ns = (number + 1) * PICTURE_NS;
    let stop = ended(&rig, log, Reason::CameraLost, fault_ns, 2 * PERIOD_NS)?;
    let counts = camera.counts();
    if counts.openings != 2 || camera.lock().pictures_after == 0 {
        return Err(format!("the camera did not come back: {counts:?}"));
    }
    again(&session, &rig)?;
    Ok(stop)
}

/// A camera that is unplugged and plugged in again.
pub(crate) fn unplugged(scale: Scale) -> Outcome {
    collect(scale.trials(200, 12), unplugged_once)
}

/// One camera that stands still, or whose reader does not come back.
fn stalled_once(seed: u64) -> Result<Stop, String> {
    let mut random = Stream::new(seed, 0x57A11);
    let number = 20 + random.below(90) as u64;
    let stuck = seed % 2 == 1;
    let fault = Fault::Stall {
        ns: 700_000_000 + random.below(3_000_000_000) as u64,
    };
    let camera = if stuck {
        Camera::new(0, None, Some(number))
    } else {
        Camera::new(number, Some(fault), None)
    };
    let session = session();
    let rig = Rig::new(&session.config, seed, Box::new(camera.clone()), shutter());
    let sight = drivers::sight(&session, None, rig.camera(SIZE));
    let (ran, log) = rig.episode(&session, &mut controller(&session), sight, seed, 400);
    if let Err(error) = ran {
        return Err(error.to_string());
    }
    let fault_ns = (number + 1) * PICTURE_NS;
    // The last good picture may be used at the next edge; then five periods without any.
    let stop = ended(&rig, log, Reason::FrameGap, fault_ns, 6 * PERIOD_NS)?;
    if !stuck {
        again(&session, &rig)?;
    }
    Ok(stop)
}

/// A camera that delivers nothing any more, without a word.
pub(crate) fn stalled(scale: Scale) -> Outcome {
    collect(scale.trials(200, 12), stalled_once)
}

/// One webcam whose pictures are bad from some time on, whatever the arm does: those are dropped by the webcam's own thread.
fn marked_once(seed: u64) -> Result<Stop, String> {
    let mut random = Stream::new(seed, 0xF1A6);
    let number = 20 + random.below(90) as u64;
    let bytes = 2 * SIZE.0 * SIZE.1;
    let fault = match seed % 4 {
        0 => Fault::Flagged,
        1 => Fault::Short {
            bytes: random.below(bytes as usize) as u32,
        },
        2 => Fault::Black,
        _ => Fault::Frozen,
    };
    let bad = (number..number + 400).map(|number| (number, fault));
    let camera = Camera::with_faults(bad, None);
    let session = session();
    let rig = Rig::new(&session.config, seed, Box::new(camera.clone()), shutter());
    let sight = drivers::sight(&session, None, rig.camera(SIZE));
    // The arm stands still: nothing but the pictures tells that they are bad.
    let mut controller = Controller::new(&session.config, Pipeline::NextTick, None, Policy::Hold, 0);
    let (ran, log) = rig.episode(&session, &mut controller, sight, seed, 400);
    ran.map_err(|error| error.to_string())?;
    // Of equal pictures the first three are taken; then, or from the first bad one on, five periods without any.
    let taken = if fault == Fault::Frozen { 3 } else { 0 };
    let fault_ns = (number + 1 + taken) * PICTURE_NS;
    let stop = ended(&rig, log, Reason::FrameGap, fault_ns, 6 * PERIOD_NS)?;
    let counts = camera.counts();
    let used = counts.delivered.saturating_sub(number);
    if used > taken || counts.flagged + counts.torn + counts.black + counts.frozen == 0 {
        return Err(format!("{used} bad pictures were handed over: {counts:?}"));
    }
    Ok(stop)
}

/// Webcams whose driver marks pictures, or whose pictures are short, black or all the same.
pub(crate) fn marked(scale: Scale) -> Outcome {
    collect(scale.trials(2_000, 24), marked_once)
}

fn collect(trials: u64, trial: impl Fn(u64) -> Result<Stop, String> + Sync) -> Outcome {
    let mut outcome = Outcome::default();
    let mut worst_ns = 0;
    let tried = parallel::trials(trials, || (), |(), number| trial(number));
    for (number, result) in tried.into_iter().enumerate() {
        outcome.tried(
            result
                .map(|stop| worst_ns = worst_ns.max(stop.after_ns))
                .map_err(|problem| format!("trial {number}: {problem}")),
        );
    }
    outcome.worst = format!(
        "stop on the wire {} ms after the fault at most, in trials that did not fail; in these no tick was late or missing",
        worst_ns / 1_000_000
    );
    outcome
}
