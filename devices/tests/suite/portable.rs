//! The fence around the portable camera library, with a library that does what it is told, in virtual time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::Camera;
use devices::portable::fake::{Event, Fake, Opening};
use devices::portable::{Agreed, Arrivals, Counts, Fence, HUNG_MAX, PortableCamera, Settings};
use devices::webcam::Format;
use robot::device::{FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, Config, VirtualClock};

const PERIOD_NS: u64 = 1_000_000_000 / 30;

/// Time between turns of the fence where no pictures come.
const TURN_NS: u64 = 50_000_000;

fn settings() -> Settings {
    Settings {
        width: 16,
        height: 12,
        format: Format::Rgb,
        frozen_after: 3,
        ..Settings::new("Fake")
    }
}

fn agreed() -> Agreed {
    Agreed {
        name: "Fake".to_owned(),
        width: 16,
        height: 12,
        rate_hz: 30.0,
    }
}

/// A sound picture that carries a number.
fn picture(number: u64) -> Picture {
    let mut bytes = vec![100; 3 * 16 * 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Picture {
        width: 16,
        height: 12,
        format: PixelFormat::Rgb8,
        bytes,
    }
}

fn number(picture: &Picture) -> u64 {
    u64::from_le_bytes(picture.bytes[..8].try_into().unwrap())
}

/// Library, fence, camera and time in one hand.
struct Bench {
    clock: Arc<VirtualClock>,
    fake: Fake,
    fence: Fence,
    camera: PortableCamera,
    picture: Picture,
}

impl Bench {
    /// With a camera that has been asked to open.
    fn new(openings: &[Opening]) -> Self {
        let clock = Arc::new(VirtualClock::default());
        // No machine is at the beginning of its time.
        clock.advance_ns(5_000_000_000);
        let fake = Fake::new(agreed());
        fake.opening(openings);
        let (fence, camera) = PortableCamera::parts(&settings(), fake.opener(), clock.clone(), 0).unwrap();
        let mut bench = Self {
            clock,
            fake,
            fence,
            camera,
            picture: Picture::default(),
        };
        bench.turn();
        bench
    }

    /// Gives the fence a turn. Where that opens the camera, no time passes until it is open, or the library refuses or hangs.
    fn turn(&mut self) {
        let (opening, attempts) = (self.fence.is_opening(), self.fake.attempts());
        self.fence.turn();
        if !opening {
            while self.fence.is_opening() && (self.fake.attempts() == attempts || !self.fake.is_hanging()) {
                std::thread::yield_now();
            }
        }
    }

    /// With a camera that is open and has delivered three pictures, numbers 0 to 2, so that its pictures are trusted.
    fn running() -> Self {
        let mut bench = Self::new(&[]);
        bench.fake.wait_for(0);
        for number in 0..3 {
            bench.next(0, number);
        }
        assert_eq!(bench.poll(), Ok(Some((2, FrameStamp { seq: 3, age_ns: 0 }))));
        bench
    }

    /// Lets a period pass and a picture come, and gives the fence a turn.
    fn next(&mut self, grabber: usize, number: u64) {
        self.next_after(PERIOD_NS, grabber, Event::Picture(picture(number), None));
    }

    fn next_after(&mut self, ns: u64, grabber: usize, event: Event) {
        self.clock.advance_ns(ns);
        self.fake.give(grabber, event);
        self.turn();
    }

    /// Number and stamp of a picture, or what is complained of.
    fn poll(&mut self) -> Result<Option<(u64, FrameStamp)>, String> {
        match self.camera.poll(&mut self.picture) {
            Ok(stamp) => Ok(stamp.map(|stamp| (number(&self.picture), stamp))),
            Err(error) => Err(robot::complaint(&error)),
        }
    }

    fn numbers(&mut self) -> Option<u64> {
        self.poll().unwrap().map(|(number, _)| number)
    }

    /// Lets time pass in which nothing comes.
    fn silence(&mut self, ns: u64) {
        for _ in 0..ns.div_ceil(TURN_NS) {
            self.clock.advance_ns(TURN_NS);
            self.turn();
        }
    }

    /// Lets time pass until the camera has been asked to open `attempts` times.
    fn until_attempts(&mut self, attempts: usize) {
        while self.fake.attempts() < attempts {
            self.silence(TURN_NS);
        }
    }

    /// Gives turns until a loss is told, without letting time pass: what a thread has to say is there soon.
    fn until_error(&mut self) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(30), "no loss is told");
            if let Err(error) = self.poll() {
                return error;
            }
            self.turn();
            std::thread::yield_now();
        }
    }

    fn counts(&self) -> Counts {
        self.camera.counts()
    }

    fn fact(&self, name: &str) -> String {
        let facts = self.camera.facts();
        let found = facts.into_iter().find(|(fact, _)| *fact == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }
}

