//! Pictures that do not show the scene as it is now, and good ones that must not be refused.

use controller::capture::Sight;
use controller::plan::{ColouredNoise, Policy};
use controller::session::{PolicyChoice, Session};
use controller::tick::Controller;
use episode::{Episode, PlanSource, Reason};
use firmware_bridge::arm::SimulatedArm;
use image::codecs::jpeg::JpegEncoder;
use robot::config::Pipeline;
use robot::device::{FrameStamp, Picture, PixelFormat, Plant};
use robot::philox::Stream;

use crate::drivers::{self, Sweep};
use crate::parallel;
use crate::rig::{Rig, Shown, Shutter, World};
use crate::row::{Outcome, Scale};
use crate::scene::{SIDE, Scene};

const PERIOD_NS: u64 = 100_000_000;

/// Ticks without a usable picture at the last of which the arm is stopped: `capture.gap_ticks` of the shipped robot file.
const GAP_TICKS: usize = 5;

/// How far a joint turns until a picture that repeats one is told.
const MOVED_RAD: f32 = 0.05;

/// What becomes of pictures from the onset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The last good one, stamped as new each time, of an arm that moves fast.
    Frozen,
    /// The same, of one that moves slowly.
    FrozenSlow,
    /// The last good one, with the stamp that it had.
    Duplicate,
    Black,
    Future,
    /// Rows at the bottom were not filled.
    Unfilled,
    /// The upper or the lower part is of the picture before.
    Mixed,
    LightOff,
    LightOn,
    /// An uncompressed picture without its end.
    Short,
    /// A JPEG without its end.
    ShortJpeg,
}

const KINDS: [(Kind, &str); 11] = [
    (Kind::Frozen, "frozen"),
    (Kind::FrozenSlow, "frozen, slow arm"),
    (Kind::Duplicate, "duplicate"),
    (Kind::Black, "black"),
    (Kind::Future, "future"),
    (Kind::Unfilled, "not filled"),
    (Kind::Mixed, "mixed of two"),
    (Kind::LightOff, "light off"),
    (Kind::LightOn, "light on"),
    (Kind::Short, "short"),
    (Kind::ShortJpeg, "short JPEG"),
];

/// A camera that is good until its picture `onset`.
struct Camera {
    scene: Scene,
    kind: Kind,
    onset: u64,
    /// A number from 0 to 1 that says how bad it is.
    random: f32,
    last_good: Vec<u8>,
    last_good_ns: u64,
    before: Vec<u8>,
}

impl Camera {
    fn spoilt(&mut self, number: u64, rgb: Vec<u8>, now_ns: u64) -> Shown {
        let row_bytes = 3 * SIDE;
        let mut rgb = rgb;
        let drawn = rgb.clone();
        let (mut age_ns, mut format) = (20_000_000, PixelFormat::Rgb8);
        let edge = |random: f32| ((0.125 + 0.75 * random) * SIDE as f32) as usize;
        match self.kind {
            Kind::Frozen | Kind::FrozenSlow => rgb.clone_from(&self.last_good),
            Kind::Duplicate => {
                rgb.clone_from(&self.last_good);
                age_ns += now_ns - self.last_good_ns;
            }
            Kind::Black => {
                let level = (20.0 * self.random) as u8;
                rgb.iter_mut()
                    .for_each(|byte| *byte = level.saturating_sub(*byte % 4));
            }
            Kind::Future => age_ns = FrameStamp::IN_THE_FUTURE,
            Kind::Unfilled => {
                // Fewer rows from picture to picture would be another fault each time: these stay away.
                let from = row_bytes * (SIDE * 7 / 8).min(edge(self.random));
                rgb[from..].fill(if self.random > 0.5 { 128 } else { 0 });
            }
            Kind::Mixed => {
                let at = row_bytes * edge(self.random);
                if number.is_multiple_of(2) {
                    rgb[at..].copy_from_slice(&self.before[at..]);
                } else {
                    rgb[..at].copy_from_slice(&self.before[..at]);
                }
            }
            Kind::LightOff => {
                let by = 0.25 + 0.35 * self.random;
                rgb.iter_mut()
                    .for_each(|level| *level = (f32::from(*level) * by) as u8);
            }
            Kind::LightOn => {
                let more = 60 + (60.0 * self.random) as u8;
                rgb.iter_mut()
                    .for_each(|level| *level = level.saturating_add(more));
            }
            Kind::Short => rgb.truncate((self.random * rgb.len() as f32) as usize),
            Kind::ShortJpeg => {
                rgb = jpeg(&rgb);
                let keep = (self.random * (rgb.len() - 2) as f32) as usize;
                rgb.truncate(keep);
                format = PixelFormat::Jpeg;
            }
        }
        self.before = if self.kind == Kind::Mixed {
            rgb.clone()
        } else {
            drawn
        };
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format,
            bytes: rgb,
        };
        Shown::Picture(
            picture,
            FrameStamp {
                seq: number + 1,
                age_ns,
            },
        )
    }
}

