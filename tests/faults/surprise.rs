//! What the shipped model does not expect: an arm that is blocked, a light that goes off, a target that is gone, a camera that was moved.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use controller::capture::Sight;
use controller::session::Session;
use controller::tick::Controller;
use episode::{Episode, PlanSource, Reason, TickRecord};
use firmware_bridge::arm::SimulatedArm;
use robot::config::Trust;
use robot::device::{DeviceError, FrameStamp, Joints, Picture, PixelFormat, Plant, Task, View};
use robot::philox::Stream;
use robot::{Frame, JointState};
use simulator::Simulator;

use crate::drivers;
use crate::parallel;
use crate::rig::{Rig, Scratch, Shown, Shutter, World};
use crate::row::{Outcome, Scale};

const PERIOD_NS: u64 = 100_000_000;

/// Ticks within which the arm must be stopped, from the one on that sees it.
const WITHIN_TICKS: usize = 5;

const SIDE: usize = 64;

/// The target's disc and its rim, in pixels.
const TARGET_PX: f32 = 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The joints turn no farther.
    Blocked,
    /// The light goes off at once.
    LightOff,
    /// The light fades within a second.
    LightFades,
    TargetGone,
    CameraMoved,
    /// Nothing happens.
    Good,
}

impl Kind {
    /// Why the arm is stopped.
    fn stops_by(self) -> &'static [Reason] {
        match self {
            // It is far from where it is led, or is not seen where the model expects it.
            Self::Blocked => &[Reason::ArmStopped, Reason::Surprise],
            // Pictures after a sudden change of the light are not used (`trust.light_change_max`).
            Self::LightOff => &[Reason::FrameGap],
            Self::LightFades | Self::TargetGone | Self::CameraMoved => &[Reason::Surprise],
            Self::Good => &[],
        }
    }
}

/// The simulated arm, which something can block, and which is seen without its target from some time on.
struct Scenery {
    simulator: Simulator,
    /// The same arm with another target.
    other: Simulator,
    spare: Frame,
    blocked: bool,
    targetless: bool,
}

impl Scenery {
    fn new(seed: u64) -> Self {
        let mut simulator = Simulator::new(simulator::Task::ReachPlanar).expect("a simulator");
        simulator.reset(seed);
        let mut other = simulator.clone();
        let apart_m = |other: &Simulator| {
            let (a, b) = (simulator.target_m(), other.target_m());
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let mut next = seed;
        while apart_m(&other) < 0.6 {
            next += 1_000_003;
            other.reset(next);
        }
        Self {
            simulator,
            other,
            spare: Frame::new(SIDE),
            blocked: false,
            targetless: false,
        }
    }
}

impl Joints for Scenery {
    fn joint_count(&self) -> usize {
        self.simulator.joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        if !self.blocked {
            self.simulator.step(set_point_rad, torque_on, dt_s);
        }
        Ok(())
    }

    fn joints(&self) -> JointState {
        Joints::joints(&self.simulator)
    }
}

impl View for Scenery {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.simulator.render(frame);
        if self.targetless {
            let side = frame.side();
            self.other.place(&Joints::joints(&self.simulator).position_rad);
            self.other.render(&mut self.spare);
            let [column, row] = self
                .simulator
                .pixel_of(self.simulator.target_m(), side)
                .expect("the target is seen");
            for (index, (pixel, without)) in frame
                .rgb_mut()
                .chunks_exact_mut(3)
                .zip(self.spare.rgb().chunks_exact(3))
                .enumerate()
            {
                let (x, y) = ((index % side) as f32 + 0.5, (index / side) as f32 + 0.5);
                if (x - column).hypot(y - row) <= TARGET_PX {
                    pixel.copy_from_slice(without);
                }
            }
        }
        Ok(())
    }
}

impl Task for Scenery {
    fn reset(&mut self, _seed: u64) -> Result<(), DeviceError> {
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        None
    }
}

/// Something happens at picture `onset`.
struct Happening {
    kind: Kind,
    onset: u64,
    random: Stream,
    /// By how many pixels the camera was moved.
    moved: (i32, i32),
    /// What is left of the light in the end.
    light: f32,
    frame: Frame,
    scenery: Arc<Mutex<Scenery>>,
}

/// The arm's plant, which the world of a test holds, too.
struct Held(Arc<Mutex<Scenery>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, Scenery> {
        self.0.lock().expect("nobody panics")
    }
}

impl Joints for Held {
    fn joint_count(&self) -> usize {
        self.lock().joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        self.lock().step(set_point_rad, torque_on, dt_s)
    }

