//! The latent network's weights, packed in the order in which a step reads them.

use super::dense::{outputs, outputs_of_two};
use super::pack::{Output, Packed, rows};
use crate::arithmetic::Arithmetic;
use crate::weights::{Cell, Dense, LatentWeights};

/// All layers that a step needs.
pub(super) struct Network<A: Arithmetic> {
    pub(super) stochastic: usize,
    pub(super) belief: usize,
    pub(super) action: usize,
    pub(super) min_std: f32,
    pub(super) cell: Cell,
    /// `[s, a]` to hidden.
    pub(super) input: Packed<A>,
    /// `[h, hidden]` to reset and update gates, a block's reset gates before its update gates.
    pub(super) gates: Packed<A>,
    /// `h` to its part of the new state; hidden to its part.
    pub(super) new_state: Packed<A>,
    pub(super) new_input: Packed<A>,
    pub(super) prior: [Packed<A>; 2],
    /// First layer over `[s, h]`.
    pub(super) reward: Vec<Packed<A>>,
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
            cell: weights.cell,
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
