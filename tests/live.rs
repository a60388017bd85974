//! An arm on a real pty, frames on a real socket, the controller in real time. What is asserted is what was decided
//! and logged, never how long it took.

use armillary::simulation::Simulated as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use controller::capture::Sight;
use controller::live;
use controller::lockstep::{EpisodeRunError, Labels};
use controller::replay::Computed;
use controller::session::{PolicyChoice, Session};
use devices::{FrameSocket, SerialLink, SerialOptions};
use episode::{PlanSource, Reason};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::faults::Schedule;
use firmware_bridge::{BridgeMode, BridgeOptions, Ended, FirmwareState, SimulatorBridge, StopReason};
use robot::config::Pipeline;
use robot::device::e_stop::press_until_confirmed;
use robot::device::{ArmReport, DeviceInfo, JointBus, LinkError, Signals, Stopped};
use simulator::Simulator;

use crate::patient::{PatientLink, patient};
use crate::tapped::{Tap, Tapped};
use crate::{patient_session, patient_session_of_side};

pub(crate) struct Bridge {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Ended>>,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn bridge(session: &Session, dir: &Path) -> Bridge {
    serve(session, dir, |bridge| bridge)
}

/// With what goes wrong on purpose.
pub(crate) fn bridge_with_faults(session: &Session, dir: &Path, schedule: Box<dyn Schedule>) -> Bridge {
    serve(session, dir, |bridge| bridge.with_faults(schedule))
}

fn serve(
    session: &Session,
    dir: &Path,
    change: impl FnOnce(SimulatorBridge<Simulator>) -> SimulatorBridge<Simulator>,
) -> Bridge {
    let options = BridgeOptions {
        arm: ArmOptions::from_config(&session.config).expect("limits"),
        mode: BridgeMode::RealTime,
        frame_side: session.config.frame_side,
        serial_path: Some(dir.join("arm")),
        frame_path: dir.join("camera"),
        watch_parent: false,
    };
    let plant = Simulator::new(session.task().expect("task")).expect("simulator");
    let bridge = change(SimulatorBridge::new(plant, options).expect("bridge"));
    let stop = Arc::new(AtomicBool::new(false));
    let its = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("bridge".to_owned())
        .spawn(move || bridge.serve(its).expect("serves"))
        .expect("thread");
    Bridge {
        stop,
        thread: Some(thread),
    }
}

pub(crate) fn connect(session: &Session, dir: &Path) -> (SerialLink, FrameSocket) {
    let bus = SerialLink::open(&SerialOptions {
        port: dir.join("arm").display().to_string(),
        baud: session.config.baud,
        joints: session.config.joint_count(),
        handshake_timeout: Duration::from_secs(5),
    })
    .expect("port opens");
    (
        bus,
        FrameSocket::connect(&dir.join("camera"), Duration::from_secs(5)).expect("camera"),
    )
}

fn run(session: &Session, dir: &Path, ticks: u32, interrupted: bool) -> episode::Episode {
    let _bridge = bridge(session, dir);
    let (bus, camera) = connect(session, dir);
    let mut bus = patient(bus);
    let signals = Signals::default();
    signals.stop.store(interrupted, Ordering::SeqCst);
    let log = drive(session, dir, &mut bus, camera, ticks, &signals).expect("the episode runs");
    // An arm that was never commanded still holds where the episode placed it.
    let reason = if interrupted {
        StopReason::Placed
    } else {
        StopReason::HostStop
    };
    assert_holds(&mut bus.bus, reason);
    log
}

#[test]
fn an_arm_is_driven_and_recorded_by_pictures_of_another_side() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = patient_session_of_side(dir.path(), 96, PolicyChoice::Random, Pipeline::NextTick);
    let log = run(&session, dir.path(), 6, false);
    assert_eq!(log.frame_side(), Some(96));
    let reproduced = controller::replay::replay(&dir.path().join("episode.mcap"), None, Computed::default());
    let left = log
        .ticks
        .iter()
        .filter(|row| row.guard.reason != Reason::EpisodeEnd);
    assert_eq!(reproduced.expect("replays"), left.count() as u32);
}

/// The loop always ends with a controlled stop: the arm must be holding, for this reason.
fn assert_holds(bus: &mut SerialLink, reason: StopReason) {
    loop {
        bus.sync(2_000_000).expect("the arm answers");
        // What came before the answer is old.
        let _ = bus.poll_telemetry().expect("an open port");
        let told = bus.telemetry_since(0, 2_000_000).expect("telemetry");
        if told.state == FirmwareState::Held {
            assert_eq!(told.stop_reason, reason);
            return;
        }
        assert_eq!(told.state, FirmwareState::Stopping);
    }
}