    fn joints(&self) -> JointState {
        self.lock().joints()
    }
}

impl View for Held {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.lock().render(frame)
    }
}

impl Task for Held {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.lock().reset(seed)
    }

    fn reward(&self) -> Option<f32> {
        None
    }
}

impl World for Happening {
    fn picture(&mut self, number: u64, _now_ns: u64, _arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let happens = number >= self.onset;
        {
            let mut scenery = self.scenery.lock().expect("nobody panics");
            scenery.blocked = happens && self.kind == Kind::Blocked;
            scenery.targetless = happens && self.kind == Kind::TargetGone;
            scenery
                .render(&mut self.frame)
                .expect("a simulator does not fail");
        }
        let mut rgb = self.frame.rgb().to_vec();
        if happens {
            match self.kind {
                Kind::LightOff => dim(&mut rgb, self.light),
                Kind::LightFades => {
                    let share = ((number - self.onset + 1) as f32 / 10.0).min(1.0);
                    dim(&mut rgb, 1.0 + (self.light - 1.0) * share);
                }
                Kind::CameraMoved => rgb = moved(&rgb, self.moved),
                Kind::Blocked | Kind::TargetGone | Kind::Good => {}
            }
        }
        // A little noise, as any camera has.
        for level in &mut rgb {
            *level = level.saturating_add_signed(self.random.below(3) as i8 - 1);
        }
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format: PixelFormat::Rgb8,
            bytes: rgb,
        };
        Shown::Picture(
            picture,
            FrameStamp {
                seq: number + 1,
                age_ns: 10_000_000,
            },
        )
    }
}

fn dim(rgb: &mut [u8], light: f32) {
    rgb.iter_mut()
        .for_each(|level| *level = (f32::from(*level) * light) as u8);
}

fn moved(rgb: &[u8], (right, down): (i32, i32)) -> Vec<u8> {
    let side = SIDE as i32;
    let within = |at: i32| at.clamp(0, side - 1);
    (0..side * side)
        .flat_map(|index| {
            let (x, y) = (within(index % side - right), within(index / side - down));
            let from = 3 * (y * side + x) as usize;
            [rgb[from], rgb[from + 1], rgb[from + 2]]
        })
        .collect()
}

/// Farther than this from where it is led, an arm is seen to be held, in radians: twice as far as one that lags.
const HELD_RAD: f32 = 0.15;

/// Good runs that thresholds are learned from, and their ticks.
const GOOD_RUNS: u64 = 24;
const GOOD_TICKS: u32 = 100;

/// Their seeds, and those of good runs that nothing was learned from.
const GOOD_SEEDS: u64 = 10_000;
const OTHER_SEEDS: u64 = 50_000;

/// What a thread keeps from trial to trial.
struct Kit {
    session: Session,
    controller: Controller,
    sight: Option<Sight>,
}

impl Kit {
    fn new(trust: Option<&Trust>) -> Self {
        let mut session = drivers::session();
        // Enough to reach the target by, and a small part of the work.
        let planner = &mut session.config.planner;
        (planner.horizon, planner.iterations, planner.candidates) = (6, 2, 24);
        if let Some(trust) = trust {
            session.config.trust = trust.clone();
        }
        let (controller, _) = session.assemble(1, false).expect("a controller");
        Self {
            session,
            controller,
            sight: None,
        }
    }
}

/// A run of the shipped model's own planner in which something happens at picture `onset`, and when that is.
fn run(kit: &mut Kit, kind: Kind, onset: u64, seed: u64, ticks: u32, log: &Path) -> Result<u64, String> {
    let mut random = Stream::new(seed, 0x50B2);
    let far = |random: &mut Stream| {
        let px = 3 + random.below(8) as i32;
        if random.below(2) == 0 { px } else { -px }
    };
    let scenery = Arc::new(Mutex::new(Scenery::new(seed)));
    let world = Happening {
        kind,
        onset,
        moved: (far(&mut random), far(&mut random)),
        light: random.range(0.1, 0.5),
        random: random.clone(),
        frame: Frame::new(SIDE),
        scenery: Arc::clone(&scenery),
    };
    // Pictures of the edges, as those that the model learned from.
    let shutter = Shutter {
        first_ns: PERIOD_NS - 10_000_000,
        period_ns: PERIOD_NS,
    };
    let plant = Box::new(Held(scenery));
    let rig = Rig::with_plant(&kit.session.config, plant, Box::new(world), shutter);
    let sight = drivers::sight(
        &kit.session,
        kit.sight.take(),
        rig.camera((SIDE as u32, SIDE as u32)),
    );
    let ran = rig.record(&kit.session, &mut kit.controller, sight, seed, ticks, log);
    let (_, sight) = ran.map_err(|error| error.to_string())?;
    kit.sight = Some(sight);
    Ok(shutter.first_ns + onset * PERIOD_NS)
}

