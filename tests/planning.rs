//! Plans: the same whatever back end of the `f32` family, number of threads, or split of the work; and none where there
//! can be none.

use controller::plan::{Limit, Plan, Planner};
use episode::{PlanRow, PlanSource};
use robot::config::{Latents, Method, Planner as Budget, RolloutBackend};
use robot::philox::Stream;
use world_model::kernel::Instructions;
use world_model::{Belief, Bundle};

use crate::{bundle, root};

fn config() -> robot::Config {
    robot::Config::load(&root().join("configs/sim-planar.ron")).expect("the shipped robot file")
}

/// A few plans in a row, as an episode makes them.
fn plans(bundle: &Bundle, budget: &Budget, spoil: impl Fn(&mut Belief)) -> Vec<PlanRow> {
    let config = config();
    let mut planner = Planner::new(bundle, budget).expect("this back end runs here");
    planner.reset(3);
    let mut stream = Stream::new(11, 2);
    let mut belief = Belief::initial(&bundle.dimensions());
    let mut from = config.envelope.home();
    (0..3)
        .map(|tick| {
            belief.h.fill_with(|| stream.normal().tanh());
            belief.s.fill_with(|| stream.normal());
            spoil(&mut belief);
            let row = planner.plan(tick, &from, &belief, &config.envelope, Limit::None);
            from = config.envelope.clamp(&from, &row.action).set_point;
            row
        })
        .collect()
}

fn budget(method: Method, backend: RolloutBackend, threads: usize) -> Budget {
    Budget {
        horizon: 4,
        iterations: 2,
        candidates: 75,
        elites: 10,
        method,
        backend,
        threads,
        latents: Latents::Sampled,
        ..config().planner
    }
}

const METHODS: [Method; 3] = [
    Method::Planet,
    Method::Icem { beta: 2.0 },
    Method::Mppi { temperature: 0.5 },
];

#[test]
fn a_plan_does_not_depend_on_back_end_or_threads() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let exact = [
        (RolloutBackend::Portable, Instructions::Portable),
        (RolloutBackend::Avx2, Instructions::Avx2),
        (RolloutBackend::Avx512, Instructions::Avx512),
    ];
    for method in METHODS {
        let reference = plans(&bundle, &budget(method, RolloutBackend::Scalar, 1), |_| {});
        assert!(reference.iter().all(|row| row.iterations == 2));
        for (backend, instructions) in exact {
            for threads in [1, 2, 3, 4] {
                // Plain Rust takes its multiply-adds from a library where the program may not assume the instruction.
                let slow = backend == RolloutBackend::Portable && threads != 2;
                if slow || !instructions.supported() {
                    continue;
                }
                let found = plans(&bundle, &budget(method, backend, threads), |_| {});
                assert_eq!(reference, found, "{method:?}, {backend:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn methods_differ_and_each_improves_on_its_first_iteration() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let mut seen: Vec<Vec<PlanRow>> = Vec::new();
    for method in METHODS {
        let of = |iterations| {
            let budget = Budget {
                iterations,
                // Then a sequence has one return, and the best ones of two searches can be compared.
                latents: Latents::Mean,
                ..budget(method, RolloutBackend::Simd, 2)
            };
            plans(&bundle, &budget, |_| {})
        };
        let (first, last) = (of(1), of(8));
        let best = |rows: &[PlanRow]| rows.iter().map(|row| row.best_return).sum::<f32>();
        assert!(
            best(&last) > best(&first),
            "{method:?}: {} after 1 iteration, {} after 8",
            best(&first),
            best(&last)
        );
        assert!(!seen.contains(&last), "{method:?} plans as another does");
        seen.push(last);
    }
}

#[test]
fn a_belief_that_is_no_number_gives_no_plan() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    for method in METHODS {
        for value in [f32::NAN, f32::INFINITY] {
            let budget = budget(method, RolloutBackend::Simd, 2);
            let rows = plans(&bundle, &budget, |belief| belief.h[7] = value);
            for row in rows {
                assert_eq!(
                    (row.source, row.iterations),
                    (PlanSource::None, 0),
                    "{method:?} {value}"
                );
                assert!(row.action.iter().all(|action| action.is_finite()));
            }
        }
    }
}
