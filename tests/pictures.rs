//! Pictures that do not show the scene as it is now, from cameras without a driver that could tell.

use controller::capture::{Judge, Sight, Verdict};
use controller::live;
use controller::lockstep::{Labels, Outcome};
use controller::session::{PolicyChoice, Session};
use devices::fake::FakeBus;
use episode::{Episode, Reason};
use robot::config::Pipeline;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat, Signals, Task};
use robot::philox::Stream;
use robot::{Config, Frame};

const PERIOD_NS: u64 = 33_000_000;

fn config(side: usize) -> Config {
    let mut config = Config::load(&crate::root().join("configs/sim-planar.ron")).expect("robot file");
    config.frame_side = side;
    config
}

/// A scene with something that moves in it, seen by a camera with noise. Light and noise are a function of seed and number.
struct Scene {
    side: usize,
    stream: Stream,
    /// Noise of some pictures, from which each picture takes its own part.
    noise: Vec<i8>,
    walk: f32,
}

impl Scene {
    fn new(side: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, side as u64);
        // Sums of four numbers from -2 to 2: a standard deviation of 2.8 levels.
        let one = |stream: &mut Stream| -> i8 {
            let bytes = stream.next_u32().to_le_bytes();
            bytes.iter().map(|byte| (byte % 5) as i8 - 2).sum()
        };
        let noise = (0..16 * Frame::bytes(side)).map(|_| one(&mut stream)).collect();
        Self {
            side,
            stream,
            noise,
            walk: 0.0,
        }
    }

    /// A number from 0 to 1.
    fn uniform(&mut self) -> f32 {
        (self.stream.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Light of picture `number`, as a share: it drifts by a fifth within a minute, wanders, and flickers with the mains.
    fn light(&mut self, number: u32) -> f32 {
        self.walk = (self.walk + 0.004 * (self.uniform() - 0.5)).clamp(-0.3, 0.3);
        let flicker = 0.04 * (self.uniform() - 0.5);
        1.0 + 0.2 * (number as f32 / 300.0).sin() + self.walk + flicker
    }

    /// Picture `number` under that much light.
    fn draw(&mut self, number: u32, light: f32, into: &mut Frame) {
        let side = self.side;
        let from = self.stream.next_u32() as usize % (self.noise.len() - Frame::bytes(side));
        // A dark arm, an eighth of the picture wide, that goes from side to side.
        let phase = number as usize / 2 % (2 * side);
        let arm = phase.min(2 * side - phase);
        for (index, level) in into.rgb_mut().iter_mut().enumerate() {
            let (x, y) = (index / 3 % side, index / 3 / side);
            let scene = if x.abs_diff(arm) < side / 16 {
                40
            } else {
                90 + 60 * x / side + 30 * y / side
            };
            *level = (scene as f32 * light + f32::from(self.noise[from + index])) as u8;
        }
    }
}

#[test]
fn of_three_hundred_thousand_noisy_pictures_under_drifting_light_none_is_refused() {
    let mut refused = 0;
    let mut seen = 0;
    for (side, pictures) in [(64, 60_000), (32, 240_000)] {
        let mut scene = Scene::new(side, 18);
        let mut judge = Judge::new(&config(side));
        let mut frame = Frame::new(side);
        for number in 0..pictures {
            let light = scene.light(number);
            scene.draw(number, light, &mut frame);
            refused += u32::from(judge.judge(&frame, u64::from(number) * PERIOD_NS) != Verdict::Good);
            seen += 1;
        }
    }
    println!(
        "{refused} of {seen} noisy pictures were refused (none in so many: fewer than 1 in 100,000, 95 % confidence)"
    );
    assert_eq!(refused, 0);
}

/// Something that becomes of a picture. It is given the picture before, and a number from 0 to 1.
type Fault = fn(&mut Frame, &Frame, f32);

#[test]
fn black_torn_and_suddenly_lit_pictures_are_refused_for_as_long_as_they_come() {
    let black: Fault = |frame, _, random| {
        let level = (random * 20.0) as u8;
        frame
            .rgb_mut()
            .iter_mut()
            .for_each(|byte| *byte = level.saturating_sub(*byte % 4));
    };
    let unfilled: Fault = |frame, _, random| {
        let (from, grey) = (
            ((0.875 * random) * 64.0) as usize * 3 * 64,
            if random > 0.5 { 128 } else { 0 },
        );
        frame.rgb_mut()[from..].fill(grey);
    };
    let mixed_below: Fault = |frame, before, random| {
        let from = ((0.125 + 0.75 * random) * 64.0) as usize * 3 * 64;
        frame.rgb_mut()[from..].copy_from_slice(&before.rgb()[from..]);
    };
    let mixed_above: Fault = |frame, before, random| {
        let until = ((0.125 + 0.75 * random) * 64.0).ceil() as usize * 3 * 64;
        frame.rgb_mut()[..until].copy_from_slice(&before.rgb()[..until]);
    };
    let light_off: Fault = |frame, _, random| {
        let by = 0.25 + 0.35 * random;
        let levels = frame.rgb_mut().iter_mut();
        levels.for_each(|level| *level = (f32::from(*level) * by) as u8);
    };
    let light_on: Fault = |frame, _, random| {
        let more = 60.0 + 60.0 * random;
        let levels = frame.rgb_mut().iter_mut();
        levels.for_each(|level| *level = (f32::from(*level) + more).min(255.0) as u8);
    };
    const TRIALS: u32 = 500;
    for (name, fault, expected) in [
        ("black", black, Verdict::Black),
        ("not filled", unfilled, Verdict::Torn),
        ("mixed, the old part below", mixed_below, Verdict::Torn),
        ("mixed, the old part above", mixed_above, Verdict::Torn),
        ("after a light went off", light_off, Verdict::Light),
        ("after a light went on", light_on, Verdict::Light),
    ] {
        let (mut missed, mut judged) = (0, 0);
        for trial in 0..TRIALS {
            let mut scene = Scene::new(64, u64::from(trial));
            let mut judge = Judge::new(&config(64));
            let (mut frame, mut before) = (Frame::default(), Frame::default());
            let random = scene.uniform();
            for number in 0..15 {
                before.copy_from(&frame);
                scene.draw(number, 1.0, &mut frame);
                if number >= 10 {
                    fault(&mut frame, &before, random);
                }
                let verdict = judge.judge(&frame, u64::from(number) * PERIOD_NS);
                // Of a mixture only the first is one: the next repeats what it repeats.
                let told = number < 10 || (number > 10 && expected == Verdict::Torn && name != "not filled");
                if number < 10 {
                    assert_eq!(verdict, Verdict::Good, "{name}, trial {trial}, picture {number}");
                } else if !told {
                    missed += u32::from(verdict == Verdict::Good);
                    judged += 1;
                }
            }
        }
        println!("{name}: {missed} of {judged} such pictures in {TRIALS} scenes were not refused");
        assert_eq!(missed, 0, "{name}");
    }
}

/// An arm that leaves the lower part of the picture shows a floor of one colour, to a camera with noise that ends, and to one without any.
#[test]
fn a_floor_of_one_colour_that_comes_into_sight_is_no_missing_part() {
    for noise in [0, 6] {
        let mut judge = Judge::new(&config(64));
        let mut frame = Frame::new(64);
        let mut stream = Stream::new(5, 0);
        for number in 0..40_u32 {
            // A thin arm, which stands upright until it leaves at once.
            let (arm, noise) = if number < 20 { (64, noise) } else { (30, 0) };
            for (index, level) in frame.rgb_mut().iter_mut().enumerate() {
                let (x, y) = (index / 3 % 64, index / 3 / 64);
                let scene = match (y < arm && (28..34).contains(&x), y < 20) {
                    (true, _) => 200,
                    (_, true) => 120,
                    _ => 90,
                };
                *level = scene + if noise > 0 { stream.below(noise) as u8 } else { 0 };
            }
            // Something moves at the top.
            frame.rgb_mut()[number as usize % 60 * 3] = 10;
            let verdict = judge.judge(&frame, u64::from(number) * PERIOD_NS);
            assert_eq!(verdict, Verdict::Good, "picture {number}, noise {noise}");
        }
    }
}

/// The upper half of each picture, or the lower one, in turn, is still that of the picture before.
#[test]
fn a_camera_that_tears_each_picture_is_told_for_as_long_as_it_does_so() {
    let mut missed = 0;
    for trial in 0..200 {
        let mut scene = Scene::new(64, trial);
        let mut judge = Judge::new(&config(64));
        let (mut frame, mut before) = (Frame::default(), Frame::default());
        let edge = 3 * 64 * (8 + (scene.uniform() * 48.0) as usize);
        for number in 0..40 {
            before.copy_from(&frame);
            scene.draw(number, 1.0, &mut frame);
            if number >= 12 {
                let part = if number % 2 == 0 { edge.. } else { 0.. };
                let end = if number % 2 == 0 { Frame::bytes(64) } else { edge };
                let part = part.start..end;
                frame.rgb_mut()[part.clone()].copy_from_slice(&before.rgb()[part]);
            }
            let verdict = judge.judge(&frame, u64::from(number) * PERIOD_NS);
            assert!(number >= 12 || verdict == Verdict::Good, "picture {number}");
            missed += u32::from(number >= 12 && verdict != Verdict::Torn);
        }
    }
    assert_eq!(missed, 0);
}

/// A still picture or a black one, new at every poll, with this age.
struct Showing {
    level: u8,
    /// Whether each picture differs from the one before.
    noisy: bool,
    age_ns: u64,
    /// Good pictures that come first.
    good: u64,
    seq: u64,
}

impl FrameSource for Showing {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        self.seq += 1;
        let good = self.seq <= self.good;
        let noise = u8::from((self.noisy || good) && self.seq.is_multiple_of(2));
        let level = if good { 100 } else { self.level };
        let mut rgb = vec![level; 3 * 64 * 64];
        // Not of one colour.
        for (index, level) in rgb.iter_mut().enumerate() {
            *level = level.saturating_add((index / 192 % 2) as u8 * 8) + noise;
        }
        into.fill(64, 64, PixelFormat::Rgb8, &rgb);
        Ok(Some(FrameStamp {
            seq: self.seq,
            age_ns: if good { 0 } else { self.age_ns },
        }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some((64, 64))
    }
}

/// A task whose rewards are no numbers.
struct Numberless(f32);

impl Task for Numberless {
    fn reset(&mut self, _seed: u64) -> Result<(), DeviceError> {
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        Some(self.0)
    }
}

/// An episode of random motion of an arm that goes where it is told, seen by `camera`: what came of it, the log, and what is reported
/// of the pictures. `gap_ticks` periods without a picture that is used stop the arm.
fn driven(
    camera: Showing,
    task: Option<Box<dyn Task>>,
    ticks: u32,
    gap_ticks: u32,
) -> (Outcome, Episode, String) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut config = config(64);
    config.frame_gap_ticks = gap_ticks;
    // How late a picture may be on a machine that is busy is not what this is about.
    config.frame_max_age_s = 10.0;
    let session = Session::of(config, None, PolicyChoice::Random, Some(Pipeline::NextTick)).expect("sound");
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let mut sight = Sight::new(&session.config, Box::new(camera), task, encoder, None).expect("a view");
    // Nor how long the camera's thread had to wait for a CPU.
    sight.judge = Judge::new(&Config {
        period_s: 1e3,
        ..session.config.clone()
    });
    let mut bus = FakeBus::new(&session.config.envelope.home().position_rad);
    let log = dir.path().join("episode.mcap");
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 3, 1_000),
        attachments: &session.attachments(),
    };
    let signals = Signals::default();
    let (outcome, sight) = live::run(
        &session.config,
        &mut controller,
        &mut bus,
        sight,
        0,
        ticks,
        &labels,
        &signals,
    )
    .expect("the episode runs");
    let read = episode::read_episode(&log).expect("a log");
    (outcome, read, format!("{:?}", sight.facts()))
}

