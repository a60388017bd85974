//! Rewards that are computed from the joints: while an arm is driven, and again over its logs.

use std::path::{Path, PathBuf};

use armillary::relabel::{RelabelError, relabel};
use armillary::simulation;
use controller::session::{PolicyChoice, Session};
use episode::{Episode, Reason, read_episode};
use robot::Config;
use robot::config::Pipeline;

use crate::{record, root, session};

const TIP: &str = "tip_goal(goal_m: (0.6, 0.4, 0.1), scale_m: 0.2)";

/// The shipped planar arm with a reward of its own, in a robot file in `dir`.
fn robot(dir: &Path, name: &str, reward: &str) -> PathBuf {
    let text =
        std::fs::read_to_string(root().join("configs/sim-planar.ron")).expect("the shipped robot file");
    let path = dir.join(name);
    let text = text.replacen(
        "    capture: (",
        &format!("    reward: {reward},\n    capture: ("),
        1,
    );
    std::fs::write(&path, text).expect("writes");
    path
}

fn random(robot: &Path) -> Session {
    simulation::session(robot, None, PolicyChoice::Random, Some(Pipeline::NextTick)).expect("sound")
}

fn rewards(log: &Episode) -> Vec<Option<f32>> {
    log.ticks.iter().map(|row| row.capture.reward).collect()
}

fn read(path: &Path) -> Episode {
    read_episode(path).expect("a log")
}

/// All logs in `runs`, with the reward of `robot`.
fn relabelled(
    runs: &Path,
    robot: &Path,
    out: &Path,
) -> Result<Vec<armillary::relabel::Relabelled>, RelabelError> {
    let config = Config::load(robot).expect("sound");
    relabel(&[runs.to_owned()], &config, robot, out, &mut |_, _| true)
}

#[test]
fn a_log_has_the_same_rewards_as_were_computed_while_the_arm_was_driven() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let with_goal = robot(dir.path(), "goal.ron", TIP);
    let log = record(&random(&with_goal), &dir.path().join("driven"), 3, 30);
    let driven = read(&log);
    assert_eq!(
        driven.info.reward_source,
        "tip_goal(goal_m: (0.6, 0.4, 0.1), scale_m: 0.2, weight: 1.0)"
    );
    let given: Vec<f32> = rewards(&driven).into_iter().flatten().collect();
    assert_eq!(given.len(), 31);
    assert!(given.iter().all(|reward| (0.0..=1.0).contains(reward)));

    // The same episode, recorded with the simulator's reward, and labelled afterwards.
    record(
        &session(PolicyChoice::Random, Pipeline::NextTick),
        &dir.path().join("simulators"),
        3,
        30,
    );
    let out = dir.path().join("labelled");
    let made = relabelled(&dir.path().join("simulators"), &with_goal, &out).expect("it can");
    let labelled = read(&made[0].to);
    assert_eq!(rewards(&labelled), rewards(&driven));
    assert!(labelled.complete && labelled.frames == driven.frames);
    assert_eq!(labelled.info.reward_source, driven.info.reward_source);
    assert!((made[0].compared.after - f64::from(given[1..].iter().sum::<f32>())).abs() < 1e-3);

    // The old rewards are kept, and the labelled log can be labelled again.
    let kept = |log: &Episode, name: &str| {
        let found = log.attachments.iter().find(|(found, _)| found == name);
        String::from_utf8(found.expect("kept").1.clone()).expect("text")
    };
    assert!(kept(&labelled, "rewards-0.json").contains("\"source\":\"simulator\""));
    let pose = robot(
        dir.path(),
        "pose.ron",
        "joint_goal(goal_rad: [0.5, 0.5], scale_rad: 1.0)",
    );
    let made = relabelled(&out, &pose, &dir.path().join("again")).expect("it can");
    let again = read(&made[0].to);
    assert!(kept(&again, "rewards-1.json").contains("tip_goal"));
    assert!(kept(&again, "rewards-0.json").contains("simulator"));
    let correlation = made[0].compared.correlation().expect("both vary");
    assert!(correlation.abs() <= 1.0 && correlation != 0.0, "{correlation}");
}

#[test]
fn an_episode_ends_once_its_goal_was_reached_for_long_enough() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (within, ends) in [("10.0", 4), ("0.0001", 12)] {
        let goal = format!(
            "joint_goal(goal_rad: [1.0, -1.0], scale_rad: 0.5, success: (within_rad: {within}, ticks: 4))"
        );
        let path = robot(dir.path(), "robot.ron", &goal);
        let holds =
            simulation::session(&path, None, PolicyChoice::Hold, Some(Pipeline::NextTick)).expect("sound");
        let log = read(&record(&holds, &dir.path().join(within), 1, 12));
        let last = log.ticks.last().expect("rows");
        assert!(log.complete);
        assert_eq!((last.tick, last.guard.reason), (ends, Reason::EpisodeEnd));
    }
}

#[test]
fn rewards_of_another_arm_and_none_at_all_are_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let runs = dir.path().join("runs");
    record(&session(PolicyChoice::Random, Pipeline::NextTick), &runs, 3, 5);
    let out = dir.path().join("out");
    let plain = root().join("configs/sim-planar.ron");
    assert!(matches!(
        relabelled(&runs, &plain, &out),
        Err(RelabelError::NoReward { .. })
    ));
    let goal = robot(dir.path(), "goal.ron", TIP);
    for (field, from, to) in [
        ("links", "(0.5, 0.0, 0.0)", "(0.4, 0.0, 0.0)"),
        ("joints", "\"elbow\"", "\"knee\""),
    ] {
        let text = std::fs::read_to_string(&goal).expect("reads");
        assert!(text.contains(from));
        let other = dir.path().join("other.ron");
        std::fs::write(&other, text.replacen(from, to, 1)).expect("writes");
        match relabelled(&runs, &other, &out) {
            Err(RelabelError::OtherArm { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(!out.exists());
    let config = Config::load(&goal).expect("sound");
    let ended = relabel(std::slice::from_ref(&runs), &config, &goal, &out, &mut |_, _| {
        false
    });
    assert!(matches!(ended, Err(RelabelError::Interrupted)) && !out.exists());
}
