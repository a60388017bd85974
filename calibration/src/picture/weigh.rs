//! The weighted means: the only loops that run for every picture.

use super::axis::Separable;
use super::gather::Gather;

/// Makes an image by weights of rows and columns. `rgb` has `width` pixels a row; `sums` and `row` have room for one row of it.
#[inline(always)]
pub(super) fn separable(
    table: &Separable,
    rgb: &[u8],
    width: usize,
    side: usize,
    sums: &mut [u32],
    row: &mut [u16],
    image: &mut [u8],
) {
    let (stride, span) = (3 * width, table.span());
    let used = 3 * span.start..3 * span.end;
    let (sums, row) = (&mut sums[..used.len()], &mut row[..used.len()]);
    for (i, image) in image.chunks_exact_mut(3 * side).enumerate() {
        // Rows weigh 2^24 in all, and no sum is above 255 * 2^24.
        let (first, weights) = table.rows.of(i);
        sums.fill(0);
        for (weight, pixels) in weights.iter().zip(rgb[first * stride..].chunks_exact(stride)) {
            for (sum, value) in sums.iter_mut().zip(&pixels[used.clone()]) {
                *sum += weight * u32::from(*value);
            }
        }
        for (value, sum) in row.iter_mut().zip(&*sums) {
            *value = ((sum + (1 << 15)) >> 16) as u16;
        }
        // In 8.8 fixed point, at most 255 * 2^8; columns weigh 2^16 in all: again at most 255 * 2^24, and a half to round.
        for (i, pixel) in image.chunks_exact_mut(3).enumerate() {
            let (first, weights) = table.columns.of(i);
            let mut sum = [1_u32 << 23; 3];
            for (weight, value) in weights
                .iter()
                .zip(row[3 * (first - span.start)..].chunks_exact(3))
            {
                for (sum, value) in sum.iter_mut().zip(value) {
                    *sum += weight * u32::from(*value);
                }
            }
            for (out, sum) in pixel.iter_mut().zip(sum) {
                *out = (sum >> 24) as u8;
            }
        }
    }
}

/// Makes an image by lists of runs of pixels, which weigh 2^24 in all.
#[inline(always)]
pub(super) fn gathered(table: &Gather, rgb: &[u8], image: &mut [u8]) {
    let mut weights = table.weights.as_slice();
    for (pixel, runs) in image.chunks_exact_mut(3).zip(table.pixels.windows(2)) {
        let mut sum = [1_u32 << 23; 3];
        for run in &table.runs[runs[0] as usize..runs[1] as usize] {
            let (now, later) = weights.split_at(run.count as usize);
            weights = later;
            for (weight, value) in now.iter().zip(rgb[3 * run.first as usize..].chunks_exact(3)) {
                for (sum, value) in sum.iter_mut().zip(value) {
                    *sum += weight * u32::from(*value);
                }
            }
        }
        for (out, sum) in pixel.iter_mut().zip(sum) {
            *out = (sum >> 24) as u8;
        }
    }
}
