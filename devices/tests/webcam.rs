//! A webcam on a fake kernel, in virtual time: every fault, and no picture that is too old.

use std::sync::Arc;

use devices::webcam::fake::{DEVICE, Fake, Fault, Offered, frame_number};
use devices::webcam::{Counts, Driver, Format, Lock, Settings, Webcam, WebcamError};
use nix::errno::Errno;
use robot::device::{FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, VirtualClock};

const PERIOD_NS: u64 = 1_000_000_000 / 30;

fn settings() -> Settings {
    Settings {
        width: 64,
        height: 48,
        format: Format::Yuyv,
        frozen_after: 3,
        ..Settings::new(DEVICE)
    }
}

/// A webcam, its driver's turns and its time in one hand.
struct Bench {
    clock: Arc<VirtualClock>,
    fake: Fake,
    driver: Driver,
    webcam: Webcam,
    picture: Picture,
}

/// One picture that was handed over: its number and its stamp.
#[derive(Debug, Clone, Copy)]
struct Seen {
    number: u64,
    stamp: FrameStamp,
}

impl Bench {
    fn new(settings: &Settings, faults: &[(u64, Fault)]) -> Self {
        let clock = Arc::new(VirtualClock::default());
        // No machine is at the beginning of its time.
        clock.advance_ns(5_000_000_000);
        let fake = Fake::new(clock.clone());
        for (number, fault) in faults {
            fake.fault(*number, *fault);
        }
        let (driver, webcam) = Webcam::parts(settings, Box::new(fake.clone()), clock.clone()).unwrap();
        Self {
            clock,
            fake,
            driver,
            webcam,
            picture: Picture::default(),
        }
    }

    fn poll(&mut self) -> Result<Option<Seen>, String> {
        match self.webcam.poll(&mut self.picture) {
            Err(error) => Err(robot::complaint(&error)),
            Ok(stamp) => Ok(stamp.map(|stamp| Seen {
                number: frame_number(&self.picture).unwrap(),
                stamp,
            })),
        }
    }

    /// Gives the driver `turns` turns and polls after each. Pictures and errors.
    fn run(&mut self, turns: usize) -> (Vec<Seen>, Vec<String>) {
        let (mut seen, mut errors) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            self.driver.turn();
            match self.poll() {
                Ok(picture) => seen.extend(picture),
                Err(error) => errors.push(error),
            }
        }
        (seen, errors)
    }

    fn counts(&self) -> Counts {
        self.webcam.counts()
    }
}

fn numbers(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.number).collect()
}

/// Numbers increase, and nothing is older than two periods.
fn check(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert!(pair[0].number < pair[1].number, "{pair:?}");
        assert!(pair[0].stamp.seq < pair[1].stamp.seq, "{pair:?}");
    }
    for seen in seen {
        assert!(seen.stamp.age_ns <= 2 * PERIOD_NS, "{seen:?}");
    }
}

#[test]
fn a_thousand_pictures_arrive_in_order_with_the_drivers_age() {
    let mut bench = Bench::new(&settings(), &[]);
    let (seen, errors) = bench.run(1_000);
    assert_eq!(numbers(&seen), (0..1_000).collect::<Vec<_>>());
    assert_eq!(errors, Vec::<String>::new());
    check(&seen);
    // Stamps are in whole microseconds.
    assert!(
        seen.iter()
            .all(|seen| (5_000_000..5_001_000).contains(&seen.stamp.age_ns))
    );
    let counts = Counts {
        delivered: 1_000,
        driver_stamps: 1_000,
        openings: 1,
        ..Counts::default()
    };
    assert_eq!(bench.counts(), counts);
    assert_eq!((bench.picture.width, bench.picture.height), (64, 48));
    assert_eq!(bench.picture.format, PixelFormat::Yuyv);
    assert_eq!(bench.picture.bytes.len(), 2 * 64 * 48);
}

