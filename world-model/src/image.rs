//! Pixels to numbers, exactly as the trainer does it (PlaNet section 5: five bits a channel).

use robot::{FRAME_SIDE, Frame};

/// Name of this pre-processing in a manifest.
pub const PREPROCESSING: &str = "rgb8-64x64-5bit-centre";

/// Writes a frame as `[3][64][64]` planes: `floor(x / 8) / 32 + 1/64 - 0.5`, the centre of the bin.
///
/// # Panics
/// If `planes` is not 3 x 64 x 64 long.
pub fn to_planes(frame: &Frame, planes: &mut [f32]) {
    let area = FRAME_SIDE * FRAME_SIDE;
    assert_eq!(planes.len(), 3 * area, "planes hold one image");
    for (index, pixel) in frame.rgb().chunks_exact(3).enumerate() {
        for channel in 0..3 {
            planes[channel * area + index] = f32::from(pixel[channel] >> 3) / 32.0 + (1.0 / 64.0 - 0.5);
        }
    }
}

/// The reverse, for a decoder's output: planes in [-0.5, 0.5] to pixels.
pub fn from_planes(planes: &[f32], frame: &mut Frame) {
    let area = FRAME_SIDE * FRAME_SIDE;
    for (index, pixel) in frame.rgb_mut().chunks_exact_mut(3).enumerate() {
        for channel in 0..3 {
            let value = planes.get(channel * area + index).copied().unwrap_or(0.0);
            pixel[channel] = ((value + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }
}
