//! Weights in the order in which the kernel reads them.

use crate::arithmetic::Arithmetic;

/// Numbers of outputs that are computed together: each is compiled on its own.
pub(crate) const ROWS: [usize; 7] = [12, 8, 6, 4, 3, 2, 1];

/// How many of `left` outputs are computed next, at most `most`.
#[inline(always)]
pub(crate) fn rows(left: usize, most: usize) -> usize {
    let fits = |&&rows: &&usize| rows <= left && rows <= most;
    *ROWS.iter().find(fits).unwrap_or(&1)
}

/// One output: its bias, and its weights for each part of the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'a, const PARTS: usize> {
    pub(crate) bias: f32,
    pub(crate) weights: [&'a [f32]; PARTS],
}

/// A dense layer over an input of several parts. Weights lie block after block; within a block part after part, within
/// a part input after input, and for each input (or pack of inputs) the block's outputs side by side.
#[derive(Debug, Clone)]
pub(crate) struct Packed<A: Arithmetic> {
    pub(crate) outputs: usize,
    pub(crate) bias: Vec<f32>,
    pub(crate) weights: Vec<A::Weight>,
}

impl<A: Arithmetic> Packed<A> {
    /// Packs `outputs` in blocks of at most `most`.
    pub(crate) fn new<const PARTS: usize>(outputs: &[Output<'_, PARTS>], most: usize) -> Self {
        let mut weights = Vec::new();
        let mut left = outputs;
        while !left.is_empty() {
            let (block, rest) = left.split_at(rows(left.len(), most));
            for part in 0..PARTS {
                for first in (0..block[0].weights[part].len()).step_by(A::PACK) {
                    let of = |output: &Output<'_, PARTS>| A::weight(&output.weights[part][first..]);
                    weights.extend(block.iter().map(of));
                }
            }
            left = rest;
        }
        Self {
            outputs: outputs.len(),
            bias: outputs.iter().map(|output| output.bias).collect(),
            weights,
        }
    }
}
