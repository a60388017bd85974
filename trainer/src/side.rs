//! The sides of images that a model can be trained on, and the kernels that fit each of them.
//!
//! PlaNet's encoder and decoder fit 64 pixels. A larger side gets one more layer, as wide as the widest of PlaNet's: its kernel is such that
//! the encoder ends in 2 x 2 positions and the decoder, which begins in one position, ends in the side exactly. The embedding
//! then has 32 times `model.depth` numbers at every side.

use serde::{Deserialize, Serialize};

/// Width and height of the images that a model sees: one of [`Side::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub enum Side {
    /// 64 pixels: PlaNet's.
    #[default]
    Of64,
    /// 96 pixels.
    Of96,
    /// 128 pixels.
    Of128,
}

/// A side that no model can be trained on.
#[derive(Debug, thiserror::Error)]
#[error(
    "a side of {pixels} pixels; a model that sees pictures is trained on {}",
    Side::LIST
)]
pub struct UnknownSide {
    /// The side.
    pub pixels: usize,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Of64, Self::Of96, Self::Of128];

    /// All of them in words, for messages.
    pub const LIST: &'static str = "64, 96 or 128 pixels a side";

    /// In pixels.
    pub fn pixels(self) -> usize {
        match self {
            Self::Of64 => 64,
            Self::Of96 => 96,
            Self::Of128 => 128,
        }
    }

    /// The same, as LibTorch counts.
    pub(crate) fn size(self) -> i64 {
        self.pixels() as i64
    }

    /// Whether it is PlaNet's, which checkpoints of before do not name.
    // serde hands over a reference.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_planets(&self) -> bool {
        *self == Self::default()
    }

    /// Kernels of the encoder's convolutions. All have a stride of 2 and no padding.
    pub(crate) fn encoder_kernels(self) -> &'static [i64] {
        match self {
            Self::Of64 => &[4, 4, 4, 4],
            Self::Of96 => &[4, 4, 4, 4, 2],
            Self::Of128 => &[4, 4, 4, 4, 4],
        }
    }

    /// Kernels of the decoder's transposed convolutions. All have a stride of 2 and no padding.
    pub(crate) fn decoder_kernels(self) -> &'static [i64] {
        match self {
            Self::Of64 => &[5, 5, 6, 6],
            Self::Of96 => &[3, 5, 5, 6, 6],
            Self::Of128 => &[5, 5, 5, 6, 6],
        }
    }

    /// Channels that the encoder's convolutions give; `depth` is that of the first. The decoder's go back the same way.
    pub(crate) fn channels(self, depth: i64) -> Vec<i64> {
        let layers = 0..self.encoder_kernels().len();
        layers.map(|layer| depth << layer.min(WIDEST_LAYER)).collect()
    }
}

/// Channels double from layer to layer up to this one.
const WIDEST_LAYER: usize = 3;

impl TryFrom<usize> for Side {
    type Error = UnknownSide;

    fn try_from(pixels: usize) -> Result<Self, UnknownSide> {
        Self::ALL
            .into_iter()
            .find(|side| side.pixels() == pixels)
            .ok_or(UnknownSide { pixels })
    }
}

impl From<Side> for usize {
    fn from(side: Side) -> Self {
        side.pixels()
    }
}
