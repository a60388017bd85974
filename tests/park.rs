//! An arm is laid down before its torque goes off, and only where nothing speaks against it.

use std::path::Path;
use std::sync::atomic::Ordering;

use armillary::simulation;
use controller::park::{ParkError, park};
use controller::session::{PolicyChoice, Session};
use episode::Reason;
use firmware_bridge::FirmwareState;
use firmware_bridge::faults::{Fault, Schedule};
use robot::config::Pipeline;
use robot::device::{LinkError, Signals};

use crate::live::{bridge, bridge_with_faults, connect};
use crate::patient::{PatientLink, patient};
use crate::tapped::{Tap, Tapped};

const POSE_RAD: [f32; 2] = [0.25, 0.9];

/// The shipped planar arm, that forgives the machine, with a pose in which it can lie.
fn session(dir: &Path) -> Session {
    let forgiving = crate::patient_session(dir, PolicyChoice::Hold, Pipeline::NextTick);
    let [shoulder, elbow] = POSE_RAD;
    let text = forgiving.config.text.replacen(
        "link: (",
        &format!("park: (pose_rad: [{shoulder:?}, {elbow:?}], speed_rad_s: 0.6),\n    link: ("),
        1,
    );
    let robot = dir.join("robot.ron");
    std::fs::write(&robot, text).expect("writes");
    simulation::session(&robot, None, PolicyChoice::Hold, Some(Pipeline::NextTick))
        .expect("a sound robot file")
}

/// A person asks for the end when so many set points have left.
struct Interrupting<'a> {
    signals: &'a Signals,
    after: Option<u32>,
    sent: u32,
}

impl Tap<PatientLink> for Interrupting<'_> {
    fn before_set_point(&mut self, _: &mut PatientLink) -> Result<(), LinkError> {
        self.sent += 1;
        if Some(self.sent) == self.after {
            self.signals.stop.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Lays the arm of `session` down. What came of it, how many set points were sent, and what the arm says afterwards.
fn laid_down(
    session: &Session,
    dir: &Path,
    signals: &Signals,
    after: Option<u32>,
) -> (Result<(), ParkError>, u32, firmware_bridge::Telemetry) {
    let (link, _camera) = connect(session, dir);
    let mut bus = Tapped {
        bus: patient(link),
        tap: Interrupting {
            signals,
            after,
            sent: 0,
        },
    };
    let how = session.config.park.as_ref().expect("the robot file has a pose");
    let result = park(&session.config, how, &mut bus, signals);
    let sent = bus.tap.sent;
    let link = &mut bus.bus.bus;
    loop {
        link.sync(2_000_000).expect("the arm answers");
        // What came before the answer is old.
        let _ = link.poll_telemetry().expect("an open port");
        let told = link.telemetry_since(0, 2_000_000).expect("telemetry");
        if told.state != FirmwareState::Stopping {
            return (result, sent, told);
        }
    }
}

#[test]
fn an_arm_is_let_go_in_its_pose() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(dir.path());
    let _bridge = bridge(&session, dir.path());
    // Twice: from where it boots, and from where it lies.
    for _ in 0..2 {
        let (result, _, told) = laid_down(&session, dir.path(), &Signals::default(), None);
        result.expect("the way is free");
        assert_eq!(told.state, FirmwareState::Released);
        for (rad, pose) in told.position_rad.iter().zip(POSE_RAD) {
            assert!((rad - pose).abs() < 0.05, "{:?}", told.position_rad);
        }
    }
}

#[test]
fn an_arm_that_is_held_up_is_stopped_and_keeps_its_torque() {
    #[derive(Debug)]
    struct Blocked;
    impl Schedule for Blocked {
        fn wrong(&mut self, _: u64, _: FirmwareState) -> &[Fault] {
            &[Fault::ArmBlocked]
        }
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(dir.path());
    let _bridge = bridge_with_faults(&session, dir.path(), Box::new(Blocked));
    let (result, _, told) = laid_down(&session, dir.path(), &Signals::default(), None);
    assert!(
        matches!(
            result,
            Err(ParkError::Stopped(Reason::ArmStopped) | ParkError::NotThere { .. })
        ),
        "{result:?}"
    );
    assert_eq!(told.state, FirmwareState::Held);
}

#[test]
fn a_person_ends_the_way_and_the_arm_keeps_its_torque() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(dir.path());
    let _bridge = bridge(&session, dir.path());
    let (result, sent, told) = laid_down(&session, dir.path(), &Signals::default(), Some(2));
    assert!(
        matches!(result, Err(ParkError::Stopped(Reason::Operator))),
        "{result:?}"
    );
    assert_eq!((sent, told.state), (2, FirmwareState::Held));
}

#[test]
fn nothing_is_sent_once_the_emergency_stop_is_asked_for() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(dir.path());
    let _bridge = bridge(&session, dir.path());
    let signals = Signals::default();
    signals.e_stop.store(true, Ordering::SeqCst);
    let (result, sent, told) = laid_down(&session, dir.path(), &signals, None);
    assert!(
        matches!(result, Err(ParkError::Arm(_) | ParkError::Stopped(Reason::EStop))),
        "{result:?}"
    );
    assert_eq!((sent, told.state), (0, FirmwareState::Idle));
}
