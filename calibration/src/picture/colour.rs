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

/// What a pair of colour values adds to red, green and blue, with the half that rounds.
#[inline(always)]
fn chroma(u: u8, v: u8) -> [i32; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [
        RED_BY_V * v + 32_768,
        32_768 - GREEN_BY_U * u - GREEN_BY_V * v,
        BLUE_BY_U * u + 32_768,
    ]
}

/// One pixel.
#[inline(always)]
fn rgb(y: u8, chroma: [i32; 3]) -> [u8; 3] {
    let luma = LUMA * (i32::from(y) - 16);
    // At most 239 * 76309 + 127 * 132201, far below 2^31.
    [
        ((luma + chroma[0]) >> 16).clamp(0, 255) as u8,
        ((luma + chroma[1]) >> 16).clamp(0, 255) as u8,
        ((luma + chroma[2]) >> 16).clamp(0, 255) as u8,
    ]
}

/// Rows `rows` of a YUYV picture of `width` pixels a row, into the same rows of `into` (3 bytes a pixel).
#[inline(always)]
pub(super) fn yuyv_rows(bytes: &[u8], width: usize, rows: Range<usize>, into: &mut [u8]) {
    let pairs = &bytes[2 * width * rows.start..2 * width * rows.end];
    let into = &mut into[3 * width * rows.start..3 * width * rows.end];
    for (pair, pixels) in pairs.chunks_exact(4).zip(into.chunks_exact_mut(6)) {
        let chroma = chroma(pair[1], pair[3]);
        pixels[..3].copy_from_slice(&rgb(pair[0], chroma));
        pixels[3..].copy_from_slice(&rgb(pair[2], chroma));
    }
}

/// Rows `rows` of an NV12 picture of `width` x `height` pixels, into the same rows of `into` (3 bytes a pixel).
#[inline(always)]
pub(super) fn nv12_rows(bytes: &[u8], width: usize, height: usize, rows: Range<usize>, into: &mut [u8]) {
    let (luma, colours) = bytes.split_at(width * height);
    for row in rows {
        let luma = &luma[row * width..(row + 1) * width];
        let colours = &colours[row / 2 * width..(row / 2 + 1) * width];
        let into = &mut into[3 * row * width..3 * (row + 1) * width];
        for ((pair, colour), pixels) in luma
            .chunks_exact(2)
            .zip(colours.chunks_exact(2))
            .zip(into.chunks_exact_mut(6))
        {
            let chroma = chroma(colour[0], colour[1]);
            pixels[..3].copy_from_slice(&rgb(pair[0], chroma));
            pixels[3..].copy_from_slice(&rgb(pair[1], chroma));
        }
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

    #[test]
    fn every_colour_is_the_formulas() {
        let mut worst = 0.0_f64;
        for y in 0..=255 {
            for u in (0..=255).step_by(5) {
                for v in 0..=255 {
                    let ours = rgb(y, chroma(u, v));
                    for (ours, exact) in ours.iter().zip(reference(y, u, v)) {
                        worst = worst.max((f64::from(*ours) - exact).abs());
                    }
                }
            }
        }
        assert!(worst < 0.51, "{worst}");
    }

    #[test]
    fn white_is_white_and_black_is_black() {
        assert_eq!(rgb(235, chroma(128, 128)), [255; 3]);
        assert_eq!(rgb(16, chroma(128, 128)), [0; 3]);
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
