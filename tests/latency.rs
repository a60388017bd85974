//! `armillary calibrate latency`, against simulated arms whose camera is late by what is known.

use std::path::{Path, PathBuf};

use armillary::calibrate::latency::{self, Measured};
use armillary::simulation::Simulated as _;
use calibration::Verdict;
use controller::replay::{Computed, replay};
use controller::session::{PolicyChoice, Session};
use robot::Config;
use robot::config::edit;

use crate::root;

/// The robot file `name` with a camera that is late by `delay_s`, in `dir`.
fn robot(dir: &Path, name: &str, delay_s: f64) -> PathBuf {
    let text = std::fs::read_to_string(root().join("configs").join(name)).expect("a shipped robot file");
    let text = edit::with_field(&text, &["simulator", "camera_delay_s"], &format!("{delay_s:?}"));
    let path = dir.join(name);
    std::fs::write(&path, text.expect("a simulated arm")).expect("writes");
    path
}

/// The log of a joint that moves to and fro.
fn wiggled(robot: &Path, joint: usize, ticks: u32) -> PathBuf {
    let config = Config::load(robot).expect("a robot file");
    let session = Session::of(config, None, PolicyChoice::Wiggle { joint }, None).expect("a session");
    let log = robot.with_extension(format!("{joint}-{ticks}.mcap"));
    session
        .run_simulated(&[0], ticks, 1, &|_| log.clone(), &|_| {})
        .expect("the episode runs");
    log
}

fn measured(dir: &Path, name: &str, joint: usize, delay_s: f64) -> Measured {
    let dir = dir.join(format!("{joint}-{delay_s}"));
    std::fs::create_dir_all(&dir).expect("a folder");
    let robot = robot(&dir, name, delay_s);
    latency::of_log(&wiggled(&robot, joint, 200)).expect("a measurement")
}

#[test]
fn the_delay_of_a_camera_is_found_within_five_milliseconds() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (name, joint, delays_s) in [
        ("sim-planar.ron", 0, &[0.0, 0.033, 0.08, 0.16, 0.24][..]),
        ("sim-planar.ron", 1, &[0.08]),
        ("sim-arm.ron", 0, &[0.08, 0.117]),
    ] {
        for &delay_s in delays_s {
            let found = measured(dir.path(), name, joint, delay_s);
            let what = format!("{name}, joint {joint}, {delay_s} s: {:?}", found.lines());
            assert!((found.pictures.delay_s - delay_s).abs() < 0.005, "{what}");
            assert_eq!(found.pictures.verdict, Verdict::Good, "{what}");
            // A simulated servo follows within a period and some.
            assert!((0.0..0.2).contains(&found.follows.delay_s), "{what}");
            assert!(found.follows.verdict.is_accepted(), "{what}");
        }
    }
}

#[test]
fn what_is_measured_goes_into_the_robot_file_and_the_log_replays() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let robot = robot(dir.path(), "sim-planar.ron", 0.16);
    let log = wiggled(&robot, 0, 200);
    let found = latency::of_log(&log).expect("a measurement");
    assert!(latency::draw(&found).starts_with("<svg "));
    latency::keep(&robot, &found).expect("a sound robot file");
    let config = Config::load(&robot).expect("still a robot file");
    assert!((config.camera_delay_s - 0.16).abs() < 0.005);
    assert_eq!(config.camera_delay_ticks(), 2);
    assert_eq!(
        replay(&log, None, Computed::default()).expect("the same actions"),
        200
    );
}

#[test]
fn a_measurement_that_tells_nothing_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let robot = robot(dir.path(), "sim-planar.ron", 0.08);
    let before = std::fs::read_to_string(&robot).expect("there");
    let short = latency::of_log(&wiggled(&robot, 0, 20)).expect("a measurement");
    let error = latency::keep(&robot, &short).expect_err("too short").to_string();
    assert!(error.contains("let it run longer"), "{error}");
    assert_eq!(std::fs::read_to_string(&robot).expect("there"), before);
    // A log of another motion is none of a measurement.
    let config = Config::load(&robot).expect("a robot file");
    let session = Session::of(config, None, PolicyChoice::Random, None).expect("a session");
    let log = dir.path().join("random.mcap");
    session
        .run_simulated(&[0], 50, 1, &|_| log.clone(), &|_| {})
        .expect("the episode runs");
    let error = latency::of_log(&log).expect_err("another policy").to_string();
    assert!(
        error.contains("random.mcap") && error.contains("calibrate latency"),
        "{error}"
    );
}
