//! Whether a picture shows anything: black, frozen and torn ones arrive without any mark of an error.

use robot::device::{Picture, PixelFormat};

/// What a picture is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Nothing is to be seen: a lens with its cap on, a lamp that went out. A JPEG's bytes do not show it: whoever decodes it sees.
    Black,
    /// The same to the last bit as several before. A camera that lives has noise.
    Frozen,
    /// A part is missing: a JPEG without its end, or rows that were never filled.
    Torn,
}

/// One in so many pixels of an uncompressed picture is looked at for light; a prime, so that no column is always left out.
const LOOKED_AT: usize = 61;

/// One in so many of those may be bright in a picture that counts as black: pixels that are stuck.
const BRIGHT_ONE_IN: usize = 500;

/// Judges pictures one after the other.
#[derive(Debug, Clone)]
pub struct Judge {
    black_level: u8,
    frozen_after: u32,
    hash: u64,
    equal: u32,
}

impl Judge {
    /// A judge that takes pictures without a level above `black_level` for black, and those from the `frozen_after`th equal one on for
    /// frozen (0: none).
    pub fn new(black_level: u8, frozen_after: u32) -> Self {
        Self {
            black_level,
            frozen_after,
            hash: 0,
            equal: 0,
        }
    }

    /// Judges a camera's picture.
    pub fn of_picture(&mut self, picture: &Picture) -> Verdict {
        let bytes = picture.bytes.as_slice();
        if is_torn(picture) {
            return Verdict::Torn;
        }
        if self.is_frozen(bytes) {
            return Verdict::Frozen;
        }
        let luma = |step: usize, end: usize, black: u8| {
            let level = black.saturating_add(self.black_level);
            let values = bytes[..end].iter().step_by(step);
            is_black(values.copied(), level)
        };
        let pixels = picture.width as usize * picture.height as usize;
        let black = match picture.format {
            PixelFormat::Jpeg => false,
            // Any channel, each in turn, since 3 does not divide the step.
            PixelFormat::Rgb8 => luma(LOOKED_AT, bytes.len(), 0),
            PixelFormat::Yuyv => luma(2 * LOOKED_AT, bytes.len(), 16),
            PixelFormat::Nv12 => luma(LOOKED_AT, pixels, 16),
        };
        if black { Verdict::Black } else { Verdict::Good }
    }

    fn is_frozen(&mut self, bytes: &[u8]) -> bool {
        let hash = hash(bytes);
        self.equal = if hash == self.hash {
            self.equal.saturating_add(1)
        } else {
            0
        };
        self.hash = hash;
        self.frozen_after > 0 && self.equal >= self.frozen_after
    }
}

/// Whether hardly any value is above `level`.
fn is_black(values: impl Iterator<Item = u8>, level: u8) -> bool {
    let (mut bright, mut all) = (0, 0_usize);
    for value in values {
        bright += usize::from(value > level);
        all += 1;
    }
    bright * BRIGHT_ONE_IN < all.max(1)
}

/// Whether a part of the picture is missing.
fn is_torn(picture: &Picture) -> bool {
    let bytes = picture.bytes.as_slice();
    let (width, pixels) = (
        picture.width as usize,
        picture.width as usize * picture.height as usize,
    );
    let whole = match picture.format {
        PixelFormat::Jpeg => {
            let begun = bytes.starts_with(&[0xff, 0xd8]);
            return !begun || !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
        }
        PixelFormat::Rgb8 => 3 * pixels,
        PixelFormat::Yuyv => 2 * pixels,
        PixelFormat::Nv12 => pixels / 2 * 3,
    };
    if bytes.len() != whole {
        return true;
    }
    // No colour has U and V of 0: the last row was never filled.
    let never_filled = |row: &[u8]| row.iter().all(|byte| *byte == 0);
    match picture.format {
        PixelFormat::Yuyv => never_filled(&bytes[whole - 2 * width..]),
        PixelFormat::Nv12 => never_filled(&bytes[whole - width..]),
        PixelFormat::Rgb8 | PixelFormat::Jpeg => false,
    }
}

/// FNV-1a over words of eight bytes.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let hash = words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        step(hash, u64::from_le_bytes(word.try_into().unwrap_or_default()))
    });
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(format: PixelFormat, bytes: Vec<u8>) -> Picture {
        Picture {
            width: 64,
            height: 48,
            format,
            bytes,
        }
    }

    fn yuyv(luma: impl Fn(usize) -> u8) -> Picture {
        let bytes = (0..64 * 48).flat_map(|at| [luma(at), 128]).collect();
        picture(PixelFormat::Yuyv, bytes)
    }

    #[test]
    fn black_is_told_from_dark() {
        let mut judge = Judge::new(24, 0);
        let noise = |at: usize| (at * 7 % 13) as u8;
        assert_eq!(judge.of_picture(&yuyv(|at| 16 + noise(at))), Verdict::Black);
        assert_eq!(judge.of_picture(&yuyv(|at| 40 + noise(at))), Verdict::Good);
        let rgb = |level: u8| picture(PixelFormat::Rgb8, vec![level; 3 * 64 * 48]);
        assert_eq!(judge.of_picture(&rgb(24)), Verdict::Black);
        assert_eq!(judge.of_picture(&rgb(25)), Verdict::Good);
        let mut nv12 = vec![20; 64 * 48];
        nv12.extend([128; 64 * 24]);
        assert_eq!(
            judge.of_picture(&picture(PixelFormat::Nv12, nv12)),
            Verdict::Black
        );
    }

    #[test]
    fn a_frozen_picture_is_told_after_as_many_as_were_said() {
        let mut judge = Judge::new(0, 3);
        let still = yuyv(|at| at as u8 | 64);
        let verdicts: Vec<Verdict> = (0..5).map(|_| judge.of_picture(&still)).collect();
        let good = Verdict::Good;
        assert_eq!(verdicts, [good, good, good, Verdict::Frozen, Verdict::Frozen]);
        assert_eq!(judge.of_picture(&yuyv(|at| at as u8 | 65)), good);
        let mut never = Judge::new(0, 0);
        assert!((0..100).all(|_| never.of_picture(&still) == good));
    }

    #[test]
    fn what_is_torn_is_told() {
        let mut judge = Judge::new(0, 0);
        let jpeg = |bytes: &[u8]| picture(PixelFormat::Jpeg, bytes.to_vec());
        assert_eq!(
            judge.of_picture(&jpeg(&[0xff, 0xd8, 1, 0xff, 0xd9, 0, 0])),
            Verdict::Good
        );
        for bytes in [&[0xff, 0xd8, 1, 2][..], &[0, 0xff, 0xd8, 0xff, 0xd9], &[]] {
            assert_eq!(judge.of_picture(&jpeg(bytes)), Verdict::Torn);
        }
        let mut half = yuyv(|_| 100);
        half.bytes[64 * 48..].fill(0);
        assert_eq!(judge.of_picture(&half), Verdict::Torn);
        let mut short = yuyv(|_| 100);
        short.bytes.pop();
        assert_eq!(judge.of_picture(&short), Verdict::Torn);
    }
}
