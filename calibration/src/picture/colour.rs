//! YUYV and NV12 to RGB, in integers.
//!
//! BT.601 with Y from 16 to 235 and U, V from 16 to 240, as webcams deliver it (ITU-R BT.601-7, section 2.5; Kr 0.299, Kb 0.114):
//!
//! ```text
//! R = 255/219 (Y - 16) + 255/224 * 1.402    (V - 128)
//! G = 255/219 (Y - 16) - 255/224 * 0.344136 (U - 128) - 255/224 * 0.714136 (V - 128)
//! B = 255/219 (Y - 16) + 255/224 * 1.772    (U - 128)
//! ```
//!
//! Here with factors in units of 2^-16, rounded to the nearest: `(76309 (Y - 16) + 104597 (V - 128) + 32768) >> 16` and so on, then
//! clamped to 0..=255: within 0.51 of a grey level of the formula. Two (YUYV) or four (NV12) pixels share a colour, which is not
//! interpolated between them.

use std::ops::Range;

/// 255/219 in units of 2^-16.
const LUMA: i32 = 76_309;

/// 255/224 * 1.402, * 0.714136, * 0.344136 and * 1.772 in units of 2^-16.
const RED_BY_V: i32 = 104_597;
const GREEN_BY_V: i32 = 53_279;
const GREEN_BY_U: i32 = 25_675;
const BLUE_BY_U: i32 = 132_201;

/// Pixels that are converted together, channel by channel: as many as fill vector registers.
const BLOCK: usize = 64;

/// One pixel in each place: red, green, blue from Y, U and V.
#[inline(always)]
fn convert(y: &[i32; BLOCK], u: &[i32; BLOCK], v: &[i32; BLOCK]) -> [[u8; BLOCK]; 3] {
    let mut levels = [[0; BLOCK]; 3];
    // At most 239 * 76309 + 127 * 132201, far below 2^31.
    for i in 0..BLOCK {
        let luma = LUMA * (y[i] - 16) + 32_768;
        let (u, v) = (u[i] - 128, v[i] - 128);
        levels[0][i] = ((luma + RED_BY_V * v) >> 16).clamp(0, 255) as u8;
        levels[1][i] = ((luma - GREEN_BY_U * u - GREEN_BY_V * v) >> 16).clamp(0, 255) as u8;
        levels[2][i] = ((luma + BLUE_BY_U * u) >> 16).clamp(0, 255) as u8;
    }
    levels
}

/// A row from pairs of pixels: `pairs` has Y, U, Y, V of each.
#[inline(always)]
fn row(pairs: impl Iterator<Item = [u8; 4]>, into: &mut [u8]) {
    let (mut y, mut u, mut v) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    let mut pairs = pairs;
    for pixels in into.chunks_mut(3 * BLOCK) {
        let count = pixels.len() / 3;
        for (i, pair) in pairs.by_ref().take(count / 2).enumerate() {
            let pair = pair.map(i32::from);
            (y[2 * i], y[2 * i + 1]) = (pair[0], pair[2]);
            (u[2 * i], u[2 * i + 1]) = (pair[1], pair[1]);
            (v[2 * i], v[2 * i + 1]) = (pair[3], pair[3]);
        }
        let [red, green, blue] = convert(&y, &u, &v);
        for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[red[i], green[i], blue[i]]);
        }
    }
}

/// Rows `rows` of a YUYV picture of `width` pixels a row, into the same rows of `into` (3 bytes a pixel).
#[inline(always)]
pub(super) fn yuyv_rows(bytes: &[u8], width: usize, rows: Range<usize>, into: &mut [u8]) {
    for at in rows {
        let line = &bytes[2 * width * at..2 * width * (at + 1)];
        let into = &mut into[3 * width * at..3 * width * (at + 1)];
        row(
            line.chunks_exact(4)
                .map(|pair| [pair[0], pair[1], pair[2], pair[3]]),
            into,
        );
    }
}

/// Rows `rows` of an NV12 picture of `width` x `height` pixels, into the same rows of `into` (3 bytes a pixel).
#[inline(always)]
pub(super) fn nv12_rows(bytes: &[u8], width: usize, height: usize, rows: Range<usize>, into: &mut [u8]) {
    let (luma, colours) = bytes.split_at(width * height);
    for at in rows {
        let luma = &luma[at * width..(at + 1) * width];
        let colours = &colours[at / 2 * width..(at / 2 + 1) * width];
        let into = &mut into[3 * width * at..3 * width * (at + 1)];
        let pairs = luma.chunks_exact(2).zip(colours.chunks_exact(2));
        row(pairs.map(|(y, uv)| [y[0], uv[0], y[1], uv[1]]), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula above, in numbers.
    fn reference(y: u8, u: u8, v: u8) -> [f64; 3] {
        let luma = 255.0 / 219.0 * (f64::from(y) - 16.0);
        let (u, v) = (
            255.0 / 224.0 * (f64::from(u) - 128.0),
            255.0 / 224.0 * (f64::from(v) - 128.0),
        );
        [
            luma + 1.402 * v,
            luma - 0.344_136 * u - 0.714_136 * v,
            luma + 1.772 * u,
        ]
        .map(|value| value.clamp(0.0, 255.0))
    }

    /// One pixel, by way of a row.
    fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
        let mut pixels = [0; 6];
        yuyv_rows(&[y, u, y, v], 2, 0..1, &mut pixels);
        assert_eq!(pixels[..3], pixels[3..]);
        [pixels[0], pixels[1], pixels[2]]
    }

    #[test]
    fn every_colour_is_the_formulas() {
        // Rows of all V, which end within a block.
        let (mut worst, mut into) = (0.0_f64, [0; 3 * 514]);
        for y in 0..=255 {
            for u in (0..=255).step_by(5) {
                let line: Vec<u8> = (0..=256).flat_map(|v: u32| [y, u, y, v as u8]).collect();
                yuyv_rows(&line, 514, 0..1, &mut into);
                for (at, ours) in into.iter().enumerate() {
                    let exact = reference(y, u, (at / 6) as u8)[at % 3];
                    worst = worst.max((f64::from(*ours) - exact).abs());
                }
            }
        }
        assert!(worst < 0.51, "{worst}");
    }

    #[test]
    fn white_is_white_and_black_is_black() {
        assert_eq!(rgb(235, 128, 128), [255; 3]);
        assert_eq!(rgb(16, 128, 128), [0; 3]);
    }

    #[test]
    fn both_layouts_give_the_same_pixels() {
        // Four by two pixels; each 2 x 2 block has one colour, as NV12 needs.
        let luma = [[10, 60, 110, 160], [210, 255, 0, 130_u8]];
        let colour = [[90, 240], [16, 128_u8]];
        let nv12: Vec<u8> = luma
            .iter()
            .flatten()
            .chain(colour.iter().flatten())
            .copied()
            .collect();
        let yuyv: Vec<u8> = luma
            .iter()
            .flat_map(|row| {
                row.chunks(2)
                    .zip(colour)
                    .flat_map(|(pair, colour)| [pair[0], colour[0], pair[1], colour[1]])
            })
            .collect();
        let (mut one, mut other) = ([0; 24], [0; 24]);
        nv12_rows(&nv12, 4, 2, 0..2, &mut one);
        yuyv_rows(&yuyv, 4, 0..2, &mut other);
        assert_eq!(one, other);
    }
}
