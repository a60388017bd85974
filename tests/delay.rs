//! Pictures that are late: what the filter makes of them, and what is learned from them.

use std::path::Path;

use armillary::simulation;
use controller::beliefs::Recollection;
use controller::replay::{Computed, replay};
use controller::session::{PolicyChoice, Session};
use episode::Episode;
use robot::Config;
use robot::config::{Pipeline, edit};
use world_model::{Belief, Bundle};

use crate::{bundle, record, root};

/// The shipped robot file with a camera that is late by `camera_s`, as far as the file says by `delay_s`.
fn robot_text(camera_s: &str, delay_s: &str) -> String {
    let path = root().join("configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let text = edit::with_field(&text, &["simulator", "camera_delay_s"], camera_s).expect("a simulator");
    edit::with_field(&text, &["capture", "delay_s"], delay_s).expect("a camera")
}

fn late_session(dir: &Path, delay_s: &str, policy: PolicyChoice, pipeline: Pipeline) -> Session {
    let robot = dir.join(format!("late-{delay_s}.ron"));
    std::fs::write(&robot, robot_text(delay_s, delay_s)).expect("writes");
    simulation::session(&robot, Some(&bundle()), policy, Some(pipeline)).expect("they fit")
}

fn recorded(dir: &Path, delay_s: &str, seed: u64) -> Episode {
    let session = late_session(dir, delay_s, PolicyChoice::Random, Pipeline::NextTick);
    let log = record(&session, &dir.join(delay_s), seed, 20);
    episode::read_episode(&log).expect("a whole log")
}

#[test]
fn what_is_learned_does_not_depend_on_how_late_pictures_were() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let prompt = recorded(dir.path(), "0.0", 5);
    for (delay_s, late_ticks) in [("0.1", 1), ("0.3", 3)] {
        let late = recorded(dir.path(), delay_s, 5);
        assert_eq!(late.info.picture_delay_ticks, late_ticks as u32);
        let [data] = &prompt.training().expect("usable")[..] else {
            panic!("one stretch")
        };
        let [late_data] = &late.training().expect("usable")[..] else {
            panic!("one stretch")
        };
        let length = data.length - late_ticks;
        assert_eq!(late_data.length, length);
        let per_frame = data.frames.len() / data.length;
        assert!(late_data.frames == data.frames[..length * per_frame], "{delay_s}");
        assert_eq!(late_data.rewards, data.rewards[..length]);
        assert_eq!(late_data.actions, data.actions[..length * data.action_dim]);
        // The pictures do move: a shift by one is another sequence.
        assert!(data.frames[per_frame..] != data.frames[..data.frames.len() - per_frame]);
    }
}

#[test]
fn the_belief_of_now_is_that_of_the_picture_carried_through_the_actions_since() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (mut encoder, mut filter) = (
        bundle.encoder().expect("encoder"),
        bundle.filter().expect("filter"),
    );
    let mut embedding = vec![0.0; bundle.dimensions().embedding];
    for late_ticks in [1, 3] {
        let log = recorded(dir.path(), &format!("0.{late_ticks}"), 6);
        let mut recollection = Recollection::of(&log.path, &log, &bundle).expect("its own robot");
        let action = |tick: usize| log.ticks[tick].actuate.action.as_slice();
        let still = [0.0; 2];
        for (tick, row) in log.ticks.iter().enumerate() {
            let frame = log.frames[tick].as_ref();
            let mut found = None;
            recollection.see(row, frame, &mut |period| found = Some(period.belief));
            recollection.carry_out(row);
            // From the beginning, as the definition has it: pictures D edges later than what they show, then the prior.
            let mut belief = Belief::initial(&bundle.dimensions());
            let seen = tick.saturating_sub(late_ticks);
            for edge in 0..=seen {
                // Of the first pictures all show the first edge; the newest one counts.
                let picture = if edge == 0 {
                    tick.min(late_ticks)
                } else {
                    edge + late_ticks
                };
                encoder.encode(log.frames[picture].as_ref().expect("a frame"), &mut embedding);
                let caused_by = if edge == 0 { &still } else { action(edge - 1) };
                filter.posterior(&mut belief, caused_by, &embedding);
            }
            for edge in seen..tick {
                filter.predict(&mut belief, action(edge));
            }
            assert_eq!(found, Some(belief), "{late_ticks} late, tick {tick}");
        }
    }
}

#[test]
fn a_planner_with_late_pictures_replays() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let planner = PolicyChoice::Planner { noise: 0.3 };
    for pipeline in [Pipeline::NextTick, Pipeline::Immediate] {
        let session = late_session(dir.path(), "0.2", planner, pipeline);
        let log = record(&session, &dir.path().join(format!("{pipeline:?}")), 7, 12);
        let same = replay(&log, Some(&bundle()), Computed::default()).expect("the same actions");
        assert_eq!(same, 12);
    }
}

#[test]
fn a_delay_that_cannot_be_made_up_for_is_refused_with_its_field() {
    let path = Path::new("robot.ron");
    let parse = |delay_s: &str| Config::parse(path, robot_text("0.0", delay_s));
    for (delay_s, expected) in [
        ("-0.1", "outside"),
        ("1.0", "`trust.frozen_ticks`"),
        ("2.0", "20 control periods"),
        ("inf", "no finite number"),
    ] {
        let error = parse(delay_s).expect_err(delay_s).to_string();
        assert!(
            error.contains("capture.delay_s") && error.contains(expected),
            "{delay_s}: {error}"
        );
    }
    for (delay_s, ticks, rounded) in [
        ("0.0", 0, None),
        ("0.2", 2, None),
        ("0.08", 1, Some("20 ms longer")),
        ("0.24", 2, Some("40 ms shorter")),
    ] {
        let config = parse(delay_s).expect(delay_s);
        assert_eq!(config.camera_delay_ticks(), ticks);
        let said = config.camera_delay_rounded();
        assert_eq!(said.is_some(), rounded.is_some(), "{delay_s}: {said:?}");
        assert!(said.unwrap_or_default().contains(rounded.unwrap_or_default()));
    }
}
