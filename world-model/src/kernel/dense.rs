//! Dense layers over tiles: the products that nearly all the time goes into.
//!
//! Everything here is inlined into [`Arithmetic::enter`]'s functions, where the CPU's instructions are allowed: a closure
//! given to the standard library (`array::from_fn`, `map`) would be compiled without them. Hence the plain loops.

use super::pack::{Output, Packed, rows};
use crate::arithmetic::Arithmetic;
use crate::lanes::Lanes;
use crate::math;
use crate::weights::Dense;

/// A feature of a tile, as a number.
pub(super) type Row<A, const N: usize> = [<A as Arithmetic>::Lanes; N];

/// A feature (or pack of features) of a tile, as an input of a matrix product.
pub(super) type InputRow<A, const N: usize> = [<A as Arithmetic>::Input; N];

pub(super) fn outputs(layer: &Dense) -> Vec<Output<'_, 1>> {
    let row = |o: usize| Output {
        bias: layer.bias[o],
        weights: [&layer.weight[o * layer.input..][..layer.input]],
    };
    (0..layer.output).map(row).collect()
}

/// The same, with the input in two parts, the first of which has `first` features.
pub(super) fn outputs_of_two(layer: &Dense, first: usize) -> Vec<Output<'_, 2>> {
    let row = |o: usize| {
        let (a, b) = layer.weight[o * layer.input..][..layer.input].split_at(first);
        Output {
            bias: layer.bias[o],
            weights: [a, b],
        }
    };
    (0..layer.output).map(row).collect()
}

/// One or two numbers, each in every lane.
#[inline(always)]
pub(super) fn splats<A: Arithmetic, const N: usize>(values: &[f32]) -> [Row<A, N>; 2] {
    let value = |k: usize| values.get(k).copied().unwrap_or(0.0);
    [[A::Lanes::splat(value(0)); N], [A::Lanes::splat(value(1)); N]]
}

/// A part of a layer's input: taken, or known already in the bias, so that its weights are passed over.
#[derive(Clone, Copy)]
pub(super) enum Part<'a, T> {
    Use(&'a [T]),
    Skip(&'a [T]),
}
pub(super) use Part::{Skip, Use};

/// Where a layer's outputs go.
pub(super) trait Sink<V> {
    fn take(&mut self, first: usize, values: &mut [V]);
}

/// As numbers.
pub(super) struct Raw<'a, V>(pub(super) &'a mut [V]);

impl<V: Copy> Sink<V> for Raw<'_, V> {
    #[inline(always)]
    fn take(&mut self, first: usize, values: &mut [V]) {
        self.0[first..first + values.len()].copy_from_slice(values);
    }
}

/// Through ReLU, as inputs of the next layer.
pub(super) struct Relu<'a, A: Arithmetic, const N: usize>(pub(super) &'a mut [InputRow<A, N>]);

impl<A: Arithmetic, const N: usize> Sink<Row<A, N>> for Relu<'_, A, N> {
    #[inline(always)]
    fn take(&mut self, first: usize, values: &mut [Row<A, N>]) {
        for row in values.iter_mut() {
            for value in row {
                *value = math::relu(*value);
            }
        }
        A::put(self.0, first, values);
    }
}

/// `bias + W x` for every output of a layer, block by block.
#[inline(always)]
pub(super) fn dense<A: Arithmetic, const N: usize, const MOST: usize, const PARTS: usize>(
    layer: &Packed<A>,
    bias: &[f32],
    parts: [Part<'_, InputRow<A, N>>; PARTS],
    sink: &mut impl Sink<Row<A, N>>,
) {
    let mut weights = layer.weights.as_slice();
    let mut first = 0;
    while first < layer.outputs {
        let block = rows(layer.outputs - first, MOST);
        macro_rules! outputs {
            ($rows:literal) => {
                if MOST >= $rows {
                    let mut sums = start::<A, N, $rows>(&bias[first..]);
                    for part in parts {
                        accumulate::<A, N, $rows>(&mut weights, part, &mut sums);
                    }
                    sink.take(first, &mut sums);
                }
            };
        }
        match block {
            12 => outputs!(12),
            8 => outputs!(8),
            6 => outputs!(6),
            4 => outputs!(4),
            3 => outputs!(3),
            2 => outputs!(2),
            _ => outputs!(1),
        }
        first += block;
    }
}

/// The same for a layer that was packed in blocks of half the size.
#[inline(always)]
pub(super) fn half<A: Arithmetic, const N: usize, const MOST: usize>(
    layer: &Packed<A>,
    bias: &[f32],
    part: Part<'_, InputRow<A, N>>,
    sink: &mut impl Sink<Row<A, N>>,
) {
    if MOST == 12 {
        dense::<A, N, 6, 1>(layer, bias, [part], sink);
    } else {
        dense::<A, N, 3, 1>(layer, bias, [part], sink);
    }
}

#[inline(always)]
pub(super) fn start<A: Arithmetic, const N: usize, const R: usize>(bias: &[f32]) -> [Row<A, N>; R] {
    let mut sums = [[A::Lanes::splat(0.0); N]; R];
    for (row, &bias) in sums.iter_mut().zip(bias) {
        *row = [A::Lanes::splat(bias); N];
    }
    sums
}

/// Adds a part's products to `R` outputs, inputs in ascending order, and moves on in the weights.
#[inline(always)]
pub(super) fn accumulate<A: Arithmetic, const N: usize, const R: usize>(
    weights: &mut &[A::Weight],
    part: Part<'_, InputRow<A, N>>,
    sums: &mut [Row<A, N>; R],
) {
    let (Use(inputs) | Skip(inputs)) = part;
    let (these, rest) = weights.split_at(R * inputs.len());
    *weights = rest;
    if let Skip(_) = part {
        return;
    }
    // In a variable of its own, so that the sums stay in registers.
    let mut local = *sums;
    for (row, input) in these.as_chunks::<R>().0.iter().zip(inputs) {
        for r in 0..R {
            for n in 0..N {
                local[r][n] = A::multiply_add(row[r], input[n], local[r][n]);
            }
        }
    }
    *sums = local;
}