#[test]
fn damaged_pictures_are_left_out_and_counted() {
    let faults = [
        (3, Fault::Flagged),
        (5, Fault::Short { bytes: 1_000 }),
        (7, Fault::Black),
        (9, Fault::Lost),
        (11, Fault::Disordered),
    ];
    let mut bench = Bench::new(&settings(), &faults);
    let (seen, errors) = bench.run(25);
    check(&seen);
    assert_eq!(errors, Vec::<String>::new());
    for (number, _) in faults {
        assert!(!numbers(&seen).contains(&number), "{number}: {seen:?}");
    }
    for number in [0, 4, 6, 8, 10, 12, 13] {
        assert!(numbers(&seen).contains(&number), "{number}: {seen:?}");
    }
    let counts = bench.counts();
    let told = (counts.flagged, counts.torn, counts.black, counts.disordered);
    assert_eq!(told, (1, 1, 1, 1));
    // The picture that was lost, and the one that came too late.
    assert_eq!(counts.gaps, 2);
    assert_eq!(counts.losses, 0);
    // Numbers tell of what was left out.
    let stamps = |number: u64| seen.iter().find(|seen| seen.number == number).unwrap().stamp.seq;
    assert_eq!(stamps(10) - stamps(8), 2);
    assert_eq!(stamps(4) - stamps(2), 2);
}

#[test]
fn a_frozen_camera_is_told_from_a_living_one() {
    let faults: Vec<(u64, Fault)> = (10..20).map(|number| (number, Fault::Frozen)).collect();
    let mut bench = Bench::new(&settings(), &faults);
    // Frozen ones carry number 0: three of them pass before the camera counts as frozen.
    let (seen, _) = bench.run(30);
    assert_eq!(numbers(&seen).iter().filter(|number| **number == 0).count(), 4);
    assert_eq!(bench.counts().frozen, 7);
    assert_eq!(numbers(&seen).last(), Some(&29));
}

#[test]
fn jpegs_that_end_early_are_left_out() {
    let mut mjpeg = settings();
    mjpeg.format = Format::Mjpeg;
    let mut bench = Bench::new(&mjpeg, &[(2, Fault::Short { bytes: 500 })]);
    let (seen, _) = bench.run(5);
    assert_eq!(numbers(&seen), [0, 1, 3, 4]);
    assert_eq!(bench.picture.format, PixelFormat::Jpeg);
    assert_eq!(bench.counts().torn, 1);
}

#[test]
fn time_stamps_of_the_wall_clock_are_not_believed() {
    for fault in [Fault::WallClock, Fault::WallClockAsMonotonic] {
        let faults: Vec<(u64, Fault)> = (0..20).map(|number| (number, fault)).collect();
        let mut bench = Bench::new(&settings(), &faults);
        let (seen, errors) = bench.run(40);
        check(&seen);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(seen.len(), 40);
        // Their age is counted from their arrival, which is when they were polled here.
        assert!(seen[..20].iter().all(|seen| seen.stamp.age_ns == 0));
        assert!(seen[21..].iter().all(|seen| seen.stamp.age_ns >= 5_000_000));
        assert!(bench.counts().arrival_stamps >= 20);
    }
}

#[test]
fn what_waited_while_the_program_was_held_up_is_dropped() {
    for fault in [None, Some(Fault::WallClock)] {
        let faults: Vec<(u64, Fault)> = (0..200).filter_map(|number| Some((number, fault?))).collect();
        let mut bench = Bench::new(&settings(), &faults);
        bench.run(5);
        for _ in 0..5 {
            bench.clock.advance_ns(700_000_000);
            let before = bench.counts();
            bench.driver.turn();
            // All four buffers are full of pictures that are half a second old.
            assert!(bench.poll().unwrap().is_none());
            let after = bench.counts();
            assert_eq!(
                (after.stale - before.stale, after.superseded - before.superseded),
                (1, 3)
            );
            let (seen, _) = bench.run(5);
            check(&seen);
            assert!(seen.len() >= 4);
        }
    }
}

