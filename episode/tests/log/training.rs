//! Which action belongs to which frame, and where an episode must not be glued together.

use std::path::PathBuf;

use episode::{Episode, EpisodeError, TickRecord, TrainingEpisode};
use robot::{Frame, JointVec};

use crate::sample::{frame, info, tick};

/// An episode of `count` ticks; tick t sends the action (t + 1, -t - 1).
fn episode(count: u32, change: impl Fn(&mut TickRecord)) -> Episode {
    let ticks: Vec<_> = (0..count)
        .map(|number| {
            let mut tick = tick(number);
            let sent = number as f32 + 1.0;
            tick.actuate.action = JointVec::from_slice(&[sent, -sent]).unwrap();
            change(&mut tick);
            tick
        })
        .collect();
    Episode {
        path: PathBuf::from("memory"),
        info: info(),
        frames: (0..count).map(|number| Some(frame(number))).collect(),
        camera_pictures: 0,
        intact: ticks.len(),
        ticks,
        attachments: Vec::new(),
        complete: true,
        problem: None,
    }
}

/// The ticks that each stretch must consist of. Their frames, rewards and actions are checked against the episode.
fn check(episode: &Episode, expected: &[&[u32]]) {
    let stretches = episode.training().unwrap();
    assert_eq!(stretches.len(), expected.len(), "{} stretches", stretches.len());
    for (stretch, ticks) in stretches.iter().zip(expected) {
        assert_eq!((stretch.length, stretch.action_dim), (ticks.len(), 2));
        assert_eq!(
            (stretch.rewards.len(), stretch.actions.len()),
            (ticks.len(), 2 * ticks.len())
        );
        let bytes = Frame::bytes(stretch.side);
        assert_eq!((stretch.side, stretch.frames.len()), (64, ticks.len() * bytes));
        for (index, number) in ticks.iter().enumerate() {
            assert!(
                stretch.frames[index * bytes..][..bytes] == frame(*number).rgb()[..],
                "frame {index}"
            );
            assert_eq!(stretch.rewards[index], tick(*number).capture.reward);
            // The action sent at tick t - 1 is (t, -t): it caused frame t.
            let caused_by = if index == 0 { 0.0 } else { *number as f32 };
            assert_eq!(stretch.actions[2 * index..][..2], [caused_by, -caused_by]);
        }
    }
}

#[test]
fn an_action_belongs_to_the_frame_it_caused() {
    check(&episode(5, |_| {}), &[&[0, 1, 2, 3, 4]]);
}

#[test]
fn a_tick_without_a_fresh_frame_splits() {
    check(
        &episode(7, |tick| tick.capture.fresh = tick.tick != 3),
        &[&[0, 1, 2], &[4, 5, 6]],
    );
}

#[test]
fn a_missing_tick_splits() {
    let mut gap = episode(7, |_| {});
    gap.ticks.remove(3);
    gap.frames.remove(3);
    check(&gap, &[&[0, 1, 2], &[4, 5, 6]]);
}

#[test]
fn a_frame_that_was_not_logged_splits() {
    let mut gap = episode(7, |_| {});
    gap.frames[2] = None;
    check(&gap, &[&[0, 1], &[3, 4, 5, 6]]);
}

#[test]
fn numbers_that_are_not_finite_split() {
    let reward = |tick: &mut TickRecord| {
        if tick.tick == 3 {
            tick.capture.reward = Some(f32::NAN);
        }
    };
    check(&episode(7, reward), &[&[0, 1, 2], &[4, 5, 6]]);
    let action = |tick: &mut TickRecord| {
        if tick.tick == 3 {
            tick.actuate.action[1] = f32::INFINITY;
        }
    };
    check(&episode(7, action), &[&[0, 1, 2, 3], &[4, 5, 6]]);
}

#[test]
fn a_frame_without_a_reward_ends_no_stretch() {
    let mut given = episode(5, |_| {});
    for (tick, reward) in given
        .ticks
        .iter_mut()
        .zip([None, Some(1.0), None, Some(0.0), Some(-2.0)])
    {
        tick.capture.reward = reward;
    }
    let stretches = given.training().unwrap();
    assert_eq!(stretches.len(), 1);
    assert_eq!(
        stretches[0].rewards,
        [None, Some(1.0), None, Some(0.0), Some(-2.0)]
    );
}

#[test]
fn single_frames_are_left_out() {
    check(&episode(6, |tick| tick.capture.fresh = tick.tick % 2 == 0), &[]);
    check(&episode(1, |_| {}), &[]);
}

#[test]
fn where_no_command_left_counts_what_stood_instead() {
    let episode = episode(4, |tick| {
        if tick.tick == 1 {
            tick.actuate.sent = false;
            tick.actuate.action.iter_mut().for_each(|action| *action = 0.5);
        }
    });
    let [TrainingEpisode { actions, .. }] = &episode.training().unwrap()[..] else {
        panic!("one stretch")
    };
    assert_eq!(actions[..], [0.0, 0.0, 1.0, -1.0, 0.5, 0.5, 3.0, -3.0]);
}

#[test]
fn actions_must_fit_the_joints() {
    let odd = episode(4, |tick| {
        tick.actuate.action.truncate(if tick.tick == 2 { 1 } else { 2 });
    });
    let error = odd.training().unwrap_err();
    assert!(
        matches!(error, EpisodeError::Inconsistent { tick: 2, .. }),
        "{error}"
    );
    // Nothing came of the last tick's action: it does not matter.
    check(
        &episode(4, |tick| {
            tick.actuate.action.truncate(if tick.tick == 3 { 0 } else { 2 });
        }),
        &[&[0, 1, 2, 3]],
    );
}
