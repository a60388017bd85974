//! Plants that take controls and not places to move to, in real time, and rigs that fail.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller::capture::Sight;
use controller::live;
use controller::lockstep::{self, EpisodeRunError, Labels};
use controller::session::{PolicyChoice, Session};
use devices::{FrameSocket, Loopback, SerialLink, SerialOptions};
use episode::{Episode, Reason};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};
use robot::config::Pipeline;
use robot::config::made::{Actuator, Made};
use robot::device::{DeviceError, Joints, Signals, Task, View};
use robot::{Config, Frame, JointState, JointVec, joint};

use crate::patient::patient;

/// One actuator that keeps what it was given; after so many periods it fails.
struct Motor {
    control: JointVec,
    given: Arc<Mutex<Vec<f32>>>,
    steps: u32,
    fails_at: u32,
    ends_at: u32,
}

impl Motor {
    fn new(fails_at: u32) -> Self {
        Self {
            control: joint::zeros(1),
            given: Arc::default(),
            steps: 0,
            fails_at,
            ends_at: u32::MAX,
        }
    }
}

impl Joints for Motor {
    fn joint_count(&self) -> usize {
        1
    }

    fn step(&mut self, set_point_rad: &[f32], _torque_on: bool, _dt_s: f32) -> Result<(), DeviceError> {
        self.steps += 1;
        if self.steps == self.fails_at {
            return Err(Box::<dyn std::error::Error + Send + Sync>::from("it fell over").into());
        }
        self.control = set_point_rad.iter().copied().collect();
        self.given.lock().expect("whole").push(set_point_rad[0]);
        Ok(())
    }

    fn joints(&self) -> JointState {
        JointState {
            position_rad: self.control.clone(),
            velocity_rad_s: joint::zeros(1),
        }
    }
}

impl View for Motor {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        frame.rgb_mut().fill((self.steps % 200) as u8);
        Ok(())
    }
}

impl Task for Motor {
    fn reset(&mut self, _seed: u64) -> Result<(), DeviceError> {
        self.control = joint::zeros(1);
        self.steps = 0;
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        Some(0.0)
    }

    fn ended(&self) -> bool {
        self.steps >= self.ends_at
    }
}

fn session(pipeline: Pipeline) -> Session {
    let text = Made {
        comment: "a motor",
        name: "motor",
        period_s: 0.05,
        episode_ticks: 20,
        actuators: &[Actuator {
            name: "motor".to_owned(),
            low: -1.0,
            high: 1.0,
        }],
        simulator: Some("py:motor:motor"),
    }
    .text()
    // A pause of the machine is not to make the firmware slow down.
    .replace("watchdog_periods: 2.5", "watchdog_periods: 100.0")
    // Nor to end the episode: what is asserted does not depend on when a picture comes.
    .replace("gap_ticks: 5", "gap_ticks: 100000");
    let config = Config::parse(Path::new("motor.ron"), text).expect("a sound robot file");
    Session::of(config, None, PolicyChoice::Random, Some(pipeline)).expect("no model is needed")
}

/// An episode of `motor` in real time, over a pty and a frame socket: its log.
fn in_real_time(motor: Motor, ticks: u32) -> Episode {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(Pipeline::NextTick);
    let options = BridgeOptions {
        arm: ArmOptions::from_config(&session.config).expect("limits"),
        mode: BridgeMode::RealTime,
        frame_side: session.config.frame_side,
        serial_path: Some(dir.path().join("arm")),
        frame_path: dir.path().join("camera"),
        watch_parent: false,
    };
    let bridge = SimulatorBridge::new(motor, options).expect("bridge");
    let stop = Arc::new(AtomicBool::new(false));
    let its = Arc::clone(&stop);
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || bridge.serve(its));
        let bus = SerialLink::open(&SerialOptions {
            port: dir.path().join("arm").display().to_string(),
            baud: session.config.baud,
            joints: 1,
            handshake_timeout: Duration::from_secs(5),
        })
        .expect("port opens");
        let mut bus = patient(bus);
        let camera =
            FrameSocket::connect(&dir.path().join("camera"), Duration::from_secs(5)).expect("camera");
        let (mut controller, encoder) = session.live_controller().expect("controller");
        let log = dir.path().join("episode.mcap");
        let labels = Labels {
            log: &log,
            info: session.info(&controller, 5, 1),
            attachments: &session.attachments(),
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
        let signals = Signals::default();
        let ran = live::run(
            &session.config,
            &mut controller,
            &mut bus,
            sight,
            0,
            ticks,
            &labels,
            &signals,
        );
        stop.store(true, Ordering::SeqCst);
        serving.join().expect("does not panic").expect("serves");
        ran.expect("the episode runs");
        episode::read_episode(&log).expect("the log is whole")
    })
}

#[test]
fn a_control_is_given_as_it_was_decided_whenever_it_comes() {
    let motor = Motor::new(u32::MAX);
    let given = Arc::clone(&motor.given);
    let log = in_real_time(motor, 20);
    let decided: Vec<f32> = log
        .ticks
        .iter()
        .filter(|row| row.actuate.sent)
        .map(|row| row.actuate.set_point_rad[0])
        .collect();
    let mut given = given.lock().expect("whole").clone();
    // What it rests at before the first command, and at the end what the firmware makes of slowing down.
    given.retain(|control| *control != 0.0);
    given.dedup();
    given.truncate(given.len().saturating_sub(2));
    assert!(!given.is_empty(), "no control came at all");
    // The machine decides which ones come in time; nothing mixes two.
    for control in &given {
        assert!(
            decided.contains(control),
            "{control} was never decided: {decided:?}"
        );
    }
}

#[test]
fn an_environment_that_ends_its_episode_in_real_time_ends_its_log_there() {
    let mut motor = Motor::new(u32::MAX);
    motor.ends_at = 12;
    let log = in_real_time(motor, 100_000);
    assert!(log.complete);
    let (last, before) = log.ticks.split_last().expect("a tick");
    assert_eq!(last.guard.reason, Reason::EpisodeEnd);
    assert!(!last.actuate.sent && last.capture.fresh);
    // A picture's grey tells the step it was taken after.
    let seen: Vec<u8> = log.frames.iter().flatten().map(|frame| frame.rgb()[0]).collect();
    assert_eq!(seen.last(), Some(&12), "the end itself is seen");
    assert!(seen[..seen.len() - 1].iter().all(|step| *step < 12), "{seen:?}");
    assert!(before.iter().all(|row| row.guard.reason != Reason::EpisodeEnd));
}

#[test]
fn the_log_of_a_rig_that_fails_holds_what_led_to_it_and_is_not_whole() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(Pipeline::Immediate);
    let (mut controller, mut encoder) = session.controller().expect("controller");
    let log: PathBuf = dir.path().join("episode.mcap");
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 5, 0),
        attachments: &session.attachments(),
    };
    let options = ArmOptions::from_config(&session.config).expect("limits");
    let mut rig = Loopback::new(Motor::new(4), &options);
    let failed = lockstep::run(&mut controller, encoder.as_mut(), &mut rig, 20, None, &labels);
    assert!(matches!(failed, Err(EpisodeRunError::Device(_))), "{failed:?}");
    let log = episode::read_episode(&log).expect("readable");
    let ticks: Vec<u32> = log.ticks.iter().map(|row| row.tick).collect();
    assert_eq!(ticks, [0, 1, 2, 3]);
    assert!(!log.complete, "it is recorded again");
}
