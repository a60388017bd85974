//! The shipped SO-101: six emulated servos on a wire, an emulated webcam that shows them, and the live loop between the two.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use armillary::simulation::ServoWorld;
use controller::capture::Sight;
use controller::live;
use controller::lockstep::Labels;
use controller::session::{PolicyChoice, Session};
use devices::{Arm, Camera, OpenCamera, Opening};
use episode::{ArmState, TickRecord};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};
use robot::Config;
use robot::config::Pipeline;
use robot::device::Signals;
use simulator::{Simulator, Task};

/// The shipped robot file with devices in `dir`, that forgives a machine that is busy.
fn config(dir: &Path) -> Config {
    let mut text = std::fs::read_to_string(crate::root().join("configs/so101.ron")).expect("robot file");
    let port = format!("port: {:?}, rate_hz: 5.0", dir.join("bus"));
    let camera = format!(
        "emulated_webcam(socket: {:?}, width: 160, height: 120, rate_hz: 10)",
        dir.join("camera")
    );
    for (from, to) in [
        ("period_s: 0.05", "period_s: 0.5"),
        (
            "max_age_s: 0.08, gap_ticks: 5",
            "max_age_s: 10.0, gap_ticks: 20, keep_pictures: true",
        ),
        (
            "watchdog_periods: 4.0, torque_grace_s: 2.0",
            "watchdog_periods: 20.0, torque_grace_s: 20.0",
        ),
        ("frozen_ticks: 20", "frozen_ticks: 20"),
        (
            "track_max_rad: 0.4, track_ticks: 20",
            "track_max_rad: 1.5, track_ticks: 20",
        ),
        (
            "port: \"/dev/serial/by-id/usb-1a86_USB_Single_Serial-if00\"",
            port.as_str(),
        ),
        // Near, so that it lies down soon.
        (
            "rest_rad: [0.0, -1.7, 1.57, 0.87, 0.0, 0.0]",
            "rest_rad: [0.0, -0.8, 0.8, 0.8, 0.0, 0.5]",
        ),
        (
            "webcam(device: \"usb-046d:0825-5A3B12\", width: 640, height: 480, rate_hz: 30)",
            camera.as_str(),
        ),
    ] {
        assert!(text.contains(from), "no {from}");
        text = text.replace(from, to);
    }
    Config::parse(Path::new("so101.ron"), text).expect("a sound robot file")
}

#[test]
fn an_emulated_so101_is_seen_by_an_emulated_webcam_and_driven() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(dir.path());
    let servos = Arm::of(&config, None)
        .and_then(|mut arm| arm.emulate(&config, &dir.path().join("bus")))
        .expect("a wire")
        .expect("servos can be emulated");
    let world = ServoWorld::new(servos, Simulator::new(Task::So101).expect("simulator"));
    let options = BridgeOptions {
        arm: ArmOptions::from_config(&config).expect("limits"),
        mode: BridgeMode::RealTime,
        frame_side: config.frame_side,
        serial_path: None,
        frame_path: dir.path().join("camera"),
        watch_parent: false,
    };
    let bridge = SimulatorBridge::new(world, options).expect("a bridge");
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stopped = Arc::clone(&stop);
        scope.spawn(move || bridge.serve(stopped).expect("serves"));
        let rows = drive(&config, dir.path());
        stop.store(true, Ordering::SeqCst);
        check(&rows);
    });
}

fn drive(config: &Config, dir: &Path) -> Vec<TickRecord> {
    let policy = PolicyChoice::Random;
    let session = Session::of(config.clone(), None, policy, Some(Pipeline::NextTick)).expect("sound");
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let mut camera = Camera::of(config, None).expect("named");
    let OpenCamera { camera, task } = camera.open(config).expect("a camera");
    let sight = Sight::new(config, camera, task, encoder, None).expect("a view");
    let signals = Signals::default();
    let mut arm = Arm::of(config, None).expect("named");
    // On a machine that is busy an answer may come after its time: opening moves nothing, and is tried again.
    let mut bus = (0..20)
        .find_map(|_| {
            arm.open(&Opening {
                config,
                signals: &signals,
            })
            .ok()
        })
        .expect("the servos answer");
    let log = dir.join("episode.mcap");
    let labels = Labels {
        log: &log,
        info: session.info(&controller, 3, 1),
        attachments: &session.attachments(),
    };
    live::run(config, &mut controller, &mut *bus, sight, 0, 8, &labels, &signals).expect("the episode runs");
    drop(bus);
    let read = episode::read_episode(&log).expect("the log is whole");
    assert!(read.complete && read.info.picture_sha256.is_some());
    assert!(read.camera_pictures > 0, "the camera's own pictures are kept");
    // 160 x 120 pixels, with the scene in the middle.
    crate::recrop::check(
        config,
        &log,
        "crop(left_px: 30, top_px: 10, width_px: 90, height_px: 100)",
    );
    read.ticks
}

fn check(rows: &[TickRecord]) {
    let followed = rows.iter().filter(|row| row.capture.arm == ArmState::Active);
    assert!(followed.count() > 0, "the arm never moved");
    let pictures: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.capture.frame_hash).collect();
    assert!(pictures.len() > 1, "the camera never saw it move");
    assert!(
        rows.iter().any(|row| row.capture.reward.is_some()),
        "the world gave no reward"
    );
}
