//! What a log's beliefs are: those that the recorded plans were made from.

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