#[test]
fn a_thousand_pictures_arrive_in_order_and_their_age_is_from_arrival() {
    let mut bench = Bench::running();
    for expected in 3..1_000 {
        bench.next(0, expected);
        bench.clock.advance_ns(1_000_000);
        let stamp = FrameStamp {
            seq: expected + 1,
            age_ns: 1_000_000,
        };
        assert_eq!(bench.poll(), Ok(Some((expected, stamp))));
        assert_eq!(bench.poll(), Ok(None), "no picture is handed over twice");
    }
    let counts = Counts {
        delivered: 999,
        // Before two pictures were waited for, nobody knows how old they are.
        old: 1,
        openings: 1,
        ..Counts::default()
    };
    assert_eq!(bench.counts(), counts);
    assert_eq!(bench.camera.size(), Some((16, 12)));
    let ages = bench.fact("ages of pictures");
    assert!(ages.starts_with("from arrival"), "{ages}");
    assert_eq!(bench.fact("camera"), "Fake, 16 x 12 pixels");
    assert_eq!(bench.fact("pictures"), "999 delivered, 1 perhaps too old");
}

#[test]
fn a_library_that_waits_for_ever_makes_nobody_wait_and_the_camera_is_opened_again() {
    let mut bench = Bench::running();
    bench.silence(900_000_000);
    assert_eq!(bench.poll(), Ok(None));
    bench.silence(150_000_000);
    let error = bench.poll().unwrap_err();
    assert!(
        error.contains("has delivered nothing for 1000 ms; check the cable"),
        "{error}"
    );
    bench.silence(TURN_NS);
    bench.fake.wait_for(1);
    assert_eq!(bench.fence.hung(), 1);
    for number in 10..13 {
        bench.next(1, number);
    }
    assert_eq!(bench.numbers(), Some(12));
    // The library comes back after all: what it brings is not shown, and its camera is closed.
    bench.fake.give(0, Event::Picture(picture(3), None));
    assert!(bench.fake.is_closed(0));
    assert_eq!(bench.poll(), Ok(None));
    bench.next(1, 13);
    assert_eq!(bench.numbers(), Some(13));
    let counts = bench.counts();
    assert_eq!((counts.losses, counts.openings, counts.abandoned), (1, 2, 1));
    assert_eq!(
        bench.fact("camera lost"),
        "1 times, opened 2 times, 1 threads left in the camera library"
    );
}

#[test]
fn a_library_that_never_opens_the_camera_is_given_up() {
    let mut bench = Bench::new(&[Opening::Hangs]);
    bench.silence(14_950_000_000);
    assert_eq!((bench.poll(), bench.fake.attempts()), (Ok(None), 1));
    bench.silence(TURN_NS);
    let error = bench.poll().unwrap_err();
    assert!(error.contains("has not opened the camera in 15000 ms"), "{error}");
    bench.until_attempts(2);
    bench.fake.wait_for(0);
    for number in 0..3 {
        bench.next(0, number);
    }
    assert_eq!(bench.numbers(), Some(2));
    assert_eq!((bench.fence.hung(), bench.counts().abandoned), (1, 1));
}

#[test]
fn no_more_threads_are_left_behind_than_agreed() {
    let mut bench = Bench::new(&[]);
    for grabber in 0..HUNG_MAX {
        bench.until_attempts(grabber + 1);
        bench.fake.wait_for(grabber);
        bench.silence(5_100_000_000);
    }
    assert_eq!(bench.fence.hung(), HUNG_MAX);
    bench.silence(60_000_000_000);
    assert_eq!(bench.fake.attempts(), HUNG_MAX, "nobody opens the camera again");
    // The poll that finds a loss of long ago tells what is the matter now.
    let error = bench.until_error();
    assert!(error.contains("3 threads wait for the camera library"), "{error}");
    // One of them comes back: there is room for another.
    bench.fake.give(1, Event::Fail("gone".to_owned()));
    bench.until_attempts(HUNG_MAX + 1);
    bench.fake.wait_for(HUNG_MAX);
    for number in 0..3 {
        bench.next(HUNG_MAX, number);
    }
    assert_eq!(bench.numbers(), Some(2));
}