#[test]
fn the_newest_of_several_is_taken() {
    let mut bench = Bench::new(&settings(), &[]);
    bench.run(3);
    // Three arrive meanwhile: 3, 4 and 5.
    bench.clock.advance_ns(3 * PERIOD_NS);
    let (seen, _) = bench.run(1);
    assert_eq!(numbers(&seen), [5]);
    assert_eq!(bench.counts().superseded, 2);
}

#[test]
fn a_picture_that_nobody_took_in_time_is_not_handed_over() {
    let mut bench = Bench::new(&settings(), &[]);
    bench.driver.turn();
    bench.clock.advance_ns(3 * PERIOD_NS);
    assert!(bench.poll().unwrap().is_none());
}

#[test]
fn an_unplugged_camera_is_told_and_found_again_under_another_node() {
    for answer in [Errno::ENODEV, Errno::EINVAL, Errno::EIO] {
        let unplug = Fault::Unplug {
            ns: 700_000_000,
            answer,
        };
        let mut bench = Bench::new(&settings(), &[(10, unplug), (100, unplug)]);
        let (seen, errors) = bench.run(400);
        check(&seen);
        assert!(errors[0].contains("taking a picture"), "{errors:?}");
        assert!(
            errors.iter().any(|error| error.contains("none is plugged in")),
            "{errors:?}"
        );
        let counts = bench.counts();
        assert_eq!((counts.losses, counts.openings), (2, 3));
        assert!(numbers(&seen).contains(&9) && numbers(&seen).contains(&11));
        assert!(numbers(&seen).last() > Some(&300));
    }
}

#[test]
fn each_loss_is_told_even_if_the_camera_is_back_before_the_next_poll() {
    let unplug = Fault::Unplug {
        ns: 0,
        answer: Errno::ENODEV,
    };
    let mut bench = Bench::new(&settings(), &[(3, unplug)]);
    bench.run(3);
    // The loss, the opening, and a picture, before anybody polls.
    for _ in 0..4 {
        bench.driver.turn();
    }
    assert_eq!(bench.counts().openings, 2);
    assert!(bench.poll().is_err());
    let (seen, errors) = bench.run(5);
    assert_eq!((seen.len(), errors.len()), (5, 0));
}

#[test]
fn a_loss_that_happened_while_nobody_polled_concerns_nobody() {
    let unplug = Fault::Unplug {
        ns: 0,
        answer: Errno::ENODEV,
    };
    let mut bench = Bench::new(&settings(), &[(3, unplug)]);
    bench.run(3);
    for _ in 0..100 {
        bench.driver.turn();
    }
    assert!(bench.poll().unwrap().is_some());
}

#[test]
fn a_camera_that_falls_silent_is_opened_anew() {
    let mut bench = Bench::new(&settings(), &[(10, Fault::Stall { ns: 3_000_000_000 })]);
    let (seen, errors) = bench.run(200);
    check(&seen);
    assert!(errors[0].contains("delivered nothing for 1"), "{errors:?}");
    let counts = bench.counts();
    assert_eq!((counts.losses, counts.openings), (1, 2));
    assert!(counts.timeouts >= 20);
    assert!(numbers(&seen).len() > 150);
}

#[test]
fn a_short_stall_costs_its_pictures_only() {
    let mut bench = Bench::new(&settings(), &[(10, Fault::Stall { ns: 500_000_000 })]);
    let (seen, errors) = bench.run(100);
    check(&seen);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(bench.counts().losses, 0);
}

#[test]
fn a_program_that_is_held_up_does_not_blame_the_camera() {
    let mut bench = Bench::new(&settings(), &[]);
    bench.run(5);
    for _ in 0..5 {
        bench.clock.advance_ns(10_000_000_000);
        let (seen, errors) = bench.run(5);
        check(&seen);
        assert_eq!(errors, Vec::<String>::new());
    }
    assert_eq!(bench.counts().losses, 0);
}

