//! The twin behind a real pseudo-terminal, driven by [`SerialLink`] as an arm on a cable is. The board's time is virtual: it passes when a
//! test says so, however busy the machine is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use board::arm::ARM;
use devices::{SerialLink, SerialOptions};
use firmware_bridge::{BridgeError, FirmwareState, StopReason, Telemetry};
use robot::device::{JointBus, LinkError};
use robot::{Config, VirtualClock};
use twin::{Body, Twin, WATCHDOG_US, differences};

const PERIOD_US: u64 = 100_000;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    link: SerialLink,
    body: Body,
    clock: Arc<VirtualClock>,
    served_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), BridgeError>>>,
    _folder: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let served = thread.join();
            if !std::thread::panicking() {
                served.unwrap().unwrap();
            }
        }
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("arm");
        let body = Body::new(&ARM);
        let clock = Arc::new(VirtualClock::default());
        let twin = Twin::new(ARM, body.clone(), &port, Arc::clone(&clock) as _)
            .unwrap()
            .unwrap();
        let (served_us, stop) = (twin.served_us(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("twin".to_owned())
            .spawn(move || twin.serve(&stopped))
            .unwrap();
        let link = SerialLink::open(&SerialOptions {
            port: port.display().to_string(),
            baud: 115_200,
            joints: ARM.joints.len(),
            handshake_timeout: PATIENCE,
        })
        .unwrap()
        // The board's time is virtual.
        .with_waiting_world();
        let mut bench = Self {
            link,
            body,
            clock,
            served_us,
            stop,
            thread: Some(thread),
            _folder: folder,
        };
        // The first measurement.
        bench.pass_us(10_000);
        bench
    }

    /// Lets the board's time pass, and waits until the board has done what belongs to it.
    fn pass_us(&mut self, us: u64) {
        self.clock.advance_ns(us * 1_000);
        let until_us = robot::Clock::now_ns(&*self.clock) / 1_000;
        self.until("the board keeps time", |bench| {
            bench.served_us.load(Ordering::SeqCst) >= until_us
        });
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            std::thread::yield_now();
        }
    }

    /// What the board reports after so many microseconds more; the link's view of its clock with it.
    fn telemetry_after_us(&mut self, us: u64) -> Telemetry {
        self.newest_after_us(us, SerialLink::poll_telemetry)
    }

    /// What the board says after so many microseconds more, whatever session it belongs to.
    fn unchecked_after_us(&mut self, us: u64) -> Telemetry {
        self.newest_after_us(us, SerialLink::poll_unchecked)
    }

    fn newest_after_us(
        &mut self,
        us: u64,
        poll: fn(&mut SerialLink) -> Result<Option<Telemetry>, LinkError>,
    ) -> Telemetry {
        while poll(&mut self.link).unwrap().is_some() {}
        // Two ticks at least, so that there is some.
        self.pass_us(us.max(10_000));
        let mut newest = None;
        self.until("telemetry", |bench| {
            while let Some(telemetry) = poll(&mut bench.link).unwrap() {
                newest = Some(telemetry);
            }
            newest.is_some()
        });
        newest.unwrap()
    }

    /// Asks for `set_point_rad` over one period, and lets the period pass.
    fn period(&mut self, set_point_rad: &[f32]) -> Telemetry {
        self.link
            .send_set_point(set_point_rad, PERIOD_US as u32, 3 * PERIOD_US as u32)
            .unwrap();
        self.link.sync(PATIENCE.as_micros() as u64).unwrap();
        self.telemetry_after_us(PERIOD_US)
    }

    /// A handshake, then so many periods of motion; returns what the board says in the midst of it.
    fn in_motion(&mut self, periods: u32) -> Telemetry {
        self.link.handshake().unwrap();
        let mut telemetry = self.telemetry_after_us(0);
        let mut target_rad = telemetry.position_rad.clone();
        for _ in 0..periods {
            for rad in &mut target_rad {
                *rad -= 0.04;
            }
            telemetry = self.period(&target_rad);
            assert_eq!(telemetry.state, FirmwareState::Active, "{telemetry:?}");
        }
        telemetry
    }

    /// Nothing that a host sends without a new handshake moves the arm.
    fn refuses_to_move(&mut self) {
        let supply_count = self.body.supply_count();
        let here: Vec<f32> = self.body.position_rad();
        for _ in 0..3 {
            let _ = self
                .link
                .send_set_point(&here, PERIOD_US as u32, 10 * PERIOD_US as u32);
            self.unchecked_after_us(PERIOD_US);
            assert!(!self.body.supply_on());
        }
        assert_eq!(self.body.supply_count(), supply_count);
    }
}