#[test]
fn a_library_that_fails_or_panics_costs_the_camera_and_nothing_else() {
    let cases = [
        (
            Event::Fail("no such device".to_owned()),
            "the camera failed: no such device; check the cable",
        ),
        (Event::Panic, "the camera library panicked"),
    ];
    for (event, expected) in cases {
        let mut bench = Bench::running();
        bench.fake.give(0, event);
        assert!(bench.fake.is_closed(0));
        let error = bench.until_error();
        assert!(error.contains(expected), "{error}");
        bench.until_attempts(2);
        bench.fake.wait_for(1);
        for number in 10..13 {
            bench.next(1, number);
        }
        assert_eq!(bench.numbers(), Some(12));
        let counts = bench.counts();
        assert_eq!((counts.losses, counts.openings, counts.abandoned), (1, 2, 0));
    }
}

#[test]
fn a_camera_that_is_gone_is_looked_for_less_and_less_often() {
    let refused = Opening::Fails("there is none".to_owned());
    let mut bench = Bench::new(&vec![refused; 1_000]);
    let waits_ms: Vec<u64> = (2..=9)
        .map(|attempt| {
            let before_ns = bench.clock.now_ns();
            bench.until_attempts(attempt);
            let error = bench.poll().unwrap_err();
            assert!(error.contains("cannot be opened: there is none"), "{error}");
            (bench.clock.now_ns() - before_ns) / 1_000_000
        })
        .collect();
    // One turn later each: the fence hears of a failure in the turn after it.
    assert_eq!(waits_ms, [100, 150, 250, 450, 850, 1_650, 2_050, 2_050]);
    assert_eq!(bench.counts().losses, 1);
}

#[test]
fn pictures_that_the_driver_marked_and_the_library_did_not_are_dropped_and_counted() {
    let with = |change: fn(&mut Picture)| {
        let mut damaged = picture(50);
        change(&mut damaged);
        damaged
    };
    let cases = [
        ("short", with(|picture| picture.bytes.truncate(100))),
        ("empty", with(|picture| picture.bytes.clear())),
        (
            "of another size",
            with(|picture| (picture.width, picture.height) = (12, 16)),
        ),
        (
            "a JPEG without its end",
            with(|picture| {
                picture.format = PixelFormat::Jpeg;
                picture.bytes = vec![0xff, 0xd8, 1, 2, 3];
            }),
        ),
        (
            "rows that were never filled",
            with(|picture| {
                picture.format = PixelFormat::Yuyv;
                picture.bytes = [vec![100; 2 * 16 * 6], vec![0; 2 * 16 * 6]].concat();
            }),
        ),
        ("black", with(|picture| picture.bytes.fill(0))),
    ];
    let mut bench = Bench::running();
    for (name, damaged) in &cases {
        bench.next_after(PERIOD_NS, 0, Event::Picture(damaged.clone(), None));
        assert_eq!(bench.poll(), Ok(None), "{name}");
    }
    let counts = bench.counts();
    assert_eq!((counts.torn, counts.black, counts.losses), (5, 1, 0));
    // A frozen one is told after three that are equal.
    let seen: Vec<Option<u64>> = (0..6)
        .map(|_| {
            bench.next(0, 7);
            bench.numbers()
        })
        .collect();
    assert_eq!(seen, [Some(7), Some(7), Some(7), None, None, None]);
    assert_eq!(bench.counts().frozen, 3);
    bench.next(0, 8);
    assert_eq!(bench.numbers(), Some(8));
}

#[test]
fn old_pictures_that_come_first_after_a_stall_are_not_shown() {
    for stall_ns in [3 * PERIOD_NS, 500_000_000, 5_000_000_000] {
        let mut bench = Bench::running();
        // The program is held up while the library has four buffers, then asks for them as fast as it can.
        bench.clock.advance_ns(stall_ns);
        for number in 3..7 {
            bench.fake.give(0, Event::Picture(picture(number), None));
            assert_eq!(bench.poll(), Ok(None), "{number} waited for up to {stall_ns} ns");
        }
        // This is no loss: nobody looked at the camera for that long.
        bench.turn();
        let fresh: Vec<u64> = (100..110)
            .filter_map(|number| {
                bench.next(0, number);
                bench.numbers()
            })
            .collect();
        assert_eq!(fresh, (101..110).collect::<Vec<_>>());
        let counts = bench.counts();
        assert_eq!(
            (counts.losses, counts.old),
            (0, 6),
            "one of them at the beginning"
        );
    }
}

