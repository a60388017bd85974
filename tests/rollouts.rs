//! One suite, every back end: imagined returns agree with the reference.

use controller::beliefs;
use controller::session::{EVALUATION_SEEDS, PolicyChoice};
use robot::config::Pipeline;
use robot::philox::Stream;
use world_model::kernel::{INSTRUCTIONS, Instructions};
use world_model::parity::{BF16_TOLERANCE, RETURN_TOLERANCE, error};
use world_model::{Belief, Bundle, KernelRollout, NoiseKey, Rollout};

use crate::{bundle, record, session};

/// A belief, and candidates to imagine from it.
struct Case {
    name: String,
    belief: Belief,
    actions: Vec<f32>,
    horizon: usize,
    key: NoiseKey,
}

impl Case {
    fn of(
        name: String,
        belief: Belief,
        seed: u64,
        (candidates, horizon): (usize, usize),
        sampled: bool,
    ) -> Self {
        let mut stream = Stream::new(seed, 9);
        Self {
            name: format!("{name}, {candidates} candidates, H {horizon}, sampled: {sampled}"),
            belief,
            actions: (0..candidates * horizon * 2)
                .map(|_| stream.range(-1.0, 1.0))
                .collect(),
            horizon,
            key: NoiseKey {
                seed,
                tick: 3,
                iteration: 1,
                sampled,
            },
        }
    }

    fn returns(&self, rollout: &mut dyn Rollout) -> Vec<f32> {
        returns(rollout, &self.belief, &self.actions, self.horizon, self.key)
    }
}

/// More and fewer candidates than a tile, and remainders; from random beliefs, and from those of a recorded episode.
fn cases(bundle: &Bundle) -> Vec<Case> {
    let random = [
        (1, (5, 3), false),
        (2, (32, 1), true),
        (3, (75, 8), true),
        (4, (33, 12), true),
    ];
    let mut cases: Vec<Case> = random
        .into_iter()
        .map(|(seed, shape, sampled)| {
            let (belief, _) = case(bundle, seed, 1, 1);
            Case::of(format!("random belief {seed}"), belief, seed, shape, sampled)
        })
        .collect();
    let dir = tempfile::tempdir().expect("temporary folder");
    let session = session(PolicyChoice::Planner { noise: 0.3 }, Pipeline::NextTick);
    let log = record(&session, dir.path(), EVALUATION_SEEDS + 70, 30);
    let recorded = beliefs::of_log(&log, bundle).expect("situations");
    for (tick, shape, sampled) in [
        (0, (32, 4), true),
        (7, (45, 12), true),
        (15, (64, 8), false),
        (29, (20, 16), true),
    ] {
        let belief = recorded[tick].belief.clone();
        cases.push(Case::of(
            format!("recorded belief {tick}"),
            belief,
            tick as u64,
            shape,
            sampled,
        ));
    }
    cases
}

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
    rollout.begin(belief);
    rollout
        .returns(actions, horizon, key, 0, &mut returns)
        .expect("imagines");
    returns
}

#[test]
fn tract_agrees_with_scalar() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let mut tract = bundle.tract_rollout(8).expect("tract");
    for case in cases(&bundle) {
        let scalar = case.returns(&mut bundle.scalar_rollout());
        let error = error(&case.returns(&mut tract), &scalar);
        assert!(error < RETURN_TOLERANCE, "{}: relative error {error}", case.name);
    }
}

/// Every kernel that this CPU can run, in `f32`.
fn exact_kernels(bundle: &Bundle) -> Vec<KernelRollout> {
    INSTRUCTIONS
        .into_iter()
        .filter(|instructions| *instructions != Instructions::Bf16 && instructions.supported())
        .map(|instructions| KernelRollout::new(&bundle.weights(), instructions).expect("supported"))
        .collect()
}

#[test]
fn single_precision_kernels_have_the_bits_of_scalar() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    for case in cases(&bundle) {
        let scalar = case.returns(&mut bundle.scalar_rollout());
        for mut kernel in exact_kernels(&bundle) {
            let found = case.returns(&mut kernel);
            assert_eq!(bits(&scalar), bits(&found), "{}, {kernel:?}", case.name);
        }
    }
}

#[test]
fn sixteen_bit_kernels_stay_close() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let kernel = KernelRollout::new(&bundle.weights(), Instructions::Bf16);
    if !Instructions::Bf16.supported() {
        assert!(kernel.is_err(), "a CPU without these instructions is told so");
        return;
    }
    let mut kernel = kernel.expect("supported");
    for case in cases(&bundle) {
        let scalar = case.returns(&mut bundle.scalar_rollout());
        let error = error(&case.returns(&mut kernel), &scalar);
        assert!(error < BF16_TOLERANCE, "{}: relative error {error}", case.name);
        assert!(error > 0.0, "{}: as if it computed with 32 bits", case.name);
    }
}

#[test]
fn a_candidate_that_is_no_number_stays_none() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (mut belief, mut actions) = case(&bundle, 7, 40, 4);
    let key = NoiseKey {
        seed: 7,
        tick: 0,
        iteration: 0,
        sampled: true,
    };
    actions[4 * 2 * 3] = f32::NAN;
    let mut all: Vec<Box<dyn Rollout>> = vec![Box::new(bundle.scalar_rollout())];
    for kernel in exact_kernels(&bundle) {
        all.push(Box::new(kernel));
    }
    for rollout in &mut all {
        let found = returns(rollout.as_mut(), &belief, &actions, 4, key);
        for (index, value) in found.iter().enumerate() {
            assert_eq!(
                value.is_nan(),
                index == 3,
                "candidate {index} of {}: {value}",
                rollout.name()
            );
        }
    }
    belief.h[5] = f32::NAN;
    for rollout in &mut all {
        let found = returns(rollout.as_mut(), &belief, &actions, 4, key);
        assert!(found.iter().all(|value| value.is_nan()), "{}", rollout.name());
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
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
            .returns(part, 5, key, first as u32, &mut parts[first..first + count])
            .expect("imagines");
    }
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
    let session = session(PolicyChoice::Planner { noise: 0.0 }, Pipeline::NextTick);
    let log = record(&session, dir.path(), EVALUATION_SEEDS + 5000, 60);
    let log = episode::read_episode(&log).expect("log");
    let rows = || log.ticks.iter().skip(5);
    let error = rows()
        .map(|r| (r.filter.reward_predicted - r.capture.reward.expect("simulators give one")).abs())
        .sum::<f32>()
        / 55.0;
    assert!(error < 0.15, "mean absolute reward error {error}");
}
