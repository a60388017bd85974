//! Planning against a clock that the test moves.

use std::sync::atomic::{AtomicU64, Ordering};

use controller::plan::{Limit, Planner, Policy};
use episode::PlanSource;
use robot::{Clock, Config};
use world_model::{Belief, Bundle};

use crate::{bundle, root};

const MS: u64 = 1_000_000;

/// Every look at it takes a while: an iteration, between two looks, costs `step_ns`.
#[derive(Default)]
struct Ticking {
    now_ns: AtomicU64,
    step_ns: AtomicU64,
}

impl Clock for Ticking {
    fn now_ns(&self) -> u64 {
        let step = self.step_ns.load(Ordering::SeqCst);
        self.now_ns.fetch_add(step, Ordering::SeqCst) + step
    }

    fn sleep_until_ns(&self, deadline_ns: u64) {
        self.now_ns.fetch_max(deadline_ns, Ordering::SeqCst);
    }
}

#[test]
fn a_stall_costs_its_plan_and_not_those_that_follow() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let planner = Planner::new(&bundle, &config.planner).expect("planner");
    let mut policy = Policy::planner(planner, 0.3);
    policy.reset(1);
    let belief = Belief::initial(&bundle.dimensions());
    let home = config.envelope.home();
    let clock = Ticking::default();
    let mut propose = |tick: u32, iteration_ms: u64, deadline_ms: u64| {
        let edge_ns = u64::from(tick + 1) * 1000 * MS;
        // The first look is at the edge.
        clock.now_ns.store(edge_ns - iteration_ms * MS, Ordering::SeqCst);
        clock.step_ns.store(iteration_ms * MS, Ordering::SeqCst);
        let limit = Limit::Deadline(&clock, edge_ns + deadline_ms * MS);
        policy.propose(tick, &home, Some(&belief), &config.envelope, limit)
    };
    // Room for all four iterations.
    let plan = propose(0, 5, 70);
    assert_eq!((plan.source, plan.iterations), (PlanSource::Fresh, 4));
    // Room for some of them: the plan is what they found.
    let plan = propose(1, 15, 70);
    assert_eq!(plan.source, PlanSource::Fresh);
    assert!((1..4).contains(&plan.iterations), "{}", plan.iterations);
    // A stall of 300 ms in the first: that plan is late, and the next ones are not.
    propose(2, 300, 70);
    let after: Vec<_> = (3..6).map(|tick| propose(tick, 5, 70)).collect();
    assert!(
        after.iter().all(|plan| plan.source == PlanSource::Fresh),
        "{after:?}"
    );
    // A machine that has become slow is not asked for what it cannot do, tick after tick.
    let slow: Vec<_> = (6..60).map(|tick| propose(tick, 100, 70)).collect();
    let dared = slow
        .iter()
        .filter(|plan| plan.source == PlanSource::Fresh)
        .count();
    assert!((1..=30).contains(&dared), "{dared} of {}", slow.len());
    // When it has recovered, that is soon found out, and in the end forgotten.
    let back: Vec<_> = (60..100).map(|tick| propose(tick, 5, 70)).collect();
    let first = back.iter().position(|plan| plan.source == PlanSource::Fresh);
    assert!(first.is_some_and(|after| after < 10), "{first:?}");
    assert_eq!(back[39].iterations, 4);
    // Without any time at all: the earlier plan, unexplored, and when it has run out the arm holds.
    let none: Vec<_> = (100..120).map(|tick| propose(tick, 5, 0)).collect();
    for (passed, plan) in none.iter().enumerate() {
        assert_eq!((plan.source, plan.iterations), (PlanSource::Tail, 0));
        assert!(passed < config.planner.horizon || plan.action.iter().all(|action| *action == 0.0));
    }
}