#[test]
fn a_picture_that_nobody_polled_for_grows_old() {
    for (waited_ns, expected) in [(2 * PERIOD_NS - 1_000, Some(3)), (2 * PERIOD_NS + 1_000, None)] {
        let mut bench = Bench::running();
        bench.next(0, 3);
        bench.clock.advance_ns(waited_ns);
        assert_eq!(bench.numbers(), expected);
    }
}

/// A camera with buffers and a program that asks for its pictures, as the library has them: the oldest first.
struct Queue {
    period_ns: u64,
    buffers: usize,
    now_ns: u64,
    /// When the next picture is taken.
    next_ns: u64,
    /// When the pictures that wait were taken.
    waiting: Vec<u64>,
    random: u64,
}

impl Queue {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        while self.next_ns <= self.now_ns {
            if self.waiting.len() < self.buffers {
                self.waiting.push(self.next_ns);
            }
            self.next_ns += self.period_ns;
        }
    }

    /// Asks for a picture, `held_ns` being how long the program is held up meanwhile. When it was asked for, and when it was taken.
    fn grab(&mut self, held_ns: u64) -> (u64, u64) {
        let asked_ns = self.now_ns;
        if self.waiting.is_empty() {
            // And a while until the thread has woken up.
            let late_ns = self.random(self.period_ns / 10);
            self.pass(self.next_ns - self.now_ns + late_ns);
        }
        self.pass(held_ns);
        (asked_ns, self.waiting.remove(0))
    }
}

#[test]
fn no_picture_that_counts_as_fresh_is_older_than_two_periods_wherever_the_program_is_held_up() {
    for (rate_hz, buffers) in [(15, 4), (30, 4), (60, 4), (30, 1), (30, 8)] {
        let period_ns = 1_000_000_000 / rate_hz;
        let mut queue = Queue {
            period_ns,
            buffers,
            now_ns: 7,
            next_ns: 1_000,
            waiting: Vec::new(),
            random: rate_hz + buffers as u64,
        };
        let mut arrivals = Arrivals::new(period_ns, queue.now_ns);
        let (mut fresh, mut old, mut again) = (0, 0, 0);
        for turn in 0..100_000 {
            // Held up once in forty pictures, for up to ten periods or for up to a minute, in the library or outside of it, and once
            // more, for less, while the pictures that were kept are handed over.
            let (mut inside_ns, mut outside_ns) = (0, queue.random(period_ns / 20));
            if turn % 40 == 0 {
                again = 1 + queue.random(4);
                let most_ns = if queue.random(4) == 0 {
                    60_000_000_000
                } else {
                    10 * period_ns
                };
                let held_ns = queue.random(most_ns);
                match queue.random(2) {
                    0 => inside_ns = held_ns,
                    _ => outside_ns = held_ns,
                }
            }
            if turn % 40 == again {
                inside_ns = queue.random(2 * period_ns);
            }
            queue.pass(outside_ns);
            let (asked_ns, taken_ns) = queue.grab(inside_ns);
            if arrivals.is_fresh(asked_ns, queue.now_ns) {
                fresh += 1;
                let age_ns = queue.now_ns - taken_ns;
                assert!(
                    age_ns <= 2 * period_ns,
                    "picture {turn} of {rate_hz} Hz with {buffers} buffers is {age_ns} ns old"
                );
            } else {
                old += 1;
            }
        }
        // The buffers, and a few more for each time it was held up.
        assert!(
            old <= 2_500 * (buffers as u32 + 6),
            "{rate_hz} Hz, {buffers} buffers: {fresh} fresh, {old} old"
        );
    }
}

#[test]
fn a_camera_that_is_slower_than_agreed_is_used_and_told() {
    let mut bench = Bench::running();
    let slow = |bench: &mut Bench, number| {
        bench.next_after(100_000_000, 0, Event::Picture(picture(number), None));
        bench.numbers()
    };
    let seen: Vec<Option<u64>> = (3..10).map(|number| slow(&mut bench, number)).collect();
    // After three it is slow, and was not held up.
    assert_eq!(seen, [None, None, None, Some(6), Some(7), Some(8), Some(9)]);
    let camera = bench.fact("camera");
    assert!(
        camera.ends_with("10.0 instead of 30 pictures a second"),
        "{camera}"
    );
    // A hold-up is no slowness: three pictures come at once after it.
    bench.clock.advance_ns(1_000_000_000);
    for number in 20..24 {
        bench.fake.give(0, Event::Picture(picture(number), None));
        assert_eq!(bench.poll(), Ok(None), "{number}");
    }
}