#[test]
fn a_handshake_comes_first_and_then_set_points_are_followed() {
    let mut bench = Bench::new();
    assert!(!bench.body.supply_on());
    let info = bench.link.handshake().unwrap();
    assert_eq!((info.joints, info.firmware_version), (3, ARM.version));
    let start = bench.telemetry_after_us(0);
    assert_eq!(start.state, FirmwareState::Idle);
    let sinking = bench.body.position_rad();
    let mut target_rad = start.position_rad.clone();
    for step in 0..10 {
        for (joint, rad) in target_rad.iter_mut().enumerate() {
            *rad += if joint == 1 { -0.05 } else { 0.05 };
        }
        let telemetry = bench.period(&target_rad);
        assert_eq!(telemetry.state, FirmwareState::Active, "step {step}");
        assert!(bench.body.supply_on());
        for (joint, target) in target_rad.iter().enumerate() {
            // The counts of a wire are 1.1 mrad apart, and pulses 1.6 mrad.
            assert!(
                (bench.body.position_rad()[joint] - target).abs() < 4e-3,
                "step {step}: {telemetry:?}"
            );
            assert!(
                (telemetry.position_rad[joint] - target).abs() < 5e-3,
                "step {step}: {telemetry:?}"
            );
        }
    }
    assert!((bench.body.position_rad()[0] - sinking[0]).abs() > 0.4);
}

#[test]
fn silence_stops_the_arm_and_then_lets_go_and_a_new_handshake_takes_it_up_again() {
    let mut bench = Bench::new();
    bench.in_motion(3);
    let telemetry = bench.telemetry_after_us(u64::from(ARM.watchdog_us) + 100_000);
    assert_eq!(
        (telemetry.state, telemetry.stop_reason),
        (FirmwareState::Held, StopReason::Watchdog)
    );
    assert!(bench.body.supply_on());
    let held_rad = bench.body.position_rad();
    let telemetry = bench.telemetry_after_us(u64::from(ARM.torque_grace_us) / 2);
    assert_eq!(telemetry.state, FirmwareState::Held);
    assert_eq!(bench.body.position_rad(), held_rad, "held");
    let telemetry = bench.telemetry_after_us(u64::from(ARM.torque_grace_us));
    assert_eq!(telemetry.state, FirmwareState::Released);
    assert!(!bench.body.supply_on());
    assert!(
        bench.body.position_rad()[0] < held_rad[0],
        "nothing holds it any more"
    );
    bench.refuses_to_move();
    bench.in_motion(2);
    assert!(bench.body.supply_on());
}

#[test]
fn an_emergency_stop_latches_until_a_person_clears_it() {
    let mut bench = Bench::new();
    bench.in_motion(2);
    bench.link.send_e_stop().unwrap();
    bench.link.sync(PATIENCE.as_micros() as u64).unwrap();
    assert!(!bench.body.supply_on(), "no tick has passed");
    bench.link.handshake().unwrap();
    bench.refuses_to_move();
    assert_eq!(bench.telemetry_after_us(0).state, FirmwareState::EStopped);
    bench.link.send_clear_e_stop().unwrap();
    bench.refuses_to_move();
    bench.in_motion(2);
    assert!(bench.body.supply_on());
}

#[test]
fn the_button_on_the_board_stops_without_a_host() {
    let mut bench = Bench::new();
    bench.in_motion(2);
    bench.body.press_stop(true);
    bench.pass_us(5_000);
    assert!(!bench.body.supply_on());
    bench.link.send_clear_e_stop().unwrap();
    bench.unchecked_after_us(0);
    bench.link.handshake().unwrap();
    assert_eq!(
        bench.telemetry_after_us(0).state,
        FirmwareState::EStopped,
        "still pressed"
    );
    bench.body.press_stop(false);
    bench.telemetry_after_us(0);
    bench.link.send_clear_e_stop().unwrap();
    bench.in_motion(2);
}

