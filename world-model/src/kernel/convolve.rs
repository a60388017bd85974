//! The encoder: strided convolutions as products of their weights with patches, a tile of positions at a time.

use super::dense::{Row, Sink, Use, dense};
use super::pack::{Output, Packed};
use crate::arithmetic::{Arithmetic, Job};
use crate::lanes::Lanes;
use crate::math;
use crate::weights::Convolution;

/// What is left of an executor's type when its vectors are forgotten.
pub(crate) trait Convolve: Send {
    /// Planes `[channels][height][width]` to the last layer's, flat.
    fn run(&mut self, planes: &[f32], embedding: &mut [f32]);
}

struct Layer<A: Arithmetic> {
    weights: Packed<A>,
    stride: usize,
    side: usize,
    side_out: usize,
    /// Where each input of a product lies, from the corner of its patch.
    offsets: Vec<usize>,
    /// `[channels][height][width]` of what it gives.
    planes: Vec<f32>,
}

/// The executor. `N` vectors of positions a tile, at most `MOST` channels a block.
pub(super) struct Convolutions<A: Arithmetic, const N: usize, const MOST: usize> {
    layers: Vec<Layer<A>>,
    patches: Vec<[A::Input; N]>,
}

/// No tile is wider.
const WIDEST: usize = 32;

impl<A: Arithmetic, const N: usize, const MOST: usize> Convolutions<A, N, MOST> {
    /// Packs the weights and sizes all buffers.
    pub(super) fn new(layers: &[Convolution]) -> Self {
        let layers: Vec<Layer<A>> = layers.iter().map(|layer| Layer::new(layer, MOST)).collect();
        let longest = layers.iter().map(|layer| layer.offsets.len()).max().unwrap_or(0);
        Self {
            layers,
            patches: vec![[A::zero(); N]; longest.div_ceil(A::PACK)],
        }
    }
}

impl<A: Arithmetic> Layer<A> {
    fn new(layer: &Convolution, most: usize) -> Self {
        let (kernel, side, side_out) = (layer.kernel, layer.side, layer.side_out());
        let inputs = layer.input * kernel * kernel;
        let offset = |index: usize| {
            let (channel, place) = (index / (kernel * kernel), index % (kernel * kernel));
            (channel * side + place / kernel) * side + place % kernel
        };
        let output = |o: usize| Output {
            bias: layer.bias[o],
            weights: [&layer.weight[o * inputs..][..inputs]],
        };
        let outputs: Vec<Output<'_, 1>> = (0..layer.output).map(output).collect();
        Self {
            weights: Packed::new(&outputs, most),
            stride: layer.stride,
            side,
            side_out,
            offsets: (0..inputs).map(offset).collect(),
            planes: vec![0.0; layer.output * side_out * side_out],
        }
    }
}

/// Through ReLU, to the planes of the layer's outputs.
struct Planes<'a> {
    planes: &'a mut [f32],
    area: usize,
    /// The tile's first position, and how many there are.
    first: usize,
    count: usize,
}

impl<V: Lanes, const N: usize> Sink<[V; N]> for Planes<'_> {
    #[inline(always)]
    fn take(&mut self, first: usize, values: &mut [[V; N]]) {
        for (index, row) in values.iter().enumerate() {
            let mut lanes = [0.0; WIDEST];
            for n in 0..N {
                math::relu(row[n]).store(&mut lanes[n * V::COUNT..]);
            }
            let at = (first + index) * self.area + self.first;
            self.planes[at..at + self.count].copy_from_slice(&lanes[..self.count]);
        }
    }
}

struct Tile<'a, A: Arithmetic, const N: usize, const MOST: usize> {
    layer: &'a mut Layer<A>,
    patches: &'a mut [[A::Input; N]],
    input: &'a [f32],
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Job for Tile<'_, A, N, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        let width = N * A::Lanes::COUNT;
        let Layer {
            weights,
            stride,
            side,
            side_out,
            offsets,
            planes,
        } = &mut *self.layer;
        let area = *side_out * *side_out;
        for first in (0..area).step_by(width) {
            let count = (area - first).min(width);
            let mut corners = [0; WIDEST];
            for (lane, corner) in corners.iter_mut().enumerate().take(count) {
                let position = first + lane;
                *corner = (position / *side_out * *side + position % *side_out) * *stride;
            }
            for (pack, offsets) in offsets.chunks(A::PACK).enumerate() {
                let mut values: [Row<A, N>; 2] = [[A::Lanes::splat(0.0); N]; 2];
                for (row, offset) in values.iter_mut().zip(offsets) {
                    let mut lanes = [0.0; WIDEST];
                    for (lane, corner) in lanes.iter_mut().zip(corners) {
                        *lane = self.input[corner + offset];
                    }
                    for (n, vector) in row.iter_mut().enumerate() {
                        *vector = A::Lanes::load(&lanes[n * A::Lanes::COUNT..]);
                    }
                }
                A::put(self.patches, pack * A::PACK, &values[..offsets.len()]);
            }
            let inputs = &self.patches[..offsets.len().div_ceil(A::PACK)];
            let mut sink = Planes {
                planes,
                area,
                first,
                count,
            };
            dense::<A, N, MOST, 1>(weights, &weights.bias, [Use(inputs)], &mut sink);
        }
    }
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Convolve for Convolutions<A, N, MOST> {
    fn run(&mut self, planes: &[f32], embedding: &mut [f32]) {
        let mut before: &[f32] = planes;
        for layer in &mut self.layers {
            A::enter(&mut Tile::<A, N, MOST> {
                layer: &mut *layer,
                patches: &mut self.patches,
                input: before,
            });
            before = &layer.planes;
        }
        embedding.copy_from_slice(before);
    }
}
