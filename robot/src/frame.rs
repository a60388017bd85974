//! The image the model sees.

/// Side of a model's image where nothing names another, in pixels.
const SIDE: usize = 64;

/// Smallest and largest side of a model's image, in pixels, and the step between sides. With it a frame's bytes come in eights.
const SIDE_MIN: usize = 32;
const SIDE_MAX: usize = 256;
const SIDE_STEP: usize = 16;

/// A square RGB image, exactly as the model sees it. Boxed so that moving one is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    side: usize,
    rgb: Box<[u8]>,
}

impl Default for Frame {
    /// A black image of 64 x 64 pixels, the side of a robot file that names none.
    fn default() -> Self {
        Self::new(SIDE)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({0}x{0}, hash {1:016x})", self.side, self.hash())
    }
}

impl Frame {
    /// The sides that [`Frame::allows`], in words.
    pub const SIDES: &str = "a multiple of 16 from 32 to 256";

    /// Whether an image may have this many pixels a side.
    pub const fn allows(side: usize) -> bool {
        SIDE_MIN <= side && side <= SIDE_MAX && side.is_multiple_of(SIDE_STEP)
    }

    /// A black image of `side` x `side` pixels.
    ///
    /// # Panics
    /// If no image may have that side ([`Frame::allows`]). Whoever reads a side from outside checks it first.
    pub fn new(side: usize) -> Self {
        assert!(
            Self::allows(side),
            "the side of an image is {}, not {side}",
            Self::SIDES
        );
        Self {
            side,
            rgb: vec![0; Self::bytes(side)].into(),
        }
    }

    /// Bytes of an image of `side` x `side` pixels.
    pub const fn bytes(side: usize) -> usize {
        3 * side * side
    }

    /// Copies `rgb` into a new frame; `None` unless it has as many bytes as a square of an allowed side.
    pub fn from_rgb(rgb: &[u8]) -> Option<Self> {
        let side = (rgb.len() / 3).isqrt();
        (Self::allows(side) && Self::bytes(side) == rgb.len()).then(|| Self {
            side,
            rgb: rgb.into(),
        })
    }

    /// Width and height, in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The pixels, row-major RGB from the top left.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, for a camera or renderer to fill.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// Takes another's pixels, and its side. Allocates nothing if both have the same side.
    pub fn copy_from(&mut self, other: &Self) {
        self.side = other.side;
        self.rgb.clone_from(&other.rgb);
    }

    /// FNV-1a of the pixels: tells a frozen camera from a still scene's noise, and names a frame in a log.
    pub fn hash(&self) -> u64 {
        // Eight bytes a step: a frame is hashed inside the tick.
        self.rgb
            .chunks_exact(8)
            .fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
                let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
                (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
            })
    }
}

/// The side of a robot file that names none.
pub(crate) fn default_side() -> usize {
    SIDE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_sixteens_from_32_to_256() {
        let allowed: Vec<usize> = (0..1000).filter(|side| Frame::allows(*side)).collect();
        assert_eq!(allowed.len(), 15);
        for side in allowed {
            let frame = Frame::new(side);
            assert_eq!((frame.side(), frame.rgb().len()), (side, 3 * side * side));
            assert_eq!(frame.rgb().len() % 8, 0, "the hash sees every byte");
            assert_eq!(Frame::from_rgb(frame.rgb()), Some(frame));
        }
        for bytes in [0, 1, 3 * 64 * 64 - 1, 3 * 64 * 64 + 1, 3 * 40 * 40, 3 * 272 * 272] {
            assert_eq!(Frame::from_rgb(&vec![0; bytes]), None, "{bytes} bytes");
        }
        assert_eq!(Frame::default().side(), 64);
    }

    #[test]
    fn a_frame_takes_the_side_of_what_it_copies() {
        let (mut frame, mut other) = (Frame::default(), Frame::new(96));
        other.rgb_mut()[5] = 7;
        frame.copy_from(&other);
        assert_eq!(frame, other);
        let at = frame.rgb().as_ptr();
        frame.copy_from(&Frame::new(96));
        assert_eq!(frame.rgb().as_ptr(), at, "the memory is kept");
    }
}
