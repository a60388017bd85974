//! The emergency stop's way to an arm whose firmware core runs on a thread of this program.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use devices::hosted::{HostedArm, Measured};
use devices::{Arm, Opening};
use robot::device::e_stop::Pressed;
use robot::device::{ArmState, DeviceError, JointBus, Joints, Motors, Signals, Stopped};
use robot::{Config, JointState};

/// Joints that stand still, and whose torque goes off when the test says so.
struct Stubborn {
    let_go: Arc<AtomicBool>,
}

impl Joints for Stubborn {
    fn joint_count(&self) -> usize {
        2
    }

    fn step(&mut self, _: &[f32], _: bool, _: f32) -> Result<(), DeviceError> {
        Ok(())
    }

    fn joints(&self) -> JointState {
        JointState {
            position_rad: robot::joint::zeros(2),
            velocity_rad_s: robot::joint::zeros(2),
        }
    }
}

impl Measured for Stubborn {
    fn is_known(&self, _: usize) -> bool {
        true
    }

    fn motors(&self) -> Motors {
        Motors::default()
    }

    fn has_let_go(&self) -> bool {
        self.let_go.load(Ordering::SeqCst)
    }

    fn may_hold(&self) -> bool {
        !self.has_let_go()
    }

    fn look(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn start(signals: &Signals, let_go: &Arc<AtomicBool>) -> HostedArm {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let arm = "    arm: feetech(port: \"bus\", servos: [(id: 1), (id: 2)]),\n    capture: (";
    let text = text.replace("    capture: (", arm);
    let config = Config::parse(Path::new("robot.ron"), text).expect("a sound robot file");
    let Ok(Arm::Feetech(settings)) = Arm::of(&config, None) else {
        panic!("another arm");
    };
    let opening = Opening {
        config: &config,
        signals,
    };
    let joints = Stubborn {
        let_go: Arc::clone(let_go),
    };
    HostedArm::start(joints, settings.hosted(&opening).expect("limits")).expect("a thread")
}

#[test]
fn an_emergency_stop_says_that_it_was_sent_until_the_motors_confirm_it() {
    const WAIT: Duration = Duration::from_millis(30);
    let (signals, let_go) = (Signals::default(), Arc::default());
    let arm = start(&signals, &let_go);
    let mut line = arm.e_stop_line().expect("a way").expect("there is one");
    assert_eq!(line.port(), "bus");
    assert!(!line.sends_by_itself(), "the core's thread does");
    // Each of six servos may have to be told and asked three times, 20 ms each.
    assert!(line.patience() >= Duration::from_millis(720));
    let begun = Instant::now();
    assert_eq!(line.press(WAIT).expect("no error"), Pressed::Sent(None));
    assert!(begun.elapsed() >= WAIT, "it listens for as long as it may");
    assert!(signals.e_stop.load(Ordering::SeqCst), "the core was told");
    let_go.store(true, Ordering::SeqCst);
    let pressed = line.press(Duration::from_secs(60)).expect("no error");
    assert_eq!(pressed, Pressed::Confirmed(Stopped::LetGo));
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "by its word, and not by the time"
    );
}

/// The host has stopped the arm and cleared that again: what the motors said then confirms nothing now.
#[test]
fn an_emergency_stop_is_not_confirmed_by_the_one_before() {
    let (signals, let_go) = (Signals::default(), Arc::new(AtomicBool::new(true)));
    let mut arm = start(&signals, &let_go);
    let mut line = arm.e_stop_line().expect("a way").expect("there is one");
    arm.handshake().expect("it answers");
    arm.send_e_stop().expect("it is taken");
    loop {
        match arm.poll().expect("it lives") {
            Some(report) if report.state == ArmState::EStopped => break,
            _ => std::thread::park_timeout(Duration::from_millis(1)),
        }
    }
    // As if it had been cleared, and led on.
    let_go.store(false, Ordering::SeqCst);
    assert_eq!(
        line.press(Duration::from_millis(30)).expect("no error"),
        Pressed::Sent(None)
    );
}

#[test]
fn an_emergency_stop_of_an_arm_that_nothing_drives_any_more_is_an_error() {
    let (signals, let_go) = (Signals::default(), Arc::default());
    let arm = start(&signals, &let_go);
    let mut line = arm.e_stop_line().expect("a way").expect("there is one");
    // It waits for the core's thread.
    drop(arm);
    let error = line.press(Duration::from_secs(60)).expect_err("nobody is there");
    assert!(error.to_string().contains("take its power away"), "{error}");
}