fn drive(
    session: &Session,
    dir: &Path,
    bus: &mut dyn JointBus,
    camera: FrameSocket,
    ticks: u32,
    signals: &Signals,
) -> Result<episode::Episode, EpisodeRunError> {
    let (mut controller, encoder) = session.live_controller().expect("controller");
    let log = dir.join("episode.mcap");
    let attachments = session.attachments();
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 5, 1),
        attachments: &attachments,
    };
    let (camera, task) = camera.split();
    let sight = Sight::new(
        &session.config,
        Box::new(camera),
        Some(Box::new(task)),
        encoder,
        session.bundle.as_ref(),
    )
    .expect("a view");
    live::run(
        &session.config,
        &mut controller,
        bus,
        sight,
        session.embedding(),
        ticks,
        &labels,
        signals,
    )?;
    Ok(episode::read_episode(&log).expect("the log is whole"))
}

#[test]
fn an_episode_over_a_pty_is_logged_whole_and_replays() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = patient_session(
        dir.path(),
        PolicyChoice::Planner { noise: 0.0 },
        Pipeline::NextTick,
    );
    let log = run(&session, dir.path(), 15, false);
    assert!(log.complete);
    assert_eq!(log.ticks.last().map(|row| row.tick), Some(15));
    assert_eq!(
        log.ticks.last().map(|row| row.guard.reason),
        Some(Reason::EpisodeEnd)
    );
    assert!(log.ticks.iter().any(|row| row.capture.fresh), "frames arrive");
    assert!(log.ticks.iter().any(|row| row.actuate.sent), "commands leave");
    for row in &log.ticks {
        let joints = [&row.capture.position_rad, &row.actuate.set_point_rad];
        assert!(
            joints.iter().all(|joints| joints.len() == 2),
            "every row tells of every joint: {row:?}"
        );
    }
    // Whatever the machine's pauses did to timing, the controller's decisions follow from what it logged.
    let reproduced = controller::replay::replay(
        &dir.path().join("episode.mcap"),
        Some(&crate::bundle()),
        Computed::default(),
    )
    .expect("replays");
    assert_eq!(reproduced as usize, log.ticks.len() - 1);
}

#[test]
fn an_interrupt_stops_the_arm_and_keeps_the_log() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = patient_session(dir.path(), PolicyChoice::Random, Pipeline::NextTick);
    let log = run(&session, dir.path(), 50, true);
    assert!(log.complete);
    let last = log.ticks.last().expect("a tick");
    assert_eq!(
        (last.tick, last.guard.reason, last.plan.source),
        (0, Reason::Operator, PlanSource::Stop)
    );
    assert!(last.guard.action.iter().all(|action| *action == 0.0));
}

/// What goes wrong, or is asked for, in the middle of an episode.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mishap {
    /// Somebody hits the emergency stop.
    EStop,
    /// The arm is told to let go by someone else.
    Release,
    /// The arm is told to stop by someone else.
    Stop,
    /// The arm falls silent, its port stays open.
    Silence,
    /// A person asks for the end.
    Interrupt,
    /// A person presses the emergency stop of the program that drives the arm.
    EStopKey,
    /// The same, while the arm, which has answered, does not say yet where it is.
    EStopKeyAtTheStart,
    /// Arm and camera vanish together.
    Unplugged,
}

/// A mishap that comes with the fifth command.
struct Coming {
    mishap: Mishap,
    commands: u32,
    signals: Signals,
    bridge: Option<Bridge>,
}

/// The real link, through which a mishap comes.
type Mishappen = Tapped<PatientLink, Coming>;

fn mishappen(link: SerialLink, mishap: Mishap, bridge: Bridge) -> Mishappen {
    Tapped {
        bus: patient(link),
        tap: Coming {
            mishap,
            commands: 0,
            signals: Signals::default(),
            bridge: Some(bridge),
        },
    }
}

/// The firmware's state, as it is told after everything that was sent.
fn state(bus: &mut Mishappen) -> FirmwareState {
    let link = &mut bus.bus.bus;
    link.sync(2_000_000).expect("the arm answers");
    // What came before the answer is old.
    let _ = link.poll_telemetry().expect("an open port");
    link.telemetry_since(0, 2_000_000).expect("telemetry").state
}

impl Tap<PatientLink> for Coming {
    fn handshake(&mut self, bus: &mut PatientLink) -> Result<DeviceInfo, LinkError> {
        let info = bus.handshake()?;
        if self.mishap == Mishap::EStopKeyAtTheStart {
            self.signals.e_stop.store(true, Ordering::SeqCst);
        }
        Ok(info)
    }

