//! One tile of candidates, step after step. Plain loops for the reason given in [`super::dense`].

use std::sync::Arc;

use super::Kernel;
use super::arithmetic::{Arithmetic, Job};
use super::dense::{
    InputRow, Raw, Relu, Row, Skip, Use, accumulate, dense, half, outputs, outputs_of_two, splats, start,
};
use super::pack::{Output, Packed, rows};
use crate::filter::Belief;
use crate::lanes::Lanes;
use crate::math;
use crate::noise::{NoiseKey, Purpose};
use crate::weights::{Dense, LatentWeights};

/// Packed weights, and what a tile needs. `N` vectors a tile, at most `MOST` outputs a block.
pub(super) struct Tiles<A: Arithmetic, const N: usize, const MOST: usize> {
    network: Network<A>,
    wide: Scratch<A, N, MOST>,
    /// For what is left of a budget when one vector holds it.
    narrow: Scratch<A, 1, MOST>,
    returns: [f32; WIDEST],
}

/// No tile is wider.
const WIDEST: usize = 64;

pub(super) struct Network<A: Arithmetic> {
    pub(super) stochastic: usize,
    pub(super) belief: usize,
    pub(super) action: usize,
    pub(super) min_std: f32,
    /// `[s, a]` to hidden.
    input: Packed<A>,
    /// `[h, hidden]` to reset and update gates, a block's reset gates before its update gates.
    gates: Packed<A>,
    /// `h` to its part of the new state; hidden to its part.
    new_state: Packed<A>,
    new_input: Packed<A>,
    prior: [Packed<A>; 2],
    /// First layer over `[s, h]`.
    reward: Vec<Packed<A>>,
}

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

impl<A: Arithmetic> Network<A> {
    pub(super) fn new(weights: &LatentWeights, most: usize) -> Self {
        let d = weights.dimensions;
        let (state, input) = (&weights.gru_state, &weights.gru_input);
        let row = |layer: &Dense, o: usize| o * layer.input..(o + 1) * layer.input;
        let mut gates = Vec::new();
        let mut unit = 0;
        while unit < d.belief {
            let block = rows(d.belief - unit, most / 2);
            for gate in [0, d.belief] {
                gates.extend((gate + unit..gate + unit + block).map(|o| Output {
                    bias: state.bias[o] + input.bias[o],
                    weights: [&state.weight[row(state, o)], &input.weight[row(input, o)]],
                }));
            }
            unit += block;
        }
        let new = |layer| outputs(layer).split_off(2 * d.belief);
        let mut reward = vec![Packed::new(
            &outputs_of_two(&weights.reward[0], d.stochastic),
            most,
        )];
        reward.extend(
            weights.reward[1..]
                .iter()
                .map(|layer| Packed::new(&outputs(layer), most)),
        );
        Self {
            stochastic: d.stochastic,
            belief: d.belief,
            action: d.action,
            min_std: weights.min_std,
            input: Packed::new(&outputs_of_two(&weights.input, d.stochastic), most),
            gates: Packed::new(&gates, most),
            new_state: Packed::new(&new(state), most / 2),
            new_input: Packed::new(&new(input), most / 2),
            prior: weights
                .prior
                .each_ref()
                .map(|layer| Packed::new(&outputs(layer), most)),
            reward,
        }
    }
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Tiles<A, N, MOST> {
    const WIDTH: usize = N * A::Lanes::COUNT;

    pub(super) fn new(weights: &Arc<LatentWeights>) -> Self {
        assert!(
            Self::WIDTH <= WIDEST,
            "a tile is at most {WIDEST} candidates wide"
        );
        let network = Network::new(weights, MOST);
        Self {
            wide: Scratch::new(&network),
            narrow: Scratch::new(&network),
            network,
            returns: [0.0; WIDEST],
        }
    }
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Kernel for Tiles<A, N, MOST> {
    fn begin(&mut self, start: &Belief) {
        let network = &self.network;
        A::enter(&mut Begin {
            network,
            scratch: &mut self.wide,
            start,
        });
        A::enter(&mut Begin {
            network,
            scratch: &mut self.narrow,
            start,
        });
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) {
        let stride = horizon * self.network.action;
        for (tile, chunk) in returns.chunks_mut(Self::WIDTH).enumerate() {
            let first = tile * Self::WIDTH;
            let tile = Tile {
                actions: &actions[first * stride..(first + chunk.len()) * stride],
                horizon,
                noise,
                first_candidate: first_candidate + first as u32,
            };
            let (network, returns) = (&self.network, &mut self.returns);
            if chunk.len() <= A::Lanes::COUNT {
                let scratch = &mut self.narrow;
                A::enter(&mut Returns {
                    network,
                    scratch,
                    tile,
                    returns,
                });
            } else {
                let scratch = &mut self.wide;
                A::enter(&mut Returns {
                    network,
                    scratch,
                    tile,
                    returns,
                });
            }
            chunk.copy_from_slice(&self.returns[..chunk.len()]);
        }
    }
}

struct Begin<'a, A: Arithmetic, const N: usize, const MOST: usize> {
    network: &'a Network<A>,
    scratch: &'a mut Scratch<A, N, MOST>,
    start: &'a Belief,
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Job for Begin<'_, A, N, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        self.scratch.begin(self.network, self.start);
    }
}