#[test]
fn a_driver_that_names_a_buffer_it_does_not_have_is_left() {
    for index in [4, 99, u32::MAX] {
        let mut bench = Bench::new(&settings(), &[(10, Fault::Index(index))]);
        let (seen, errors) = bench.run(50);
        check(&seen);
        assert!(errors[0].contains(&format!("buffer {index}")), "{errors:?}");
        assert_eq!(bench.counts().losses, 1);
        assert!(seen.len() > 40);
    }
}

#[test]
fn nothing_is_ever_too_old_whatever_happens() {
    // Faults, stalls of the program and of the camera, all drawn from a fixed sequence.
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let faults: Vec<(u64, Fault)> = (0..20_000)
        .filter_map(|number| {
            let fault = match draw(60) {
                0 => Fault::Flagged,
                1 => Fault::Short {
                    bytes: draw(6_000) as u32,
                },
                2 => Fault::Lost,
                3 => Fault::Disordered,
                4 => Fault::Black,
                5 => Fault::Stall {
                    ns: draw(2_000_000_000),
                },
                6 => Fault::Unplug {
                    ns: draw(1_000_000_000),
                    answer: Errno::ENODEV,
                },
                7 => Fault::Index(4 + draw(3) as u32),
                8 => Fault::WallClockAsMonotonic,
                _ => return None,
            };
            Some((number, fault))
        })
        .collect();
    let mut bench = Bench::new(&settings(), &faults);
    let mut last: Option<Seen> = None;
    let mut seen = 0;
    for _ in 0..20_000 {
        if draw(20) == 0 {
            bench.clock.advance_ns(draw(500_000_000));
        }
        bench.driver.turn();
        if let Ok(Some(now)) = bench.poll() {
            assert!(now.stamp.age_ns <= 2 * PERIOD_NS, "{now:?}");
            // Its true age, too, where the driver's stamp was not believed.
            let taken_ns = bench.fake.taken_ns(now.number).unwrap();
            assert!(
                bench.clock.now_ns() - taken_ns <= 2 * PERIOD_NS + 1_000,
                "{now:?}"
            );
            if let Some(last) = last {
                assert!(last.stamp.seq < now.stamp.seq, "{last:?} {now:?}");
                assert!(last.number < now.number, "{last:?} {now:?}");
            }
            last = Some(now);
            seen += 1;
        }
    }
    let counts = bench.counts();
    assert!(seen > 8_000 && counts.losses > 100, "{seen} {counts:?}");
}

fn refused(change: impl FnOnce(&mut Settings), fake: impl FnOnce(&Fake)) -> WebcamError {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::default());
    let machine = Fake::new(Arc::clone(&clock));
    fake(&machine);
    let mut settings = settings();
    change(&mut settings);
    Webcam::parts(&settings, Box::new(machine), clock).unwrap_err()
}

#[test]
fn what_the_camera_chose_instead_is_said_with_what_it_offers() {
    let size = refused(|settings| settings.width = 1920, |_| {}).to_string();
    assert!(
        size.starts_with("width, height: the camera takes 640, 480 instead of 1920, 48"),
        "{size}"
    );
    assert!(size.contains("mjpeg 64x48 at 60.000"), "{size}");
    let format = refused(|settings| settings.format = Format::Nv12, |_| {}).to_string();
    assert!(
        format.starts_with("format: the camera takes yuyv instead of nv12"),
        "{format}"
    );
}

