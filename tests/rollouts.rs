//! One suite, every back end: imagined returns agree with the reference.

use robot::philox::Stream;
use world_model::{Belief, Bundle, NoiseKey, Rollout};

use crate::bundle;

/// Largest difference between back ends over returns of about ten: they add in different orders.
const TOLERANCE: f32 = 2e-3;

fn case(bundle: &Bundle, seed: u64, candidates: usize, horizon: usize) -> (Belief, Vec<f32>) {
    let mut stream = Stream::new(seed, 9);
    let mut belief = Belief::initial(&bundle.dimensions());
    belief.h.fill_with(|| stream.normal().tanh());
    belief.s.fill_with(|| stream.normal());
    let length = candidates * horizon * bundle.dimensions().action;
    (belief, (0..length).map(|_| stream.range(-1.0, 1.0)).collect())
}

fn returns(
    rollout: &mut dyn Rollout,
    belief: &Belief,
    actions: &[f32],
    horizon: usize,
    key: NoiseKey,
) -> Vec<f32> {
    let width = 2;
    let mut returns = vec![0.0; actions.len() / horizon / width];
    rollout
        .returns(belief, actions, horizon, key, 0, &mut returns)
        .expect("imagines");
    returns
}

#[test]
fn tract_agrees_with_scalar_on_random_beliefs() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    // More and fewer candidates than a tile, and a remainder.
    for (seed, candidates, horizon, sampled) in [(1, 5, 3, false), (2, 32, 4, true), (3, 45, 8, true)] {
        let (belief, actions) = case(&bundle, seed, candidates, horizon);
        let key = NoiseKey {
            seed,
            tick: 3,
            iteration: 1,
            sampled,
        };
        let scalar = returns(&mut bundle.scalar_rollout(), &belief, &actions, horizon, key);
        let mut tract = bundle.tract_rollout(8).expect("tract");
        let other = returns(&mut tract, &belief, &actions, horizon, key);
        for (a, b) in scalar.iter().zip(&other) {
            assert!(
                (a - b).abs() < TOLERANCE,
                "{candidates} candidates, H {horizon}: {a} {b}"
            );
        }
    }
}

#[test]
fn splitting_a_budget_over_calls_changes_no_bit() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (belief, actions) = case(&bundle, 4, 70, 5);
    let key = NoiseKey {
        seed: 4,
        tick: 0,
        iteration: 0,
        sampled: true,
    };
    let mut rollout = bundle.scalar_rollout();
    let whole = returns(&mut rollout, &belief, &actions, 5, key);
    let mut parts = vec![0.0; 70];
    let stride = 5 * 2;
    for (first, count) in [(0, 7), (7, 40), (47, 23)] {
        let part = &actions[first * stride..(first + count) * stride];
        rollout
            .returns(
                &belief,
                part,
                5,
                key,
                first as u32,
                &mut parts[first..first + count],
            )
            .expect("imagines");
    }
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&whole), bits(&parts));
    // The noise matters: without it the returns are others.
    let mean = returns(
        &mut rollout,
        &belief,
        &actions,
        5,
        NoiseKey {
            sampled: false,
            ..key
        },
    );
    assert_ne!(bits(&whole), bits(&mean));
}

#[test]
fn the_shipped_model_knows_the_reward_of_what_it_sees() {
    // Not a property of kernels but of the shipped model: the reward it predicts tracks the reward that came.
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = crate::session(
        controller::session::PolicyChoice::Planner { noise: 0.0 },
        robot::config::Pipeline::NextTick,
    );
    let log = crate::record(
        &session,
        dir.path(),
        controller::session::EVALUATION_SEEDS + 5000,
        60,
    );
    let log = episode::read_episode(&log).expect("log");
    let rows = || log.ticks.iter().skip(5);
    let error = rows()
        .map(|r| (r.filter.reward_predicted - r.capture.reward).abs())
        .sum::<f32>()
        / 55.0;
    assert!(error < 0.15, "mean absolute reward error {error}");
}
