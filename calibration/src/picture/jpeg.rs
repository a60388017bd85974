//! JPEG to RGB. Nothing but a whole and sound JPEG of the agreed size is let through.
//!
//! A camera on a bad cable delivers JPEGs that end early, and no driver flags them: the mark of the end must be there. The decoder is told
//! to be strict; by default it would fill what is missing with grey. Even so it takes a mark of the end that comes too early for zeros
//! without end, and calls the picture whole. It is therefore shown a comment before that mark: there it stops, with what is missing left
//! as it was, so that the last row tells whether it was reached.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::PictureError;

/// What the last row holds before it is decoded. No row of a camera's picture repeats it.
const UNTOUCHED: [u8; 7] = [251, 2, 137, 74, 9, 198, 55];

/// The mark of the start.
const START: [u8; 2] = [0xff, 0xd8];

/// An empty comment, and the mark of the end.
const COMMENT_AND_END: [u8; 6] = [0xff, 0xfe, 0, 2, 0xff, 0xd9];

/// Least width for the test of the last row, in pixels: narrower rows could fit into the few bytes that the decoder reads ahead.
const TESTED_WIDTH_MIN_PX: u32 = 128;

/// Width and height of a JPEG, in pixels, as its header says.
///
/// # Errors
/// [`PictureError::JpegStart`] and [`PictureError::JpegDamaged`].
pub fn size(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    if !bytes.starts_with(&START) {
        return Err(PictureError::JpegStart);
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    sound(|| decoder.decode_headers())?;
    decoder
        .dimensions()
        .map(|(width, height)| (width as u32, height as u32))
        .ok_or_else(|| damaged("its header tells no size"))
}

fn options() -> DecoderOptions {
    DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB)
}

/// What the library makes of a camera's bytes. A panic of it is their fault here.
fn sound<E: ToString>(decode: impl FnOnce() -> Result<(), E>) -> Result<(), PictureError> {
    files::guarded(decode).map_err(damaged)?.map_err(damaged)
}

fn damaged(reason: impl ToString) -> PictureError {
    PictureError::JpegDamaged {
        reason: reason.to_string(),
    }
}

/// Decodes `bytes` into `rgb` (3 bytes a pixel, rows from the top). `copy` is memory to work in.
pub(super) fn decode(
    bytes: &[u8],
    (width, height): (u32, u32),
    copy: &mut Vec<u8>,
    rgb: &mut [u8],
) -> Result<(), PictureError> {
    copy.clear();
    copy.extend_from_slice(without_end(bytes)?);
    copy.extend_from_slice(&COMMENT_AND_END);
    let last_row = 3 * width as usize * (height as usize - 1)..rgb.len();
    for (byte, untouched) in rgb[last_row.clone()].iter_mut().zip(UNTOUCHED.iter().cycle()) {
        *byte = *untouched;
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(copy.as_slice()), options());
    sound(|| decoder.decode_headers())?;
    let found = decoder
        .dimensions()
        .map_or((0, 0), |(width, height)| (width as u32, height as u32));
    if found != (width, height) {
        return Err(PictureError::Size {
            expected: (width, height),
            found,
        });
    }
    sound(|| decoder.decode_into(rgb))?;
    let untouched = rgb[last_row]
        .iter()
        .zip(UNTOUCHED.iter().cycle())
        .all(|(byte, untouched)| byte == untouched);
    if untouched && width >= TESTED_WIDTH_MIN_PX {
        return Err(damaged("it ends before its last row"));
    }
    Ok(())
}

/// `bytes` up to, and without, the mark of the end. Cameras may fill up what comes after it.
fn without_end(bytes: &[u8]) -> Result<&[u8], PictureError> {
    if !bytes.starts_with(&START) {
        return Err(PictureError::JpegStart);
    }
    // Coded pixels hold no FF D9: there, FF is followed by 00 or by a restart mark.
    let end = bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
    end.map(|at| &bytes[..at]).ok_or(PictureError::JpegEnd)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Colours of two or four pixels together, as webcams and ffmpeg encode.
    const JPEGS: [&[u8]; 2] = [
        include_bytes!("../../tests/data/camera-422.jpg"),
        include_bytes!("../../tests/data/camera-420.jpg"),
    ];

    const SIZE: (u32, u32) = (200, 152);

    #[test]
    fn the_decoder_gives_the_same_bits_without_vector_instructions() {
        for jpeg in JPEGS {
            let [with, without] = [DecoderOptions::new_fast(), DecoderOptions::new_safe()].map(|options| {
                let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
                JpegDecoder::new_with_options(ZCursor::new(jpeg), options)
                    .decode()
                    .unwrap()
            });
            let apart = with.iter().zip(&without).map(|(a, b)| a.abs_diff(*b)).max();
            assert_eq!(apart, Some(0));
        }
    }

    #[test]
    fn a_jpeg_with_its_end_put_too_early_is_refused_wherever_it_was_cut() {
        for jpeg in JPEGS {
            let mut rgb = vec![0; 3 * 200 * 152];
            let mut copy = Vec::new();
            decode(jpeg, SIZE, &mut copy, &mut rgb).unwrap();
            // The last row of blocks, one in ten or more, cannot be told from one that was cut within.
            for percent in (10..=85).step_by(5) {
                let mut cut = jpeg[..jpeg.len() * percent / 100].to_vec();
                cut.extend([0xff, 0xd9]);
                let result = decode(&cut, SIZE, &mut copy, &mut rgb);
                assert!(
                    matches!(result, Err(PictureError::JpegDamaged { .. })),
                    "{percent} %: {result:?}"
                );
            }
        }
    }
}
