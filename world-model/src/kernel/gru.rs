//! The recurrent cell for a block of units. Plain loops for the reason given in [`super::dense`].

use super::dense::{InputRow, Row, Skip, Use, accumulate, start};
use crate::arithmetic::Arithmetic;
use crate::lanes::Lanes;
use crate::math;

/// What is left to read of the GRU's weights.
pub(super) struct GruWeights<'a, A: Arithmetic> {
    pub(super) start: bool,
    /// Where there is no cell, the hidden units are the state: `input` is the identity.
    pub(super) feed_forward: bool,
    pub(super) gates: &'a [A::Weight],
    pub(super) gates_bias: &'a [f32],
    pub(super) state: &'a [A::Weight],
    pub(super) state_bias: &'a [f32],
    pub(super) input: &'a [A::Weight],
    pub(super) input_bias: &'a [f32],
}

impl<A: Arithmetic> GruWeights<'_, A> {
    /// The new state of `U` units, which have `G` = 2 `U` reset and update gates.
    #[inline(always)]
    pub(super) fn block<const N: usize, const U: usize, const G: usize>(
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
        if self.feed_forward {
            return from_input;
        }
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
