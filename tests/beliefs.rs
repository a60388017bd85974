//! What a log's beliefs are: those that the recorded plans were made from.

use armillary::picture;
use controller::beliefs;
use controller::plan::{Limit, Plan, Planner};
use controller::session::PolicyChoice;
use robot::config::Pipeline;
use world_model::Bundle;

use crate::{bundle, record, session};

#[test]
fn planning_from_the_beliefs_of_a_log_gives_its_plans_bit_for_bit() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    for pipeline in [Pipeline::NextTick, Pipeline::Immediate] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let session = session(PolicyChoice::Planner { noise: 0.0 }, pipeline);
        let seed = 21;
        let path = record(&session, dir.path(), seed, 25);
        let log = episode::read_episode(&path).expect("a whole log");
        let situations = beliefs::of_log(&path, &bundle).expect("situations");
        let mut planner = Planner::new(&bundle, &session.config.planner).expect("a planner");
        planner.reset(seed);
        let mut plans = 0;
        for (row, situation) in log.ticks.iter().zip(&situations) {
            if row.plan.iterations == 0 {
                continue;
            }
            let plan = planner.plan(
                row.tick,
                &situation.from,
                &situation.belief,
                &session.config.envelope,
                Limit::Iterations(row.plan.iterations),
            );
            assert_eq!(plan, row.plan, "{pipeline:?}, tick {}", row.tick);
            plans += 1;
        }
        assert_eq!(plans, 25);
    }
}

#[test]
fn a_held_position_that_is_not_finite_is_ignored() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Planner { noise: 0.0 }, Pipeline::NextTick);
    let path = record(&session, dir.path(), 21, 12);
    let log = episode::read_episode(&path).expect("a whole log");
    // The arm refused a command at tick 6, and said where it is led, or only nearly so.
    let actions = |holds: &[f32]| {
        let mut recollection = beliefs::Recollection::of(&path, &log, &bundle).expect("fits");
        let mut actions = Vec::new();
        for (row, frame) in log.ticks.iter().zip(&log.frames) {
            let mut row = row.clone();
            if row.tick == 6 {
                row.capture.arm_refused = true;
                row.capture.arm_set_point_rad = holds.iter().copied().collect();
            }
            recollection.see(&row, frame.as_ref(), &mut |period| {
                assert!(period.belief.h.iter().all(|value| value.is_finite()));
                actions.push(period.action);
            });
            let situation = recollection.carry_out(&row);
            assert!(situation.from.position_rad.iter().all(|angle| angle.is_finite()));
        }
        actions
    };
    let sent = actions(&[]);
    assert_eq!(actions(&[f32::NAN, 0.5]), sent);
    assert_eq!(actions(&[0.5, f32::INFINITY]), sent);
    let picked_up = actions(&[0.5, 0.5]);
    assert!(picked_up[6].iter().all(|action| *action == 0.0) && picked_up != sent);
}

#[test]
fn periods_that_the_loop_missed_are_periods_of_the_pictures_too() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Planner { noise: 0.0 }, Pipeline::NextTick);
    let path = record(&session, dir.path(), 21, 25);
    let mut log = episode::read_episode(&path).expect("a whole log");
    let missed = 6..10;
    let whole = log.clone();
    let kept = |index: usize| !missed.contains(&whole.ticks[index].tick);
    log.ticks = (0..whole.ticks.len())
        .filter(|i| kept(*i))
        .map(|i| whole.ticks[i].clone())
        .collect();
    log.frames = (0..whole.frames.len())
        .filter(|i| kept(*i))
        .map(|i| whole.frames[i].clone())
        .collect();
    log.intact = log.ticks.len();
    let panels = picture::panels(&path, &log, &bundle).expect("draws");
    let ticks: Vec<u32> = panels.iter().map(|panel| panel.tick).collect();
    assert_eq!(ticks, (0..6).chain(10..26).collect::<Vec<_>>());
    let mut recollection = beliefs::Recollection::of(&path, &log, &bundle).expect("fits");
    let mut periods = 0;
    for (row, frame) in log.ticks.iter().zip(&log.frames) {
        recollection.see(row, frame.as_ref(), &mut |_| periods += 1);
        recollection.carry_out(row);
        assert_eq!(periods, row.tick + 1);
    }
    // From the same frame it has imagined something else, since the arm held meanwhile.
    let of = |panels: &[picture::Panels], tick: u32| {
        let found = panels.iter().find(|panel| panel.tick == tick).expect("there");
        found.imagined.clone()
    };
    let all = picture::panels(&path, &whole, &bundle).expect("draws");
    assert_eq!(of(&panels, 5), of(&all, 5));
    assert_ne!(of(&panels, 12), of(&all, 12));
}