#[test]
fn an_arm_that_sees_only_pictures_that_are_not_used_is_stopped() {
    let showing = |level, noisy, age_ns| Showing {
        level,
        noisy,
        age_ns,
        good: 1,
        seq: 0,
    };
    for (name, camera, fact) in [
        ("black", showing(3, true, 0), "pictures that are black"),
        (
            "in the future",
            showing(100, true, FrameStamp::IN_THE_FUTURE),
            "pictures that are stamped in the future",
        ),
        (
            "suddenly lit",
            showing(200, true, 0),
            "pictures after a change of the light",
        ),
        (
            "repeated",
            showing(100, false, 0),
            "pictures that repeat one while the arm moves",
        ),
    ] {
        let (outcome, log, facts) = driven(camera, None, 200, 5);
        assert_eq!(outcome.stopped, Some(Reason::FrameGap), "{name}");
        assert!(facts.contains(fact), "{name}: {facts}");
        // Five periods without a picture that is used, and no more.
        let blind = log.ticks.iter().rev().take_while(|row| !row.capture.fresh);
        assert_eq!(blind.count(), 5, "{name}");
    }
    // A machine that is busy may show none for some periods: that is not what this is about.
    let (outcome, log, _) = driven(showing(100, true, 0), None, 20, 1_000);
    assert_eq!(outcome.stopped, None);
    assert!(
        log.ticks.iter().any(|row| row.capture.fresh),
        "good pictures are used"
    );
}

#[test]
fn a_reward_that_is_no_number_is_none_in_log_and_score() {
    for reward in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let camera = Showing {
            level: 100,
            noisy: true,
            age_ns: 0,
            good: 1,
            seq: 0,
        };
        let (outcome, log, _) = driven(camera, Some(Box::new(Numberless(reward))), 6, 1_000);
        assert_eq!((outcome.stopped, outcome.total_reward), (None, None), "{reward}");
        assert!(
            log.ticks.iter().all(|row| row.capture.reward.is_none()),
            "{reward}"
        );
        assert!(log.ticks.iter().any(|row| row.capture.fresh));
    }
}
