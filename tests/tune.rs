//! Tuning: what fits a deadline, and how good it is by the model's own judgement.

use std::time::Duration;

use armillary::tune::{Scale, Subject, grid};
use controller::beliefs::{self, Situation};
use controller::session::PolicyChoice;
use robot::Config;
use robot::config::{Pipeline, Planner as Budget, RolloutBackend};
use world_model::Bundle;

use crate::{bundle, record, session};

fn situations(bundle: &Bundle) -> (Config, Vec<Situation>) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Random, Pipeline::NextTick);
    let log = record(&session, dir.path(), 31, 12);
    (
        session.config,
        beliefs::of_log(&log, bundle).expect("random actions have beliefs, too"),
    )
}

#[test]
fn iterations_fill_the_deadline_and_planning_is_worth_its_time() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (config, situations) = situations(&bundle);
    let subject = |deadline: Duration| Subject {
        bundle: &bundle,
        envelope: &config.envelope,
        base: &config.planner,
        situations: &situations,
        deadline,
    };
    let small = grid(&config.planner, &[RolloutBackend::Simd]).swap_remove(0);
    let none = subject(Duration::ZERO).fit(&small).expect("plans");
    assert_eq!(none, None, "no iteration fits no time");
    let ample = subject(Duration::from_secs(60));
    let all = ample.fit(&small).expect("plans").expect("it fits");
    assert_eq!(all.iterations, small.iterations);

    let scale = ample.scale(2).expect("plans");
    assert!(scale.full > scale.random + 0.02, "{scale:?}");
    let one = Budget {
        iterations: 1,
        candidates: 4,
        elites: 4,
        ..small
    };
    // The mean of four random plans is hardly better than none; all iterations come close to the full budget.
    let [worse, better] = [one, all].map(|budget| ample.candidate(&budget, scale, 2).expect("plans").kept);
    assert!(better > worse + 0.2 && better > 0.7, "{worse} {better}");
    // What is judged twice is judged the same.
    let again = ample.scale(2).expect("plans");
    let bits = |scale: Scale| [scale.random.to_bits(), scale.full.to_bits()];
    assert_eq!(bits(scale), bits(again));
}

#[test]
fn times_are_ordered_and_counted() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (config, situations) = situations(&bundle);
    let subject = Subject {
        bundle: &bundle,
        envelope: &config.envelope,
        base: &config.planner,
        situations: &situations,
        deadline: Duration::from_secs(1),
    };
    let heard = std::cell::Cell::new(0);
    let done = || heard.set(heard.get() + 1);
    let times = subject.times(&config.planner, 30, &done).expect("plans");
    assert_eq!((times.plans, heard.get()), (30, 30));
    assert!(0.0 < times.median_ms && times.median_ms <= times.p999_ms && times.p999_ms <= times.worst_ms);
}
