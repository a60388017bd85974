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
fn a_stall_costs_a_few_plans_and_not_all_that_follow() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let planner = Planner::new(&bundle, &config.planner).expect("planner");
    let mut policy = Policy::planner(planner, 0.3);
    policy.reset(1);
    let belief = Belief::initial(&bundle.dimensions());
    let home = config.envelope.home();
    let clock = Ticking::default();
    let mut propose = |tick: u32, iteration_ms: u64| {
        let edge_ns = u64::from(tick + 1) * 1000 * MS;
        // The first look is at the edge.
        clock.now_ns.store(edge_ns - iteration_ms * MS, Ordering::SeqCst);
        clock.step_ns.store(iteration_ms * MS, Ordering::SeqCst);
        let limit = Limit::Deadline(&clock, edge_ns + 70 * MS);
        policy.propose(tick, &home, Some(&belief), &config.envelope, limit)
    };
    // Room for all four iterations.
    let plan = propose(0, 5);
    assert_eq!((plan.source, plan.iterations), (PlanSource::Fresh, 4));
    // Room for some of them: the plan is what they found.
    let plan = propose(1, 15);
    assert_eq!(plan.source, PlanSource::Fresh);
    assert!((1..4).contains(&plan.iterations), "{}", plan.iterations);
    // A stall of 300 ms in the first: the next ticks do not dare to start, and stay on the earlier plan, unexplored.
    propose(2, 300);
    let late: Vec<_> = (3..40).map(|tick| propose(tick, 5)).collect();
    assert_eq!(late[0].source, PlanSource::Tail);
    let back = late.iter().position(|plan| plan.source == PlanSource::Fresh);
    assert!(back.is_some_and(|after| after < 20), "{back:?}");
    assert_eq!(late[36].iterations, 4, "and in the end it is forgotten");
    for plan in late.iter().take(back.unwrap_or(0)).skip(config.planner.horizon) {
        assert!(
            plan.action.iter().all(|action| *action == 0.0),
            "when the earlier plan has run out, the arm holds: {plan:?}"
        );
    }
}