fn jpeg(rgb: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes)
        .encode(rgb, SIDE as u32, SIDE as u32, image::ExtendedColorType::Rgb8)
        .expect("a JPEG");
    bytes
}

impl World for Camera {
    fn picture(&mut self, number: u64, now_ns: u64, arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let joints = arm.plant().joints();
        let rgb = self.scene.draw(&joints.position_rad, 1.0, true);
        if number >= self.onset {
            return self.spoilt(number, rgb, now_ns);
        }
        (self.last_good, self.last_good_ns) = (rgb.clone(), now_ns);
        self.before = rgb.clone();
        let (bytes, format) = if self.kind == Kind::ShortJpeg {
            (jpeg(&rgb), PixelFormat::Jpeg)
        } else {
            (rgb, PixelFormat::Rgb8)
        };
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format,
            bytes,
        };
        let stamp = FrameStamp {
            seq: number + 1,
            age_ns: 20_000_000,
        };
        Shown::Picture(picture, stamp)
    }
}

/// What a thread keeps from trial to trial.
struct Kit {
    session: Session,
    sight: Option<Sight>,
    /// The same robot without a model, which takes less time.
    plain: Session,
}

impl Kit {
    fn new() -> Self {
        let mut session = drivers::session();
        // What the model makes of pictures that it did not learn from is not what this is about.
        session.config.trust.kl_max_nats = f32::MAX;
        Self {
            session,
            sight: None,
            plain: plain(),
        }
    }
}

/// The shipped planar arm without a model, in random motion.
fn plain() -> Session {
    let policy = PolicyChoice::Random;
    Session::of(drivers::config(), None, policy, Some(Pipeline::NextTick)).expect("sound")
}

/// A controller without a model.
fn without_model(session: &Session, policy: Policy) -> Controller {
    Controller::new(&session.config, Pipeline::NextTick, None, policy, 0)
}

/// The number of faulty pictures that were used, and the ticks from the onset to the stop.
struct Seen {
    used: usize,
    ticks: usize,
}

