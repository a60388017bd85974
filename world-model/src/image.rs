//! Pixels to numbers, exactly as the trainer does it (PlaNet section 5: five bits a channel; other numbers of bits alike).

use robot::{FRAME_SIDE, Frame};

/// Bits of a channel that a model sees: 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageBits(u8);

impl ImageBits {
    /// PlaNet's.
    pub const PLANET: Self = Self(5);

    /// `None` outside 1 to 8.
    pub fn new(bits: u8) -> Option<Self> {
        (1..=8).contains(&bits).then_some(Self(bits))
    }

    /// The name of this pre-processing in a manifest, such as `rgb8-64x64-5bit-centre`.
    pub fn name(self) -> String {
        format!("rgb8-64x64-{}bit-centre", self.0)
    }

    /// The pre-processing of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        (1..=8).map(Self).find(|bits| bits.name() == name)
    }
}

/// Writes a frame as `[3][64][64]` planes: with five bits `floor(x / 8) / 32 + 1/64 - 0.5`, the centre of the bin.
///
/// # Panics
/// If `planes` is not 3 x 64 x 64 long.
pub fn to_planes(frame: &Frame, bits: ImageBits, planes: &mut [f32]) {
    let (shift, bins) = (8 - bits.0, f32::from(1u16 << bits.0));
    let centre = 0.5 / bins - 0.5;
    let area = FRAME_SIDE * FRAME_SIDE;
    assert_eq!(planes.len(), 3 * area, "planes hold one image");
    for (index, pixel) in frame.rgb().chunks_exact(3).enumerate() {
        for channel in 0..3 {
            planes[channel * area + index] = f32::from(pixel[channel] >> shift) / bins + centre;
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
