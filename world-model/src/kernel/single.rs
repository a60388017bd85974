//! One belief: the filter's update and the prior's, and the reward head. All lanes carry the same numbers, which wastes
//! them, but one source then gives the filter the bits of the rollouts, on every CPU.

use std::sync::Arc;

use super::dense::{InputRow, Raw, Relu, Row, Use, dense, outputs, outputs_of_two, splats};
use super::network::Network;
use super::pack::Packed;
use super::step::Scratch;
use crate::arithmetic::{Arithmetic, Job};
use crate::belief::Belief;
use crate::lanes::Lanes;
use crate::math;
use crate::weights::{Cell, Dense, LatentWeights};

/// Mean and standard deviation of a diagonal Gaussian.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaussian {
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

/// What is left of an executor's type when its vectors are forgotten.
pub(crate) trait Beliefs: Send {
    /// `h` under `action`, and the prior over `s`, which moves to its mean.
    fn predict(&mut self, belief: &mut Belief, action: &[f32], prior: &mut Gaussian);

    /// The same with a frame's embedding: `s` moves to the posterior's mean.
    fn observe(
        &mut self,
        belief: &mut Belief,
        action: &[f32],
        embedding: &[f32],
        prior: &mut Gaussian,
        posterior: &mut Gaussian,
    );

    /// The reward head's mean.
    fn reward(&mut self, belief: &Belief) -> f32;
}

/// The executor. At most `MOST` outputs a block.
pub(super) struct Single<A: Arithmetic, const MOST: usize> {
    network: Network<A>,
    /// Over `[h, embedding]`, or, without a recurrent cell, over the prior's mean and standard deviation and the embedding.
    posterior: [Packed<A>; 2],
    /// These two as numbers and as inputs.
    prior: Vec<f32>,
    prior_inputs: Vec<InputRow<A, 1>>,
    scratch: Scratch<A, 1, MOST>,
    embedding: Vec<InputRow<A, 1>>,
    hidden: Vec<InputRow<A, 1>>,
    raw: Vec<Row<A, 1>>,
}

impl<A: Arithmetic, const MOST: usize> Single<A, MOST> {
    /// Packs the weights and sizes all buffers.
    pub(super) fn new(weights: &Arc<LatentWeights>, posterior: &[Dense; 2]) -> Self {
        let network = Network::new(weights, MOST);
        let d = weights.dimensions;
        let inputs = |n: usize| vec![[A::zero()]; n.div_ceil(A::PACK)];
        Self {
            scratch: Scratch::new(&network),
            embedding: inputs(d.embedding),
            hidden: inputs(posterior[0].output),
            raw: vec![[A::Lanes::splat(0.0)]; 2 * d.stochastic],
            prior: vec![0.0; 2 * d.stochastic],
            prior_inputs: inputs(2 * d.stochastic),
            posterior: [
                Packed::new(&outputs_of_two(&posterior[0], weights.cell.known(&d)), MOST),
                Packed::new(&outputs(&posterior[1]), MOST),
            ],
            network,
        }
    }

    #[inline(always)]
    fn load(&mut self, belief: &Belief, action: &[f32]) {
        self.scratch.start_h.copy_from_slice(&belief.h);
        self.scratch.load_start();
        put::<A>(&mut self.scratch.s, &belief.s);
        put::<A>(&mut self.scratch.a, action);
    }
}

/// Each number in every lane of its row.
#[inline(always)]
fn put<A: Arithmetic>(inputs: &mut [InputRow<A, 1>], values: &[f32]) {
    for (index, pack) in values.chunks(A::PACK).enumerate() {
        A::put(inputs, index * A::PACK, &splats::<A, 1>(pack)[..pack.len()]);
    }
}

/// The first lane of each row.
#[inline(always)]
fn take<V: Lanes>(rows: &[[V; 1]], values: &mut [f32]) {
    let mut lanes = [0.0; WIDEST];
    for (row, value) in rows.iter().zip(values) {
        row[0].store(&mut lanes);
        *value = lanes[0];
    }
}

/// No vector has more lanes.
const WIDEST: usize = 16;

/// Mean and raw standard deviations, one after the other, to a Gaussian.
fn gaussian<A: Arithmetic>(raw: &[Row<A, 1>], min_std: f32, out: &mut Gaussian) {
    let stochastic = out.mean.len();
    take(&raw[..stochastic], &mut out.mean);
    take(&raw[stochastic..], &mut out.std);
    for std in &mut out.std {
        *std = math::softplus(*std) + min_std;
    }
}

struct Update<'a, A: Arithmetic, const MOST: usize> {
    single: &'a mut Single<A, MOST>,
    belief: &'a Belief,
    action: &'a [f32],
    embedding: Option<&'a [f32]>,
}

impl<A: Arithmetic, const MOST: usize> Job for Update<'_, A, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        let single = &mut *self.single;
        single.load(self.belief, self.action);
        single.scratch.advance(&single.network, false);
        let Some(embedding) = self.embedding else { return };
        put::<A>(&mut single.embedding, embedding);
        let [first, second] = &single.posterior;
        let known = match single.network.cell {
            Cell::Gru => single.scratch.h_now.as_slice(),
            Cell::FeedForward => {
                take(&single.scratch.prior, &mut single.prior);
                let stochastic = single.prior.len() / 2;
                for std in &mut single.prior[stochastic..] {
                    *std = math::softplus(*std) + single.network.min_std;
                }
                put::<A>(&mut single.prior_inputs, &single.prior);
                single.prior_inputs.as_slice()
            }
        };
        let parts = [Use(known), Use(single.embedding.as_slice())];
        dense::<A, 1, MOST, 2>(first, &first.bias, parts, &mut Relu::<A, 1>(&mut single.hidden));
        let parts = [Use(single.hidden.as_slice())];
        dense::<A, 1, MOST, 1>(second, &second.bias, parts, &mut Raw(&mut single.raw));
    }
}

struct Reward<'a, A: Arithmetic, const MOST: usize> {
    single: &'a mut Single<A, MOST>,
    belief: &'a Belief,
    value: f32,
}

impl<A: Arithmetic, const MOST: usize> Job for Reward<'_, A, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        self.single.load(self.belief, &[]);
        let row = self.single.scratch.reward(&self.single.network);
        let mut value = [0.0];
        take(&[row], &mut value);
        self.value = value[0];
    }
}

impl<A: Arithmetic, const MOST: usize> Beliefs for Single<A, MOST> {
    fn predict(&mut self, belief: &mut Belief, action: &[f32], prior: &mut Gaussian) {
        A::enter(&mut Update {
            single: self,
            belief,
            action,
            embedding: None,
        });
        gaussian::<A>(&self.scratch.prior, self.network.min_std, prior);
        take(&self.scratch.h, &mut belief.h);
        belief.s.copy_from_slice(&prior.mean);
    }

    fn observe(
        &mut self,
        belief: &mut Belief,
        action: &[f32],
        embedding: &[f32],
        prior: &mut Gaussian,
        posterior: &mut Gaussian,
    ) {
        A::enter(&mut Update {
            single: self,
            belief,
            action,
            embedding: Some(embedding),
        });
        gaussian::<A>(&self.scratch.prior, self.network.min_std, prior);
        gaussian::<A>(&self.raw, self.network.min_std, posterior);
        take(&self.scratch.h, &mut belief.h);
        belief.s.copy_from_slice(&posterior.mean);
    }

    fn reward(&mut self, belief: &Belief) -> f32 {
        let mut job = Reward {
            single: self,
            belief,
            value: 0.0,
        };
        A::enter(&mut job);
        job.value
    }
}