/// Thresholds as a user learns them: from logs of good runs, by the function of `armillary trust`. The short form goes by those that an
/// earlier run of the long one has learned.
fn thresholds(scale: Scale) -> Trust {
    static LEARNED: OnceLock<Trust> = OnceLock::new();
    match scale {
        Scale::Long | Scale::Full => LEARNED.get_or_init(learned).clone(),
        Scale::Short => Trust {
            kl_max_nats: 5.08,
            kl_ticks: 4,
            kl_sum_nats: Some(31.1),
            track_max_rad: 0.123,
            track_ticks: 4,
            ..drivers::config().trust
        },
    }
}

fn learned() -> Trust {
    let folder = Scratch::new();
    let log = |number: u64| folder.path().with_file_name(format!("{number}.mcap"));
    parallel::trials(
        GOOD_RUNS,
        || Kit::new(None),
        |kit, number| {
            let seed = GOOD_SEEDS + number;
            run(kit, Kind::Good, u64::MAX, seed, GOOD_TICKS, &log(number)).expect("a good run")
        },
    );
    let logs: Vec<_> = (0..GOOD_RUNS).map(log).collect();
    let paths: Vec<&Path> = logs.iter().map(|path| path.as_path()).collect();
    let lesson = armillary::trust::learn(&paths, None).expect("enough good runs");
    let mut trust = drivers::config().trust;
    let innovation = lesson.innovation.expect("a model took part").threshold;
    (trust.kl_max_nats, trust.kl_ticks) = (innovation.above, innovation.ticks);
    trust.kl_sum_nats = lesson.innovation_sum.map(|sum| sum.threshold.above);
    let track = lesson.track.expect("an arm took part").threshold;
    (trust.track_max_rad, trust.track_ticks) = (track.above, track.ticks);
    trust
}

/// How one trial went.
#[derive(Debug)]
enum Went {
    /// It could not be seen: the arm was where it was to be, or had come to its end before.
    Unseen,
    /// Stopped, so many ticks from the first one that could see it, counted from 1.
    Stopped(usize, Reason),
    /// Not stopped in fifteen ticks.
    Missed,
    /// Stopped before.
    TooEarly,
}

fn went(log: &Episode, kind: Kind, onset_ns: u64) -> Went {
    let last = log.ticks.last().expect("a tick");
    let stopped = last.plan.source == PlanSource::Stop;
    let lag_rad = |row: &TickRecord| {
        let pairs = row
            .capture
            .position_rad
            .iter()
            .zip(&row.capture.arm_set_point_rad);
        pairs.map(|(is, led)| (is - led).abs()).fold(0.0, f32::max)
    };
    let sees =
        |row: &TickRecord| row.edge_ns >= onset_ns && (kind != Kind::Blocked || lag_rad(row) > HELD_RAD);
    match log.ticks.iter().position(sees) {
        Some(seen) if stopped => Went::Stopped(log.ticks.len() - seen, last.guard.reason),
        Some(seen) if log.ticks.len() - seen < 15 => Went::Unseen,
        Some(_) => Went::Missed,
        // The arm was stopped before it was HELD_RAD away.
        None if stopped && last.edge_ns >= onset_ns => Went::Stopped(0, last.guard.reason),
        None if stopped => Went::TooEarly,
        None => Went::Unseen,
    }
}

/// Runs in which something of this kind happens.
fn happened(scale: Scale, kind: Kind) -> Vec<Went> {
    let trust = thresholds(scale);
    parallel::trials(
        scale.trials(100, 4),
        || Kit::new(Some(&trust)),
        |kit, number| {
            let mut random = Stream::new(number, 0x0A5E7);
            let onset = 8 + random.below(8) as u64;
            let log = Scratch::new();
            let ticks = onset as u32 + 24;
            let onset_ns = run(kit, kind, onset, number, ticks, log.path()).expect("an episode");
            went(&episode::read_episode(log.path()).expect("a log"), kind, onset_ns)
        },
    )
}