/// The library's time stamp of a picture, from its number, what the wall clock would say, and an hour.
type Stamp = fn(u64, Duration, Duration) -> Option<Duration>;

#[test]
fn a_wall_clock_that_is_set_changes_no_number_and_no_age() {
    let hour = Duration::from_secs(3_600);
    let start = Duration::from_secs(1_700_000_000);
    let run = |stamp: Stamp| {
        let mut bench = Bench::running();
        let polls: Vec<_> = (3..40)
            .map(|number| {
                let passed = Duration::from_nanos(number * PERIOD_NS);
                let stamp = stamp(number, start + passed, hour);
                bench.next_after(PERIOD_NS, 0, Event::Picture(picture(number), stamp));
                bench.clock.advance_ns(2_000_000);
                bench.poll().unwrap().unwrap()
            })
            .collect();
        (polls, bench.counts().stamp_jumps, bench.fact("ages of pictures"))
    };
    let (without, none, _) = run(|_, _, _| None);
    let stamps: [Stamp; 4] = [
        |_, wall, _| Some(wall),
        |number, wall, hour| Some(if number < 20 { wall } else { wall + hour }),
        |number, wall, hour| Some(if number < 20 { wall } else { wall - hour }),
        |number, wall, hour| (number % 2 == 0).then(|| if number < 20 { wall } else { wall + hour }),
    ];
    let jumps = stamps.map(|stamp| {
        let (polls, jumps, ages) = run(stamp);
        assert_eq!(polls, without);
        assert_eq!(
            ages.contains("they disagreed with it 1 times"),
            jumps == 1,
            "{ages}"
        );
        jumps
    });
    assert_eq!((none, jumps), (0, [0, 1, 1, 1]));
}

#[test]
fn real_threads_and_real_time_show_pictures_and_end_although_the_library_waits_for_ever() {
    let fake = Fake::new(agreed());
    let mut camera = PortableCamera::start(&settings(), fake.opener(), 0).unwrap();
    fake.wait_for(0);
    let mut seen = Picture::default();
    // In a busy program a picture may grow old before it is polled: another comes.
    for number in 0.. {
        std::thread::park_timeout(Duration::from_nanos(PERIOD_NS));
        fake.give(0, Event::Picture(picture(number), None));
        if camera.poll(&mut seen).unwrap().is_some() {
            break;
        }
    }
    assert_eq!(seen.width, 16);
    // The library waits for a picture that never comes.
    drop(camera);
    assert!(!fake.is_closed(0));
    // One that ends is waited for.
    fake.give(0, Event::Picture(picture(1), None));
    assert!(fake.is_closed(0));
    let refused = Fake::new(agreed());
    refused.opening(&[Opening::Fails("it is used by another program".to_owned())]);
    let error = PortableCamera::start(&settings(), refused.opener(), 0).unwrap_err();
    assert!(error.to_string().contains("used by another program"), "{error}");
}

/// What is said of a robot file with such a camera.
fn refusal(camera: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let text = text.replace(
        "    capture: (",
        &format!("    camera: {camera},\n    capture: ("),
    );
    let config = Config::parse(Path::new("robot.ron"), text).expect("a sound robot file");
    let mut camera = Camera::of(&config, None).expect("a camera");
    let error = camera.open(&config).err().expect("it cannot be opened");
    robot::complaint(&error)
}

#[test]
fn a_robot_file_names_it_and_wrong_fields_are_named() {
    for (text, expected) in [
        (
            r#"portable(device: " ", width: 640, height: 480, rate_hz: 30)"#,
            "field `camera.device` is empty; write the camera's name",
        ),
        (
            r#"portable(device: "0", width: 0, height: 480, rate_hz: 30)"#,
            "field `camera.width` is 0; write the number of pixels",
        ),
        (
            r#"portable(device: "0", width: 640, height: 480, rate_hz: 0)"#,
            "field `camera.rate_hz` is 0; write pictures a second",
        ),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{error}");
    }
}

/// In a program without the library.
#[cfg(not(feature = "nokhwa"))]
#[test]
fn a_program_without_the_library_says_how_to_get_it() {
    let error = refusal(r#"portable(device: "0", width: 640, height: 480, rate_hz: 30, format: yuyv)"#);
    for part in [
        "built without",
        "--features nokhwa",
        "libclang",
        "camera: webcam(..)",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(devices::portable::list().is_err());
}
