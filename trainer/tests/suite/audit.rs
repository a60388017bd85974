//! Audits find what was done to logs, and nothing in sound ones.

use std::path::Path;

use episode::Episode;
use robot::config::made::{Actuator, Made};
use trainer::audit::{Alignment, audit};

use super::{logs, rewritten, write_log_of_side};

fn alignment(dir: &Path) -> Alignment {
    audit(dir, &|_, _| {}).expect("audits").alignment
}

#[test]
fn sound_logs_are_aligned_and_without_findings() {
    let dir = logs(6, 60);
    let found = audit(dir.path(), &|_, _| {}).expect("audits");
    assert_eq!(found.alignment, Alignment::Right, "{:?}", found.alone);
    assert_eq!((found.logs, found.ticks), (6, 360));
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

#[test]
fn sides_that_cannot_be_trained_on_are_found() {
    for (sides, found_in, parts) in [
        ([96, 96], None, ["", ""]),
        ([64, 128], Some(1), ["128x128", "the first log 64x64"]),
        ([80, 80], Some(0), ["80x80", "64, 96 or 128"]),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        for (seed, side) in sides.into_iter().enumerate() {
            write_log_of_side(side, dir.path(), seed as u64, 40, |_| {});
        }
        let found = audit(dir.path(), &|_, _| {}).expect("audits");
        let of_sides: Vec<_> = found
            .findings
            .iter()
            .filter(|finding| finding.problem.contains("`capture.side`"))
            .collect();
        assert_eq!(of_sides.is_empty(), found_in.is_none(), "{of_sides:?}");
        if let Some(seed) = found_in {
            let name = format!("episode-{seed:03}.mcap");
            let finding = of_sides.iter().find(|finding| finding.path.ends_with(&name));
            let problem = &finding.expect("that log is named").problem;
            assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
        }
    }
}

#[test]
fn late_pictures_and_early_ones_are_told_by_how_much() {
    let dir = logs(6, 60);
    for lag in [1, 3] {
        for told in [0, lag, lag + 1] {
            let late = rewritten(dir.path(), |log| {
                log.frames.rotate_right(lag);
                // What came round is of the end.
                for tick in &mut log.ticks[..=lag] {
                    tick.capture.fresh = false;
                }
                log.info.picture_delay_ticks = told as u32;
            });
            let expected = if told == lag {
                Alignment::Right
            } else {
                Alignment::Shifted(lag as i32 - told as i32)
            };
            assert_eq!(alignment(late.path()), expected, "{lag}, of which {told} told");
        }
    }
    let early = rewritten(dir.path(), |log| log.frames.rotate_left(1));
    assert_eq!(alignment(early.path()), Alignment::Shifted(-1));
}

/// Where actions say where to be, a steady one moves nothing, however large it is: it is its change that shows.
#[test]
fn goals_are_told_from_speeds() {
    let dir = logs(6, 60);
    let actuator = |name: &str| Actuator {
        name: name.to_owned(),
        low: 0.0,
        high: 1.0,
    };
    let robot = Made {
        comment: "",
        name: "square",
        period_s: 0.1,
        episode_ticks: 60,
        actuators: &[actuator("x"), actuator("y")],
        simulator: None,
    }
    .text();
    for lag in [0, 2] {
        let goals = rewritten(dir.path(), |log| {
            log.attachments = vec![("robot.ron".to_owned(), robot.clone().into_bytes())];
            let went: Vec<_> = log
                .ticks
                .iter()
                .skip(1)
                .map(|tick| tick.capture.joints())
                .collect();
            for (tick, to) in log.ticks.iter_mut().zip(went) {
                tick.actuate.action = to.position_rad.iter().map(|place| 2.0 * place - 1.0).collect();
            }
            log.frames.rotate_right(lag);
            for tick in &mut log.ticks[..=lag] {
                tick.capture.fresh = false;
            }
        });
        let found = audit(goals.path(), &|_, _| {}).expect("audits");
        let expected = if lag == 0 {
            Alignment::Right
        } else {
            Alignment::Shifted(lag as i32)
        };
        assert_eq!(found.alignment, expected, "{:?}", found.alone);
    }
}

#[test]
fn logs_in_which_nothing_tells_are_unclear() {
    let dir = logs(3, 40);
    let still = rewritten(dir.path(), |log| {
        let first = log.frames[0].clone();
        log.frames.fill(first);
    });
    assert_eq!(alignment(still.path()), Alignment::Unclear);
    // Actions of another episode.
    let shuffled = rewritten(dir.path(), |log| {
        let actions: Vec<_> = log.ticks.iter().map(|tick| tick.actuate.action.clone()).collect();
        for (tick, action) in log.ticks.iter_mut().zip(actions.iter().rev()) {
            tick.actuate.action.clone_from(action);
        }
    });
    assert_eq!(alignment(shuffled.path()), Alignment::Unclear);
}

#[test]
fn gaps_frozen_pictures_and_cut_logs_are_named_with_their_tick() {
    let dir = logs(1, 40);
    for (edit, expected) in [
        (
            &(|log: &mut Episode| {
                log.ticks.remove(20);
                log.frames.remove(20);
            }) as &dyn Fn(&mut Episode),
            "1 gap(s) in the ticks, the first at tick 20",
        ),
        (
            &|log| log.ticks[7].capture.fresh = false,
            "1 tick(s) without a fresh frame, the first at tick 7",
        ),
        (
            &|log| log.ticks[9].capture.reward = Some(f32::NAN),
            "1 tick(s) with a reward or joint that is no number, the first at tick 9",
        ),
        (
            &|log| {
                for at in 11..30 {
                    log.frames[at] = log.frames[10].clone();
                    log.ticks[at - 1].actuate.action[0] = 1.0;
                }
            },
            "1 time(s) a frozen picture while the arm was told to move, the first at tick 11",
        ),
    ] {
        let edited = rewritten(dir.path(), edit);
        let found = audit(edited.path(), &|_, _| {}).expect("audits");
        let problems: Vec<_> = found.findings.iter().map(|finding| &finding.problem).collect();
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected}: {problems:?}"
        );
    }
    // Cut off in the middle.
    let path = episode::list_runs(dir.path()).expect("logs").swap_remove(0);
    let bytes = std::fs::read(&path).expect("reads");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
    // Another robot's, and one that was never begun.
    super::write_log(dir.path(), 900, 20, |info| info.robot = "other".to_owned());
    std::fs::write(dir.path().join("empty.mcap"), b"").expect("writes");
    let found = audit(dir.path(), &|_, _| {}).expect("goes on past all of them");
    let told = |part: &str| {
        found
            .findings
            .iter()
            .any(|finding| finding.problem.contains(part))
    };
    assert!(told("not readable") && told("is of other at") && told("not a run log"));
    assert_eq!(found.findings.len(), 3);
}
