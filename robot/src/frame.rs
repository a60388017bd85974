//! The image the model sees.

/// Width and height of the model's image, in pixels.
pub const FRAME_SIDE: usize = 64;

/// Bytes of one frame: 64 x 64 pixels, RGB, row-major from the top left.
pub const FRAME_BYTES: usize = FRAME_SIDE * FRAME_SIDE * 3;

/// A 64x64 RGB image, exactly as the model sees it. Boxed so that moving one is cheap and sizes stay fixed.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Box<[u8; FRAME_BYTES]>);

impl Default for Frame {
    fn default() -> Self {
        Self(Box::new([0; FRAME_BYTES]))
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({FRAME_SIDE}x{FRAME_SIDE}, hash {:016x})", self.hash())
    }
}

impl Frame {
    /// Copies `rgb` into a new frame; `None` unless it has exactly [`FRAME_BYTES`] bytes.
    pub fn from_rgb(rgb: &[u8]) -> Option<Self> {
        (rgb.len() == FRAME_BYTES).then(|| {
            let mut frame = Self::default();
            frame.0.copy_from_slice(rgb);
            frame
        })
    }

    /// The pixels, row-major RGB.
    pub fn rgb(&self) -> &[u8; FRAME_BYTES] {
        &self.0
    }

    /// The pixels, for a camera or renderer to fill.
    pub fn rgb_mut(&mut self) -> &mut [u8; FRAME_BYTES] {
        &mut self.0
    }

    /// Overwrites this frame with another without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        self.0.copy_from_slice(other.rgb());
    }

    /// FNV-1a of the pixels: tells a frozen camera from a still scene's noise, and names a frame in a log.
    pub fn hash(&self) -> u64 {
        // Eight bytes a step: a frame is hashed inside the tick.
        self.0.chunks_exact(8).fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
            let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
            (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}