/// Judges the log of an episode whose pictures are bad from the one with number `onset` on, which came at `onset_ns`.
fn judged(log: &Episode, onset: u64, onset_ns: u64, used_max: usize, modelled: bool) -> Result<Seen, String> {
    let (before, after): (Vec<_>, Vec<_>) = log.ticks.iter().partition(|row| row.edge_ns < onset_ns);
    let sighted = before
        .iter()
        .filter(|row| row.capture.fresh && !row.filter.prior_only);
    // The first ticks may come before the first picture, and a picture may be stopped for its age.
    if sighted.count() + 3 < before.len() {
        return Err("good pictures were not used".to_owned());
    }
    let is_used = |row: &&&episode::TickRecord| row.capture.fresh || (modelled && !row.filter.prior_only);
    let used: Vec<_> = after.iter().filter(is_used).collect();
    // A good picture from just before may be used just after.
    let faulty = used.iter().filter(|row| row.capture.frame_seq > onset).count();
    if faulty > used_max {
        return Err(format!("{faulty} of these pictures were used"));
    }
    let last = log.ticks.last().ok_or("no tick at all")?;
    let ticks = after.len();
    let seen = Seen { used: faulty, ticks };
    if !matches!(last.guard.reason, Reason::FrameGap | Reason::FrozenFrame)
        || last.plan.source != PlanSource::Stop
    {
        return Err(format!("ended by {:?} after {ticks} ticks", last.guard.reason));
    }
    if ticks > used.len() + GAP_TICKS {
        return Err(format!(
            "stopped after {ticks} ticks, {} pictures used",
            used.len()
        ));
    }
    Ok(seen)
}

fn trial(kit: &mut Kit, kind: Kind, seed: u64) -> Result<Seen, String> {
    let mut random = Stream::new(seed, 0xF00 + kind as u64);
    let onset = 10 + random.below(8) as u64;
    let shutter = Shutter {
        // Edges are multiples of the period. At any time before one, and not so early that a picture is too old then.
        first_ns: 45_000_000 + random.below(50_000_000) as u64,
        period_ns: PERIOD_NS,
    };
    let camera = Camera {
        scene: Scene::new(seed),
        kind,
        onset,
        random: random.uniform(),
        last_good: Vec::new(),
        last_good_ns: 0,
        before: Vec::new(),
    };
    let rig = Rig::new(&kit.session.config, seed, Box::new(camera), shutter);
    // Fast enough that a joint turns by 0.05 rad from one picture to the next, or not.
    let share = match kind {
        Kind::FrozenSlow => random.range(0.1, 0.85),
        _ => random.range(0.85, 1.0),
    };
    let camera = rig.camera((SIDE as u32, SIDE as u32));
    // How the arm moves matters for some; for the others the model takes part in one trial of five.
    let modelled = matches!(kind, Kind::Frozen | Kind::FrozenSlow) || seed.is_multiple_of(5);
    let (ran, log) = if modelled {
        let mut controller = drivers::controller(&kit.session, Sweep::new(share));
        let sight = drivers::sight(&kit.session, kit.sight.take(), camera);
        rig.episode(&kit.session, &mut controller, sight, seed, 60)
    } else {
        let mut controller = without_model(&kit.plain, Policy::Random(ColouredNoise::default()));
        let sight = drivers::sight(&kit.plain, None, camera);
        rig.episode(&kit.plain, &mut controller, sight, seed, 60)
    };
    let (_, sight) = ran.map_err(|error| error.to_string())?;
    if modelled {
        kit.sight = Some(sight);
    }
    let log = log.ok_or("no log")?;
    let turned_rad =
        share * kit.session.config.envelope.joints()[0].velocity_max_rad_s * 1e-9 * PERIOD_NS as f32;
    let used_max = match kind {
        Kind::Frozen => 2,
        // As many as a joint needs for 0.05 rad, three times if all joints turn round meanwhile, and two.
        Kind::FrozenSlow => 2 + 3 * (MOVED_RAD / turned_rad).ceil() as usize,
        _ => 0,
    };
    let seen = judged(
        &log,
        onset,
        shutter.first_ns + onset * PERIOD_NS,
        used_max,
        modelled,
    )?;
    rig.stays(3_000_000_000)?;
    Ok(seen)
}

