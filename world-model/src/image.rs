//! Pixels to numbers, exactly as the trainer does it (PlaNet section 5: five bits a channel; other numbers of bits alike).

use std::fmt;

use robot::Frame;

/// How a model sees a picture: how large it is, and how many bits of a channel are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageForm {
    side: usize,
    bits: u8,
}

impl ImageForm {
    /// PlaNet's.
    pub const PLANET: Self = Self { side: 64, bits: 5 };

    /// Images of `side` x `side` pixels with `bits` a channel. `None` for a side that no image may have ([`Frame::allows`]), and for
    /// bits outside 1 to 8.
    pub fn new(side: usize, bits: u8) -> Option<Self> {
        (Frame::allows(side) && (1..=8).contains(&bits)).then_some(Self { side, bits })
    }

    /// The form that a manifest names, such as `rgb8-64x64-5bit-centre`.
    pub fn from_name(name: &str) -> Option<Self> {
        let (size, bits) = name
            .strip_prefix("rgb8-")?
            .strip_suffix("bit-centre")?
            .split_once('-')?;
        let (side, _) = size.split_once('x')?;
        let form = Self::new(side.parse().ok()?, bits.parse().ok()?)?;
        // Spelled in any other way it is another form.
        (form.to_string() == name).then_some(form)
    }

    /// Width and height, in pixels.
    pub fn side(self) -> usize {
        self.side
    }

    /// Bits a colour.
    pub(crate) fn bits(self) -> u8 {
        self.bits
    }

    /// Numbers of an image: one a pixel and channel.
    pub(crate) fn numbers(self) -> usize {
        3 * self.side * self.side
    }
}

impl fmt::Display for ImageForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rgb8-{0}x{0}-{1}bit-centre", self.side, self.bits)
    }
}

/// Writes a frame as `[3][side][side]` planes: with five bits `floor(x / 8) / 32 + 1/64 - 0.5`, the centre of the bin.
///
/// # Panics
/// If the frame has another side than `form`, or `planes` another length.
pub fn to_planes(frame: &Frame, form: ImageForm, planes: &mut [f32]) {
    let (shift, bins) = (8 - form.bits, f32::from(1u16 << form.bits));
    let centre = 0.5 / bins - 0.5;
    let area = form.side * form.side;
    assert_eq!(frame.side(), form.side, "the frame is of the model's side");
    assert_eq!(planes.len(), form.numbers(), "planes hold one image");
    for (index, pixel) in frame.rgb().chunks_exact(3).enumerate() {
        for channel in 0..3 {
            planes[channel * area + index] = f32::from(pixel[channel] >> shift) / bins + centre;
        }
    }
}

/// The reverse, for a decoder's output: planes in [-0.5, 0.5] to pixels. `false`, and nothing drawn, for planes of another size than
/// the frame's.
#[must_use]
pub fn from_planes(planes: &[f32], frame: &mut Frame) -> bool {
    let area = frame.side() * frame.side();
    if planes.len() != 3 * area {
        return false;
    }
    for (index, pixel) in frame.rgb_mut().chunks_exact_mut(3).enumerate() {
        for channel in 0..3 {
            let value = planes[channel * area + index];
            pixel[channel] = ((value + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_from_its_name_alone() {
        assert_eq!(
            ImageForm::from_name("rgb8-64x64-5bit-centre"),
            Some(ImageForm::PLANET)
        );
        for (side, bits) in [(32, 1), (96, 8), (256, 5)] {
            let form = ImageForm::new(side, bits).expect("allowed");
            assert_eq!(ImageForm::from_name(&form.to_string()), Some(form));
        }
        for name in [
            "",
            "rgb8-64x64-0bit-centre",
            "rgb8-64x64-9bit-centre",
            "rgb8-64x96-5bit-centre",
            "rgb8-40x40-5bit-centre",
            "rgb8-272x272-5bit-centre",
            "rgb8-064x64-5bit-centre",
            "rgb8-64x64-+5bit-centre",
            "rgb8-64x64-5bit-centre ",
            "grey8-64x64-5bit-centre",
        ] {
            assert_eq!(ImageForm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn planes_follow_the_side() {
        let form = ImageForm::new(96, 5).expect("allowed");
        let mut frame = Frame::new(96);
        frame.rgb_mut()[3 * 96 * 96 - 1] = 255;
        let mut planes = vec![0.0; 3 * 96 * 96];
        to_planes(&frame, form, &mut planes);
        assert_eq!(planes[0], 0.5 / 32.0 - 0.5);
        assert_eq!(
            planes.last(),
            Some(&(31.5 / 32.0 - 0.5)),
            "blue of the last pixel"
        );
        assert!(from_planes(&planes, &mut frame));
        assert!(!from_planes(&planes, &mut Frame::default()));
    }
}