/// Candidates that go side by side.
#[derive(Clone, Copy)]
struct Tile<'a> {
    actions: &'a [f32],
    horizon: usize,
    noise: NoiseKey,
    first_candidate: u32,
}

struct Returns<'a, A: Arithmetic, const N: usize, const MOST: usize> {
    network: &'a Network<A>,
    scratch: &'a mut Scratch<A, N, MOST>,
    tile: Tile<'a>,
    returns: &'a mut [f32],
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Job for Returns<'_, A, N, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        let (network, scratch) = (self.network, &mut *self.scratch);
        scratch.load_start();
        let mut sums = [A::Lanes::splat(0.0); N];
        let Tile {
            actions,
            horizon,
            noise,
            first_candidate,
        } = self.tile;
        for step in 0..horizon {
            scratch.set_actions(network, actions, horizon, step);
            scratch.advance(network, step == 0);
            let noise = noise.sampled.then_some((noise, first_candidate, step as u32));
            scratch.take_latent(network, noise);
            let rewards = scratch.reward(network);
            for n in 0..N {
                sums[n] = sums[n] + rewards[n];
            }
        }
        for (sum, chunk) in sums
            .into_iter()
            .zip(self.returns.chunks_exact_mut(A::Lanes::COUNT))
        {
            sum.store(chunk);
        }
    }
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
    fn begin(&mut self, network: &Network<A>, start: &Belief) {
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
    fn set_actions(&mut self, network: &Network<A>, actions: &[f32], horizon: usize, step: usize) {
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
    fn take_latent(&mut self, network: &Network<A>, noise: Option<(NoiseKey, u32, u32)>) {
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

/// What is left to read of the GRU's weights.
struct GruWeights<'a, A: Arithmetic> {
    start: bool,
    gates: &'a [A::Weight],
    gates_bias: &'a [f32],
    state: &'a [A::Weight],
    state_bias: &'a [f32],
    input: &'a [A::Weight],
    input_bias: &'a [f32],
}

impl<A: Arithmetic> GruWeights<'_, A> {
    /// The new state of `U` units, which have `G` = 2 `U` reset and update gates.
    #[inline(always)]
    fn block<const N: usize, const U: usize, const G: usize>(
        &mut self,
        h: &[InputRow<A, N>],
        hidden: &[InputRow<A, N>],
        before: &[Row<A, N>],
    ) -> [Row<A, N>; U] {
        let state = if self.start { Skip(h) } else { Use(h) };
        let mut gates = start::<A, N, G>(self.gates_bias);
        accumulate::<A, N, G>(&mut self.gates, state, &mut gates);
        accumulate::<A, N, G>(&mut self.gates, Use(hidden), &mut gates);
        let mut from_state = start::<A, N, U>(self.state_bias);
        accumulate::<A, N, U>(&mut self.state, state, &mut from_state);
        let mut from_input = start::<A, N, U>(self.input_bias);
        accumulate::<A, N, U>(&mut self.input, Use(hidden), &mut from_input);
        (self.gates_bias, self.state_bias) = (&self.gates_bias[G..], &self.state_bias[U..]);
        self.input_bias = &self.input_bias[U..];
        let mut after = [[A::Lanes::splat(0.0); N]; U];
        for unit in 0..U {
            for n in 0..N {
                let reset = math::sigmoid(gates[unit][n]);
                let update = math::sigmoid(gates[U + unit][n]);
                let new = math::tanh(reset.fused(from_state[unit][n], from_input[unit][n]));
                after[unit][n] = update.fused(before[unit][n] - new, new);
            }
        }
        after
    }
}
