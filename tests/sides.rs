//! Pictures of another side than 64: simulated, recorded and replayed; and robot files that do not fit their model.

use std::path::{Path, PathBuf};

use armillary::simulation;
use controller::replay::{Computed, replay};
use controller::session::PolicyChoice;
use robot::Config;
use robot::config::{Pipeline, Simulated};

use crate::{bundle, record, root};

/// The shipped planar robot file, in `dir`, with pictures of `side` x `side` pixels.
fn sized(dir: &Path, side: usize) -> PathBuf {
    let text = std::fs::read_to_string(root().join("configs/sim-planar.ron")).expect("the robot file");
    let from = "gap_ticks: 5";
    assert!(text.contains(from), "the shipped robot file has `{from}`");
    let robot = dir.join("robot.ron");
    std::fs::write(&robot, text.replacen(from, &format!("{from}, side: {side}"), 1)).expect("writes");
    robot
}

#[test]
fn a_simulated_arm_is_recorded_and_replayed_at_another_side() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let robot = sized(dir.path(), 96);
    let next_tick = Some(Pipeline::NextTick);
    let session = simulation::session(&robot, None, PolicyChoice::Random, next_tick).expect("a session");
    let [a, b] = ["a", "b"].map(|name| record(&session, &dir.path().join(name), 7, 10));
    let stream = |path| episode::decision_stream(path).expect("a whole log");
    assert_eq!(stream(&a), stream(&b));
    let [first, second] = [&a, &b].map(|path| episode::read_episode(path).expect("a log"));
    assert_eq!(first.frames, second.frames);
    assert_eq!(first.ticks.len(), 11);
    for frame in &first.frames {
        let frame = frame.as_ref().expect("every tick has a picture");
        assert_eq!((frame.side(), frame.rgb().len()), (96, 3 * 96 * 96));
    }
    assert_ne!(first.frames[0], first.frames[10], "the arm moves");
    assert_eq!(replay(&a, None, Computed::default()).expect("replays"), 10);
}

#[test]
fn a_robot_file_and_a_model_of_different_sides_are_both_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let planner = PolicyChoice::Planner { noise: 0.0 };
    let session = |side| simulation::session(&sized(dir.path(), side), Some(&bundle()), planner, None);
    let error = session(96).expect_err("the model sees 64").to_string();
    for part in [
        "reach-planar/manifest.ron",
        "`image`",
        "64x64",
        "robot `sim-planar`",
        "`capture.side`",
        "96",
    ] {
        assert!(error.contains(part), "no {part} in {error}");
    }
    session(64).expect("what is said is what the model sees");
}

#[test]
fn an_environment_in_a_process_may_have_any_side() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for side in [64, 96, 128] {
        let mut config = Config::load(&sized(dir.path(), side)).expect("a robot file");
        config.simulator = Some(Simulated {
            task: "py:nowhere:nothing".to_owned(),
            camera_delay_s: 0.0,
            substeps: 1,
            asked: true,
        });
        let simulation = simulation::Simulation::of(&config).expect("its package says what it draws");
        assert_eq!(
            simulation,
            simulation::Simulation::Process("py:nowhere:nothing".to_owned())
        );
    }
}
