//! One step of a tile of candidates. Plain loops for the reason given in [`super::dense`].

use super::dense::{InputRow, Raw, Relu, Row, Skip, Use, dense, half, splats};
use super::gru::GruWeights;
use super::network::Network;
use super::pack::rows;
use crate::arithmetic::Arithmetic;
use crate::belief::Belief;
use crate::lanes::Lanes;
use crate::math;
use crate::noise::{NoiseKey, Purpose};
use crate::weights::Cell;

/// No tile is wider.
pub(super) const WIDEST: usize = 64;

/// What a tile of `N` vectors is between two layers. At most `MOST` outputs a block.
pub(super) struct Scratch<A: Arithmetic, const N: usize, const MOST: usize> {
    pub(super) s: Vec<InputRow<A, N>>,
    pub(super) a: Vec<InputRow<A, N>>,
    hidden: Vec<InputRow<A, N>>,
    /// The state as numbers, and as inputs: of this step and of the next.
    pub(super) h: Vec<Row<A, N>>,
    pub(super) h_now: Vec<InputRow<A, N>>,
    h_next: Vec<InputRow<A, N>>,
    pub(super) prior: Vec<Row<A, N>>,
    /// Two layers in turn: a prior's or the reward head's.
    layers: [Vec<InputRow<A, N>>; 2],
    raw: Vec<Row<A, N>>,
    /// The belief that all candidates start from, and what it adds to each output of step 0.
    pub(super) start_h: Vec<f32>,
    shared_input: Vec<f32>,
    shared_gates: Vec<f32>,
    shared_state: Vec<f32>,
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Scratch<A, N, MOST> {
    pub(super) fn new(network: &Network<A>) -> Self {
        let rows = |n: usize| vec![[A::Lanes::splat(0.0); N]; n];
        let inputs = |n: usize| vec![[A::zero(); N]; n.div_ceil(A::PACK)];
        let widest = network
            .reward
            .iter()
            .map(|layer| layer.outputs)
            .max()
            .unwrap_or(1);
        let widest = widest.max(network.prior[0].outputs);
        Self {
            s: inputs(network.stochastic),
            a: inputs(network.action),
            hidden: inputs(network.input.outputs),
            h: rows(network.belief),
            h_now: inputs(network.belief),
            h_next: inputs(network.belief),
            prior: rows(2 * network.stochastic),
            layers: [inputs(widest), inputs(widest)],
            raw: rows(network.input.outputs.max(2 * network.belief)),
            start_h: vec![0.0; network.belief],
            shared_input: vec![0.0; network.input.outputs],
            shared_gates: vec![0.0; 2 * network.belief],
            shared_state: vec![0.0; network.belief],
        }
    }

    /// Every candidate at `start`; what the belief adds to the outputs of step 0.
    #[inline(always)]
    pub(super) fn begin(&mut self, network: &Network<A>, start: &Belief) {
        self.start_h.copy_from_slice(&start.h);
        for (i, value) in start.s.chunks(A::PACK).enumerate() {
            A::put(&mut self.s, i * A::PACK, &splats::<A, N>(value)[..value.len()]);
        }
        self.load_start();
        let Self {
            s,
            a,
            hidden,
            h_now,
            raw,
            ..
        } = self;
        let share = |raw: &[Row<A, N>], shared: &mut [f32]| {
            let mut lane = [0.0; WIDEST];
            for (row, shared) in raw.iter().zip(shared) {
                row[0].store(&mut lane);
                *shared = lane[0];
            }
        };
        let layer = &network.input;
        dense::<A, N, MOST, 2>(layer, &layer.bias, [Use(s), Skip(a)], &mut Raw(raw));
        share(raw, &mut self.shared_input);
        let layer = &network.gates;
        dense::<A, N, MOST, 2>(layer, &layer.bias, [Use(h_now), Skip(hidden)], &mut Raw(raw));
        share(raw, &mut self.shared_gates);
        let layer = &network.new_state;
        half::<A, N, MOST>(layer, &layer.bias, Use(h_now), &mut Raw(raw));
        share(raw, &mut self.shared_state);
    }

    #[inline(always)]
    pub(super) fn load_start(&mut self) {
        for (row, &value) in self.h.iter_mut().zip(&self.start_h) {
            *row = [A::Lanes::splat(value); N];
        }
        A::put(&mut self.h_now, 0, &self.h);
    }

    #[inline(always)]
    pub(super) fn set_actions(&mut self, network: &Network<A>, actions: &[f32], horizon: usize, step: usize) {
        let width = network.action;
        for first in (0..width).step_by(A::PACK) {
            let joints = (width - first).min(A::PACK);
            let mut values = [[A::Lanes::splat(0.0); N]; 2];
            for (k, row) in values.iter_mut().enumerate().take(joints) {
                let mut lanes = [0.0; WIDEST];
                for (lane, sequence) in lanes.iter_mut().zip(actions.chunks_exact(horizon * width)) {
                    *lane = sequence[step * width + first + k];
                }
                for (n, vector) in row.iter_mut().enumerate() {
                    *vector = A::Lanes::load(&lanes[n * A::Lanes::COUNT..]);
                }
            }
            A::put(&mut self.a, first, &values[..joints]);
        }
    }

    /// `h_t` from the last latent and the action, then the prior's raw parameters. At `start` the belief's part of each
    /// output is already known.
    #[inline(always)]
    pub(super) fn advance(&mut self, network: &Network<A>, start: bool) {
        let part = |inputs| if start { Skip(inputs) } else { Use(inputs) };
        let layer = &network.input;
        let bias = if start { &self.shared_input } else { &layer.bias };
        let parts = [part(self.s.as_slice()), Use(self.a.as_slice())];
        dense::<A, N, MOST, 2>(layer, bias, parts, &mut Relu::<A, N>(&mut self.hidden));
        self.gru(network, start);
        std::mem::swap(&mut self.h_now, &mut self.h_next);
        let [hidden, _] = &mut self.layers;
        let layer = &network.prior[0];
        dense::<A, N, MOST, 1>(layer, &layer.bias, [Use(&self.h_now)], &mut Relu::<A, N>(hidden));
        let hidden = &hidden[..layer.outputs.div_ceil(A::PACK)];
        let layer = &network.prior[1];
        dense::<A, N, MOST, 1>(layer, &layer.bias, [Use(hidden)], &mut Raw(&mut self.prior));
    }

    #[inline(always)]
    fn gru(&mut self, network: &Network<A>, start: bool) {
        let Network {
            gates,
            new_state,
            new_input,
            ..
        } = network;
        let mut weights = GruWeights::<A> {
            start,
            feed_forward: network.cell == Cell::FeedForward,
            gates: &gates.weights,
            gates_bias: if start { &self.shared_gates } else { &gates.bias },
            state: &new_state.weights,
            state_bias: if start {
                &self.shared_state
            } else {
                &new_state.bias
            },
            input: &new_input.weights,
            input_bias: &new_input.bias,
        };
        let mut unit = 0;
        while unit < network.belief {
            let block = rows(network.belief - unit, MOST / 2);
            let Self {
                h,
                h_now,
                h_next,
                hidden,
                ..
            } = self;
            macro_rules! units {
                ($units:literal) => {
                    if MOST / 2 >= $units {
                        let new = weights.block::<N, $units, { 2 * $units }>(h_now, hidden, &h[unit..]);
                        h[unit..unit + $units].copy_from_slice(&new);
                        A::put(h_next, unit, &new);
                    }
                };
            }
            match block {
                6 => units!(6),
                4 => units!(4),
                3 => units!(3),
                2 => units!(2),
                _ => units!(1),
            }
            unit += block;
        }
    }

    /// The next stochastic state: a sample keyed by candidate and step, or the mean.
    #[inline(always)]
    pub(super) fn take_latent(&mut self, network: &Network<A>, noise: Option<(NoiseKey, u32, u32)>) {
        let stochastic = network.stochastic;
        let Some((noise, first_candidate, step)) = noise else {
            return A::put(&mut self.s, 0, &self.prior[..stochastic]);
        };
        let min_std = A::Lanes::splat(network.min_std);
        for first in (0..stochastic).step_by(4) {
            let mut values = [[A::Lanes::splat(0.0); N]; 4];
            let features = (stochastic - first).min(4);
            for n in 0..N {
                let candidate = first_candidate + (n * A::Lanes::COUNT) as u32;
                let eps: [A::Lanes; 4] =
                    noise.normal_block(Purpose::Latent, candidate, step, first as u32 / 4);
                for k in 0..features {
                    let std = math::softplus(self.prior[stochastic + first + k][n]) + min_std;
                    values[k][n] = std.fused(eps[k], self.prior[first + k][n]);
                }
            }
            A::put(&mut self.s, first, &values[..features]);
        }
    }

    /// The reward head's mean.
    #[inline(always)]
    pub(super) fn reward(&mut self, network: &Network<A>) -> Row<A, N> {
        let mut out = [[A::Lanes::splat(0.0); N]];
        let [mut from, mut to] = self.layers.each_mut();
        let last = network.reward.len() - 1;
        let layer = &network.reward[0];
        let parts = [Use(self.s.as_slice()), Use(self.h_now.as_slice())];
        if last == 0 {
            dense::<A, N, MOST, 2>(layer, &layer.bias, parts, &mut Raw(&mut out));
        } else {
            dense::<A, N, MOST, 2>(layer, &layer.bias, parts, &mut Relu::<A, N>(from));
        }
        for (index, layer) in network.reward.iter().enumerate().skip(1) {
            let width = network.reward[index - 1].outputs;
            let parts = [Use(&from[..width.div_ceil(A::PACK)])];
            if index == last {
                dense::<A, N, MOST, 1>(layer, &layer.bias, parts, &mut Raw(&mut out));
            } else {
                dense::<A, N, MOST, 1>(layer, &layer.bias, parts, &mut Relu::<A, N>(to));
            }
            (from, to) = (to, from);
        }
        out[0]
    }
}
