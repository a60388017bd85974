//! The live loop on an arm of servos: emulated at the level of registers behind a pseudo-terminal, with the firmware core on a thread of this
//! program.

use std::path::Path;

use controller::capture::Sight;
use controller::live;
use controller::lockstep::{Labels, Outcome};
use controller::session::{PolicyChoice, Session};
use devices::emulation::{EmulatedBus, EmulatedServo, serve};
use devices::feetech::Feetech;
use devices::{Arm, Opening};
use episode::Reason;
use robot::config::Pipeline;
use robot::device::{
    ArmState, DeviceError, FrameSource, FrameStamp, JointBus, Picture, PixelFormat, Signals,
};
use robot::{Clock, Config, SystemClock};

/// A camera that sees another grey every time.
struct Grey(u64);

impl FrameSource for Grey {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        self.0 += 1;
        into.fill(80, 60, PixelFormat::Rgb8, &[self.0 as u8; 3 * 80 * 60]);
        Ok(Some(FrameStamp {
            seq: self.0,
            age_ns: 0,
        }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some((80, 60))
    }
}

/// The planar arm with two servos at `port`, that forgives a machine that is busy: an exchange may take 140 ms.
fn config(port: &Path) -> Config {
    let text = std::fs::read_to_string(crate::root().join("configs/sim-planar.ron")).expect("robot file");
    let mut text = text;
    for (from, to) in [
        ("period_s: 0.1", "period_s: 0.5"),
        ("max_age_s: 0.08, gap_ticks: 5", "max_age_s: 10.0, gap_ticks: 20"),
        (
            "watchdog_periods: 2.5, torque_grace_s: 1.0",
            "watchdog_periods: 20.0, torque_grace_s: 20.0",
        ),
        ("frozen_ticks: 10", "frozen_ticks: 20"),
        (
            "track_max_rad: 0.4, track_ticks: 10",
            "track_max_rad: 1.5, track_ticks: 20",
        ),
    ] {
        assert!(text.contains(from), "no {from}");
        text = text.replace(from, to);
    }
    let arm = format!(
        "    arm: feetech(port: {port:?}, servos: [(id: 1), (id: 2)], rate_hz: 5.0, rest_rad: [0.0, 0.3]),\n    capture: ("
    );
    let text = text.replacen("    capture: (", &arm, 1);
    Config::parse(Path::new("servos.ron"), text).expect("a sound robot file")
}

/// Eight periods of random actions.
fn run(config: &Config, dir: &Path) -> (Box<dyn JointBus>, Outcome) {
    let session = Session::of(
        config.clone(),
        None,
        PolicyChoice::Random,
        Some(Pipeline::NextTick),
    )
    .expect("sound");
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let signals = Signals::default();
    let mut arm = Arm::of(config, None).expect("named");
    // On a machine that is busy an answer may come after its time: opening moves nothing, and is tried again.
    let mut bus = (0..20)
        .find_map(|_| {
            let opening = Opening {
                config,
                signals: &signals,
            };
            arm.open(&opening).ok()
        })
        .expect("the servos answer");
    let log = dir.join("episode.mcap");
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 3, 1),
        attachments: &session.attachments(),
    };
    let sight = Sight::new(config, Box::new(Grey(0)), None, encoder, None).expect("a view");
    let (outcome, _) = live::run(config, &mut controller, &mut *bus, sight, 0, 8, &labels, &signals)
        .expect("the episode runs");
    (bus, outcome)
}

#[test]
fn an_arm_of_emulated_servos_is_driven_recorded_and_laid_down() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let servos = [1, 2].map(|id| EmulatedServo::<Feetech>::new(id, 2048)).into();
    let end = serve(EmulatedBus::new(1_000_000, servos)).expect("a terminal");
    let config = config(end.path());
    let (bus, outcome) = run(&config, dir.path());
    assert_eq!(outcome.stopped, None);
    let log = outcome.log;
    let log = episode::read_episode(&log).expect("the log is whole");
    assert!(log.complete && log.info.picture_sha256.is_some());
    let followed = log
        .ticks
        .iter()
        .filter(|row| row.capture.arm == ArmState::Active)
        .count();
    assert!(followed > 0, "the arm never moved");
    let first = &log.ticks[0].capture.position_rad;
    let moved = |row: &episode::TickRecord| {
        row.capture
            .position_rad
            .iter()
            .zip(first)
            .any(|(now, first)| (now - first).abs() > 0.05)
    };
    assert!(log.ticks.iter().any(moved), "the servos never moved");
    assert!(
        log.ticks.iter().all(|row| row.capture.reward.is_none()),
        "nobody gave a reward"
    );

    // Lets the arm lie down; it takes as long as the way is.
    let begun = SystemClock::default();
    drop(bus);
    assert!(begun.now_ns() > 500_000_000, "it holds before it is led anywhere");
    let mut bus = end.finish().expect("served until now");
    for (id, rest_rad) in [(1, 0.0), (2, 0.3)] {
        let servo = bus.servo(id);
        assert!(!servo.torque_on(), "servo {id} was let go");
        let ticks = 2048.0 + rest_rad / std::f64::consts::TAU * 4096.0;
        let there = servo.motor().position_ticks;
        assert!(
            (there - ticks).abs() < 100.0,
            "servo {id} lies at {there}, not at {ticks}"
        );
    }
}

#[test]
fn a_servo_that_is_too_hot_stops_the_arm_which_says_so() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut servos = [1, 2].map(|id| EmulatedServo::<Feetech>::new(id, 2048));
    servos[1].faults.temperature_c = Some(71.0);
    let end = serve(EmulatedBus::new(1_000_000, servos.into())).expect("a terminal");
    let config = config(end.path());
    let (bus, outcome) = run(&config, dir.path());
    assert_eq!(outcome.stopped, Some(Reason::OverTemperature));
    let problem = outcome.problem.expect("the servo says why");
    for part in ["elbow", "servo 2", "71.0 C"] {
        assert!(problem.contains(part), "{problem}");
    }
    let log = episode::read_episode(&outcome.log).expect("the log is whole");
    let last = log.ticks.last().expect("rows");
    assert_eq!(last.guard.reason, Reason::OverTemperature);
    assert_eq!(last.capture.motors.joints[1].temperature_c, Some(71.0));
    drop(bus);
}