    fn before_set_point(&mut self, bus: &mut PatientLink) -> Result<(), LinkError> {
        self.commands += 1;
        if self.commands == 5 {
            match self.mishap {
                Mishap::EStop => bus.send_e_stop()?,
                Mishap::Release => bus.send_release()?,
                Mishap::Stop => bus.send_stop()?,
                Mishap::Silence => {}
                Mishap::Interrupt => self.signals.stop.store(true, Ordering::SeqCst),
                Mishap::EStopKey => self.signals.e_stop.store(true, Ordering::SeqCst),
                Mishap::EStopKeyAtTheStart => {}
                Mishap::Unplugged => self.bridge = None,
            }
        }
        Ok(())
    }

    fn poll(&mut self, bus: &mut PatientLink) -> Result<Option<ArmReport>, LinkError> {
        if self.mishap == Mishap::Silence && self.commands >= 5 {
            bus.bus.poll()?;
            return Ok(None);
        }
        bus.poll()
    }
}

#[test]
fn whatever_ends_an_episode_has_its_own_reason_and_the_log_tells_it() {
    for (mishap, reasons) in [
        (Mishap::EStop, &[Reason::EStop][..]),
        // Until it has come to rest it is an arm that slows down.
        (Mishap::Release, &[Reason::ArmStopped, Reason::SelfStopped]),
        (Mishap::Stop, &[Reason::SelfStopped]),
        (Mishap::Silence, &[Reason::LinkLost]),
        (Mishap::Interrupt, &[Reason::Operator]),
        (Mishap::EStopKey, &[Reason::EStop]),
        (Mishap::Unplugged, &[Reason::LinkLost, Reason::CameraLost]),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let session = patient_session(dir.path(), PolicyChoice::Random, Pipeline::NextTick);
        let bridge = bridge(&session, dir.path());
        let (link, camera) = connect(&session, dir.path());
        let mut bus = mishappen(link, mishap, bridge);
        let signals = bus.tap.signals.clone();
        let result = drive(&session, dir.path(), &mut bus, camera, 100, &signals);
        // An arm that is gone is an error that names its port or socket; its log ends like any other.
        match (&result, mishap) {
            (Err(error), Mishap::Unplugged) => {
                let dir = dir.path().display().to_string();
                assert!(error.to_string().contains(&dir), "{error}");
            }
            (result, mishap) => assert!(
                result.is_ok() && mishap != Mishap::Unplugged,
                "{mishap:?}: {result:?}"
            ),
        }
        let path = dir.path().join("episode.mcap");
        let log = episode::read_episode(&path).expect("the log is whole");
        let last = log.ticks.last().expect("a tick");
        assert!(
            reasons.contains(&last.guard.reason),
            "{mishap:?}: {:?}",
            last.guard.reason
        );
        assert_eq!(last.plan.source, PlanSource::Stop, "{mishap:?}");
        assert!((4..100).contains(&last.tick), "{mishap:?}: {}", last.tick);
        assert!(log.complete, "{mishap:?}");
        if mishap == Mishap::Interrupt {
            assert!(
                !last.actuate.sent,
                "a stop comes before the action decided earlier"
            );
            assert_holds(&mut bus.bus.bus, StopReason::HostStop);
        }
        if mishap == Mishap::EStopKey {
            assert!(!last.actuate.sent);
        }
        // The stop is decided from what the log holds: it replays.
        let replayed = controller::replay::replay(&path, None, Computed::default()).expect("replays");
        assert_eq!(replayed as usize, log.ticks.len(), "{mishap:?}");
    }
}

/// The emergency stop has a way of its own to the arm: the loop drives nothing from then on, and sends nothing.
#[test]
fn an_episode_in_which_the_emergency_stop_is_asked_for_before_it_begins_does_not_begin() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = patient_session(dir.path(), PolicyChoice::Random, Pipeline::NextTick);
    let bridge = bridge(&session, dir.path());
    let (link, camera) = connect(&session, dir.path());
    let mut bus = mishappen(link, Mishap::EStopKeyAtTheStart, bridge);
    let mut line = bus.bus.bus.e_stop_line().expect("an open port").expect("a way");
    let signals = bus.tap.signals.clone();
    let error = drive(&session, dir.path(), &mut bus, camera, 100, &signals).expect_err("it does not begin");
    assert!(
        error.to_string().contains("the emergency stop was asked for"),
        "{error}"
    );
    assert_eq!(bus.tap.commands, 0);
    assert!(!dir.path().join("episode.mcap").exists(), "nothing was driven");
    // The other way reaches the arm whatever this one does.
    assert_eq!(
        press_until_confirmed(&mut *line, None).expect("confirmed"),
        Stopped::Latched
    );
    assert_eq!(state(&mut bus), FirmwareState::EStopped);
}