/// How many could be seen, how many of these were stopped in time, and the latest of them.
#[derive(Default)]
struct Count {
    seen: u64,
    in_time: u64,
    latest: usize,
    /// Why, with how many.
    reasons: Vec<(Reason, u64)>,
}

impl Count {
    fn of(kind: Kind, all: &[Went]) -> Self {
        let mut count = Self::default();
        for went in all {
            count.seen += u64::from(!matches!(went, Went::Unseen));
            if let Went::Stopped(ticks, reason) = went
                && *ticks <= WITHIN_TICKS
                && kind.stops_by().contains(reason)
            {
                match count.reasons.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, times)) => *times += 1,
                    None => count.reasons.push((*reason, 1)),
                }
                count.in_time += 1;
                count.latest = count.latest.max(*ticks);
            }
        }
        count
    }

    fn told(&self, name: &str) -> String {
        format!(
            "{name}: {} of {}, after {} ticks at most, by {:?}; ",
            self.in_time, self.seen, self.latest, self.reasons
        )
    }
}

/// What must be told each time.
pub(crate) fn certain(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    for (kind, name) in [
        (Kind::Blocked, "arm blocked"),
        (Kind::LightOff, "light off"),
        (Kind::CameraMoved, "camera moved"),
    ] {
        let all = happened(scale, kind);
        outcome.worst += &Count::of(kind, &all).told(name);
        for (number, went) in all.into_iter().enumerate() {
            match went {
                // An arm that stands where it is to stand is not seen to be blocked.
                Went::Unseen => {}
                Went::Stopped(ticks, reason)
                    if ticks <= WITHIN_TICKS && kind.stops_by().contains(&reason) =>
                {
                    outcome.tried(Ok(()));
                }
                Went::Stopped(ticks, reason) => outcome.tried(Err(format!(
                    "{name}, trial {number}: stopped after {ticks} ticks by {reason:?}"
                ))),
                went => outcome.tried(Err(format!("{name}, trial {number}: {went:?}"))),
            }
        }
    }
    outcome
}

/// What is told most of the time, since a model may believe it.
pub(crate) fn likely(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut seen, mut missed) = (0, 0);
    for (kind, name) in [
        (Kind::TargetGone, "target gone"),
        (Kind::LightFades, "light fades"),
    ] {
        let all = happened(scale, kind);
        let count = Count::of(kind, &all);
        outcome.worst += &count.told(name);
        outcome.trials += count.seen;
        (seen, missed) = (seen + count.seen, missed + count.seen - count.in_time);
        if count.in_time * 10 < count.seen * 9 {
            outcome.failures += 1;
            outcome.examples.push(format!("{name}: {all:?}"));
        }
    }
    outcome.rate = Some(format!("{missed} of {seen} missed"));
    outcome
}

/// Runs in which nothing happens, other ones than those that were learned from.
pub(crate) fn alarms(scale: Scale) -> Outcome {
    let trust = thresholds(scale);
    let runs = parallel::trials(
        scale.trials(40, 3),
        || Kit::new(Some(&trust)),
        |kit, number| {
            let log = Scratch::new();
            run(
                kit,
                Kind::Good,
                u64::MAX,
                OTHER_SEEDS + number,
                GOOD_TICKS,
                log.path(),
            )
            .expect("an episode");
            let log = episode::read_episode(log.path()).expect("a log");
            let last = log.ticks.last().expect("a tick");
            let alarm = (last.plan.source == PlanSource::Stop).then_some(last.guard.reason);
            (log.ticks.len() as u64, alarm)
        },
    );
    let ticks: u64 = runs.iter().map(|(ticks, _)| ticks).sum();
    let alarms: Vec<Reason> = runs.iter().filter_map(|(_, alarm)| *alarm).collect();
    let mut outcome = Outcome {
        trials: ticks,
        rate: Some(format!("{} in {ticks}", alarms.len())),
        worst: format!("{} runs, {} of them stopped", runs.len(), alarms.len()),
        ..Outcome::default()
    };
    if alarms.len() as u64 * 1_000 > ticks {
        outcome.failures = alarms.len() as u64;
        outcome.examples.push(format!("{alarms:?}"));
    }
    if scale == Scale::Long {
        outcome.worst += &format!(
            "; learned: {} nats for {} ticks, {:?} nats for five pictures, {} rad for {} ticks",
            trust.kl_max_nats,
            trust.kl_ticks + 1,
            trust.kl_sum_nats.unwrap_or(f32::NAN),
            trust.track_max_rad,
            trust.track_ticks + 1
        );
    }
    outcome
}
