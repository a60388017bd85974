//! An arm on a real pty, frames on a real socket, the controller in real time. What is asserted is what was decided
//! and logged, never how long it took.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use controller::live::{self, Rig};
use controller::lockstep::Labels;
use controller::session::{PolicyChoice, Session};
use episode::{PlanSource, Reason};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{
    BridgeMode, BridgeOptions, Ended, FrameSocket, JointBus, SerialLink, SerialOptions, SimulatorBridge,
};
use robot::config::Pipeline;
use simulator::Simulator;

use crate::session;

struct Bridge {
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

fn bridge(session: &Session, dir: &Path) -> Bridge {
    let options = BridgeOptions {
        arm: ArmOptions::from_config(&session.config).expect("limits"),
        mode: BridgeMode::RealTime,
        serial_path: dir.join("arm"),
        frame_path: dir.join("camera"),
        watch_parent: false,
    };
    let plant = Simulator::new(session.task().expect("task")).expect("simulator");
    let bridge = SimulatorBridge::new(plant, options).expect("bridge");
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

fn connect(session: &Session, dir: &Path) -> (SerialLink, FrameSocket) {
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
    let (mut bus, camera) = connect(session, dir);
    let (mut controller, encoder) = session.controller().expect("controller");
    let log = dir.join("episode.mcap");
    let attachments = session.attachments();
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 5, 1),
        attachments: &attachments,
    };
    let rig = Rig {
        bus: &mut bus,
        camera,
        encoder,
    };
    let interrupt = Arc::new(AtomicBool::new(interrupted));
    live::run(
        &session.config,
        &mut controller,
        rig,
        session.embedding(),
        ticks,
        &labels,
        &interrupt,
    )
    .expect("the episode runs");
    // The loop always ends with a controlled stop: the arm must not be waiting for more.
    let _ = bus.poll();
    episode::read_episode(&log).expect("the log is whole")
}

#[test]
fn an_episode_over_a_pty_is_logged_whole_and_replays() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Planner { noise: 0.0 }, Pipeline::NextTick);
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
    let reproduced = controller::replay::replay(&dir.path().join("episode.mcap"), Some(&crate::bundle()))
        .expect("replays");
    assert_eq!(reproduced as usize, log.ticks.len() - 1);
}

#[test]
fn an_interrupt_stops_the_arm_and_keeps_the_log() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Random, Pipeline::NextTick);
    let log = run(&session, dir.path(), 50, true);
    assert!(log.complete);
    let last = log.ticks.last().expect("a tick");
    assert_eq!(
        (last.tick, last.guard.reason, last.plan.source),
        (0, Reason::Operator, PlanSource::Stop)
    );
    assert!(last.guard.action.iter().all(|action| *action == 0.0));
}
