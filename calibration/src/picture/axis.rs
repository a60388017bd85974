//! Weights of a plain crop, by column and by row.
//!
//! Pixel `i` of the image shows the stretch from `first + i * length / side` to `first + (i + 1) * length / side` of the picture; a
//! pixel of the picture weighs by how much of it lies in that stretch. All in whole numbers, in units of `1 / side` of a pixel.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// Rows weigh 2^24 in all: a sum of 255 times that fits 32 bits.
const ROW_BITS: u32 = 24;

/// Columns weigh 2^16 in all: they weigh sums in 8.8 fixed point, so that these, too, fit 32 bits.
const COLUMN_BITS: u32 = 16;

/// A rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Weights along one axis, for each pixel of the image.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// For each pixel of the image: the first pixel of the picture, and where its weights lie.
    stretches: Vec<(u32, Range<u32>)>,
    weights: Vec<u32>,
}

/// Weights of a crop.
#[derive(Debug, Clone)]
pub(super) struct Separable {
    pub(super) columns: Axis,
    pub(super) rows: Axis,
    crop: Rectangle,
}

impl Axis {
    fn new(first: u32, length: u32, side: u32, bits: u32) -> Self {
        let (length, side) = (u64::from(length), u64::from(side));
        let mut stretches = Vec::new();
        let mut weights = Vec::new();
        for i in 0..side {
            // In units of 1 / side of a pixel.
            let (from, to) = (i * length, (i + 1) * length);
            let overlaps: Vec<u64> = (from / side..to.div_ceil(side))
                .map(|pixel| to.min((pixel + 1) * side) - from.max(pixel * side))
                .collect();
            let start = weights.len() as u32;
            weights.extend(shares(&overlaps, bits));
            stretches.push((first + (from / side) as u32, start..weights.len() as u32));
        }
        Self { stretches, weights }
    }

    /// First pixel of the picture that pixel `i` of the image shows, and the weights from there on.
    #[inline(always)]
    pub(super) fn of(&self, i: usize) -> (usize, &[u32]) {
        let (first, range) = &self.stretches[i];
        (
            *first as usize,
            &self.weights[range.start as usize..range.end as usize],
        )
    }

    fn hash_into(&self, hash: &mut Sha256) {
        for i in 0..self.stretches.len() {
            let (first, weights) = self.of(i);
            hash.update((first as u32).to_le_bytes());
            hash.update((weights.len() as u32).to_le_bytes());
            for weight in weights {
                hash.update(weight.to_le_bytes());
            }
        }
    }
}

/// Parts of `2^bits` in proportion to `overlaps`: rounded down, and what is left given to the largest remainders, the first of equals
/// first. Their sum is exact.
fn shares(overlaps: &[u64], bits: u32) -> Vec<u32> {
    let whole: u64 = overlaps.iter().sum();
    let mut parts: Vec<u32> = overlaps
        .iter()
        .map(|part| ((part << bits) / whole) as u32)
        .collect();
    let mut order: Vec<usize> = (0..overlaps.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse((overlaps[*at] << bits) % whole));
    let left = (1_u32 << bits) - parts.iter().sum::<u32>();
    for at in order.into_iter().take(left as usize) {
        parts[at] += 1;
    }
    parts
}

impl Separable {
    /// Weights of `crop`, of which an image of `side` x `side` pixels is made.
    pub(super) fn new(crop: Rectangle, side: u32) -> Self {
        Self {
            columns: Axis::new(crop.left, crop.width, side, COLUMN_BITS),
            rows: Axis::new(crop.top, crop.height, side, ROW_BITS),
            crop,
        }
    }

    /// Rows of the picture that take part.
    #[inline(always)]
    pub(super) fn rows(&self) -> Range<usize> {
        self.crop.top as usize..(self.crop.top + self.crop.height) as usize
    }

    /// Columns of the picture that take part.
    #[inline(always)]
    pub(super) fn span(&self) -> Range<usize> {
        self.crop.left as usize..(self.crop.left + self.crop.width) as usize
    }

    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        hash.update(b"separable\n");
        self.columns.hash_into(hash);
        self.rows.hash_into(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_exactly() {
        for (length, side) in [
            (1, 64),
            (3, 64),
            (63, 64),
            (64, 64),
            (480, 64),
            (1079, 37),
            (7680, 32),
        ] {
            for bits in [ROW_BITS, COLUMN_BITS] {
                let axis = Axis::new(5, length, side, bits);
                for i in 0..side as usize {
                    let (first, weights) = axis.of(i);
                    assert_eq!(weights.iter().sum::<u32>(), 1 << bits);
                    assert!(first >= 5 && first + weights.len() <= 5 + length as usize);
                }
            }
        }
    }

    #[test]
    fn a_whole_number_of_pixels_weighs_alike() {
        let axis = Axis::new(0, 512, 64, COLUMN_BITS);
        assert_eq!(axis.of(3), (24, [8192_u32; 8].as_slice()));
    }
}