#[test]
fn settings_that_nothing_can_be_done_with_are_refused_by_field() {
    let field = |change: fn(&mut Settings)| match refused(change, |_| {}) {
        WebcamError::Setting { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(field(|settings| settings.device = " ".to_owned()), "device");
    assert_eq!(field(|settings| settings.width = 0), "width");
    assert_eq!(field(|settings| settings.height = 10_000), "height");
    assert_eq!(field(|settings| settings.rate_hz = f64::NAN), "rate_hz");
    assert_eq!(field(|settings| settings.age_max_s = Some(0.0)), "age_max_s");
    assert_eq!(
        field(|settings| settings.exposure_us = Lock::Value(2_000_000)),
        "exposure_us"
    );
    assert_eq!(field(|settings| settings.focus = Lock::Value(10)), "focus");
    let missing = refused(|settings| settings.device = "usb-1-9".to_owned(), |_| {}).to_string();
    assert!(missing.contains("usb-1234:5678-FAKE"), "{missing}");
}

#[test]
fn another_rate_and_what_cannot_be_held_are_notes() {
    let mut fast = settings();
    fast.rate_hz = 60.0;
    fast.exposure_us = Lock::Value(8_000);
    fast.white_balance_k = Lock::Hold;
    fast.gain = Lock::Hold;
    let bench = Bench::new(&fast, &[]);
    let agreed = bench.webcam.agreed().unwrap();
    assert_eq!(agreed.rate_hz, 30.0);
    assert_eq!(agreed.notes.len(), 2, "{:?}", agreed.notes);
    assert!(
        agreed.notes[0].contains("30.00 instead of 60"),
        "{:?}",
        agreed.notes
    );
    assert!(agreed.notes[1].starts_with("gain"), "{:?}", agreed.notes);
    // Exposure by hand, of 8 ms; white balance no longer by itself.
    assert_eq!(bench.fake.control(0x9a_0901), Some(1));
    assert_eq!(bench.fake.control(0x9a_0902), Some(80));
    assert_eq!(bench.fake.control(0x98_090c), Some(0));
}

#[test]
fn rows_with_padding_are_unpacked() {
    let clock: Arc<VirtualClock> = Arc::new(VirtualClock::default());
    let fake = Fake::new(clock.clone());
    for (format, code, bytes) in [
        (Format::Yuyv, b"YUYV", 2 * 64 * 48),
        (Format::Nv12, b"NV12", 64 * 72),
        (Format::Rgb, b"RGB3", 3 * 64 * 48),
    ] {
        let deliver = |padding| {
            fake.offer(vec![Offered {
                code: u32::from_le_bytes(*code),
                width: 64,
                height: 48,
                rate_hz_max: 30,
                padding,
            }]);
            let mut settings = settings();
            settings.format = format;
            let (mut driver, mut webcam) =
                Webcam::parts(&settings, Box::new(fake.clone()), clock.clone()).unwrap();
            let mut picture = Picture::default();
            driver.turn();
            webcam.poll(&mut picture).unwrap().unwrap();
            picture.bytes
        };
        let (mut plain, mut padded) = (deliver(0), deliver(20));
        assert_eq!((plain.len(), padded.len()), (bytes, bytes));
        // They differ by the number of the picture: compare a pixel with the one below it.
        let shift = |bytes: &mut Vec<u8>| {
            let row = bytes.len() / 48;
            (bytes[20 * row + 20], bytes[21 * row + 20])
        };
        let (a, b) = (shift(&mut plain), shift(&mut padded));
        let step = |(above, below): (u8, u8)| (i32::from(below) - i32::from(above)).rem_euclid(190);
        assert_eq!(step(a), step(b));
    }
}

#[test]
fn settings_are_read_from_a_robot_file() {
    let text = "(device: \"usb-046d:0825-5A3B12\", width: 640, height: 480, rate_hz: 30, format: mjpeg, \
                exposure_us: value(8000), white_balance_k: hold)";
    let read: Settings = ron::from_str(text).unwrap();
    assert_eq!(read.exposure_us, Lock::Value(8_000));
    assert_eq!(read.white_balance_k, Lock::Hold);
    assert_eq!((read.gain, read.frozen_after), (Lock::Leave, 3));
    read.check().unwrap();
    assert!(
        ron::from_str::<Settings>("(device: \"a\", width: 1, height: 1, rate_hz: 1, exposer: auto)").is_err()
    );
}

#[test]
fn the_thread_ends_when_the_webcam_does_and_a_missing_camera_is_said_at_once() {
    let mut missing = settings();
    missing.device = "usb-0000:0000-NONE".to_owned();
    let error = Webcam::start(&missing, 0).unwrap_err();
    assert!(matches!(error, WebcamError::Find(_)), "{error}");
}