/// Bad pictures of each kind.
pub(crate) fn bad(scale: Scale) -> Outcome {
    let each = scale.trials(500, 12);
    let mut outcome = Outcome::default();
    let tried = parallel::trials(each * KINDS.len() as u64, Kit::new, |kit, number| {
        let (kind, name) = KINDS[number as usize % KINDS.len()];
        trial(kit, kind, number).map_err(|problem| format!("{name}, trial {number}: {problem}"))
    });
    // Of slow arms, and of all others.
    let (mut slow, mut others) = ((0, 0), (0, 0));
    for (number, result) in tried.into_iter().enumerate() {
        outcome.tried(result.map(|seen| {
            let (kind, _) = KINDS[number % KINDS.len()];
            let most = if kind == Kind::FrozenSlow {
                &mut slow
            } else {
                &mut others
            };
            *most = (most.0.max(seen.used), most.1.max(seen.ticks));
        }));
    }
    outcome.worst = format!(
        "{each} of each of {} kinds; stopped {} ticks after the onset at most, {} bad pictures used; frozen, of slow arms: {} ticks, {} pictures",
        KINDS.len(),
        others.1,
        others.0,
        slow.1,
        slow.0
    );
    outcome
}

/// A camera that is always good, in a scene of its own.
struct GoodCamera {
    scene: Scene,
    /// Without noise, as simulators are: an arm that stands still gives the same picture again.
    noisy: bool,
}

impl World for GoodCamera {
    fn picture(&mut self, number: u64, _now_ns: u64, arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let light = if self.noisy { self.scene.light(number) } else { 1.0 };
        let joints = arm.plant().joints();
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format: PixelFormat::Rgb8,
            bytes: self.scene.draw(&joints.position_rad, light, self.noisy),
        };
        let stamp = FrameStamp {
            seq: number + 1,
            age_ns: 20_000_000,
        };
        Shown::Picture(picture, stamp)
    }
}

/// A run with good pictures at 30 Hz: how many there were, and how many were not used though they should have been.
fn good_run(session: &Session, seed: u64) -> Result<(u64, u64), String> {
    const TICKS: u32 = 300;
    let mut random = Stream::new(seed, 0x600D);
    let noisy = random.below(3) > 0;
    let camera = GoodCamera {
        scene: Scene::new(seed),
        noisy,
    };
    let shutter = Shutter {
        first_ns: 10_000_000 + random.below(20_000_000) as u64,
        period_ns: PERIOD_NS / 3,
    };
    let rig = Rig::new(&session.config, seed, Box::new(camera), shutter);
    let mut controller = without_model(
        session,
        if random.below(3) == 0 {
            Policy::Hold
        } else {
            Policy::Random(ColouredNoise::default())
        },
    );
    let sight = drivers::sight(session, None, rig.camera((SIDE as u32, SIDE as u32)));
    let (ran, log) = rig.episode(session, &mut controller, sight, seed, TICKS);
    let (outcome, sight) = ran.map_err(|error| error.to_string())?;
    let log = log.ok_or("no log")?;
    let refused = sight.judge.refused();
    let told = refused.black + refused.torn + refused.light + refused.future + refused.repeated;
    if let Some(reason) = outcome.stopped {
        return Err(format!("stopped by {reason:?} in tick {}", log.ticks.len()));
    }
    Ok((3 * log.ticks.len() as u64, told))
}

/// Good pictures, noisy or not, under a light that changes as lights do, of an arm that moves or does not.
pub(crate) fn good(scale: Scale) -> Outcome {
    let runs = scale.trials(112, 3);
    let session = plain();
    let mut outcome = Outcome::default();
    let mut refused = 0;
    for (number, run) in parallel::trials(runs, || (), |(), number| good_run(&session, number))
        .into_iter()
        .enumerate()
    {
        match run {
            Ok((pictures, its)) => {
                outcome.trials += pictures;
                refused += its;
            }
            Err(problem) => outcome.tried(Err(format!("run {number}: {problem}"))),
        }
    }
    outcome.rate = Some(format!("{refused} in {}", outcome.trials));
    outcome.worst = format!("{refused} good pictures refused, {runs} runs");
    if refused * 100_000 > outcome.trials.max(100_000) {
        outcome.failures += refused;
        outcome
            .examples
            .push(format!("{refused} good pictures were refused"));
    }
    outcome
}