#[test]
fn a_board_that_loses_its_power_in_motion_lets_go_and_needs_a_new_handshake() {
    let mut bench = Bench::new();
    let before = bench.in_motion(3);
    assert!(bench.body.supply_on());
    bench.body.power_cycle();
    bench.pass_us(5_000);
    assert!(!bench.body.supply_on());
    bench.until("a second boot", |bench| bench.body.boots() == 2);
    let telemetry = bench.unchecked_after_us(50_000);
    assert_eq!(telemetry.state, FirmwareState::Idle);
    assert_eq!(
        bench.link.poll_telemetry().unwrap(),
        None,
        "of another boot: no report"
    );
    assert!(bench.link.refused_reports().session > 0);
    assert!(
        telemetry.device_time_us < before.device_time_us,
        "its clock began anew"
    );
    bench.refuses_to_move();
    assert!(bench.unchecked_after_us(0).rejected_session > 0);
    bench.in_motion(3);
    assert!(bench.body.supply_on());
}

#[test]
fn a_program_that_hangs_is_reset_and_stays_stopped_until_a_person_clears_it() {
    let mut bench = Bench::new();
    bench.in_motion(3);
    bench.body.hang();
    bench.pass_us(WATCHDOG_US / 2);
    assert!(bench.body.supply_on(), "nothing has been noticed yet");
    bench.pass_us(WATCHDOG_US);
    assert!(!bench.body.supply_on());
    bench.until("a second boot", |bench| bench.body.boots() == 2);
    bench.link.handshake().unwrap();
    bench.refuses_to_move();
    assert_eq!(bench.telemetry_after_us(0).state, FirmwareState::EStopped);
    bench.link.send_clear_e_stop().unwrap();
    bench.in_motion(2);
}

#[test]
fn a_latched_emergency_stop_ends_with_a_loss_of_power() {
    let mut bench = Bench::new();
    bench.in_motion(1);
    bench.link.send_e_stop().unwrap();
    bench.link.sync(PATIENCE.as_micros() as u64).unwrap();
    bench.body.power_cycle();
    bench.pass_us(5_000);
    bench.until("a second boot", |bench| bench.body.boots() == 2);
    assert_eq!(bench.unchecked_after_us(0).state, FirmwareState::Idle);
    bench.refuses_to_move();
}

#[test]
fn a_wire_that_breaks_shows_as_no_number() {
    let mut bench = Bench::new();
    bench.link.handshake().unwrap();
    bench.body.break_wire(1, true);
    let telemetry = bench.telemetry_after_us(0);
    assert!(telemetry.position_rad[1].is_nan());
    assert!(telemetry.position_rad[0].is_finite());
    bench.refuses_to_move();
}

#[test]
fn the_shipped_robot_file_fits_the_arm_that_is_built_in_and_others_are_told_what_to_change() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../configs/sim-arm.ron");
    assert_eq!(
        differences(&ARM, &Config::load(&path).unwrap()),
        Vec::<String>::new()
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (from, to, words) in [
        ("(-1.5, 1.5)", "(-1.7, 1.5)", "joint yaw: position_rad -1.7"),
        (
            "velocity_max_rad_s: 0.8",
            "velocity_max_rad_s: 0.9",
            "joint yaw: velocity_max_rad_s 0.9",
        ),
        (
            "velocity_max_rad_s: 0.8",
            "velocity_max_rad_s: 0.7",
            "joint yaw: the firmware allows 0.1000 more than velocity_max_rad_s",
        ),
        (
            "acceleration_max_rad_s2: 10.0",
            "acceleration_max_rad_s2: 9.0",
            "joint yaw: the firmware allows 1.0000 more than acceleration_max_rad_s2",
        ),
        ("(0.1, 2.6)", "(0.1, 2.5)", "more than position_rad (upper end)"),
        ("(0.1, 2.6)", "(0.3, 2.6)", "more than position_rad (lower end)"),
        ("\"yaw\"", "\"turn\"", "joint turn: is called yaw in the firmware"),
        (
            "torque_grace_s: 1.0",
            "torque_grace_s: 2.0",
            "torque_grace_us in the firmware's arm.rs to 2000000",
        ),
        (
            "watchdog_periods: 2.5",
            "watchdog_periods: 2.0",
            "watchdog_us in the firmware's arm.rs to 200000",
        ),
        ("period_s: 0.1", "period_s: 0.2", "commands come every 0.2 s"),
    ] {
        assert!(text.contains(from), "{from}");
        let other = folder.path().join("robot.ron");
        std::fs::write(&other, text.replacen(from, to, 1)).unwrap();
        let found = differences(&ARM, &Config::load(&other).unwrap());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{found:?}");
    }
    let two = path.with_file_name("sim-planar.ron");
    let found = differences(&ARM, &Config::load(&two).unwrap());
    assert!(
        found[0].starts_with("joints: the robot file has 2, the firmware 3"),
        "{found:?}"
    );
}
