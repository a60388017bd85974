//! Pictures as the model sees them: the middle square, at the side that the robot file asks for.

use std::path::Path;

use image::imageops::{FilterType, crop_imm, resize};
use image::{ColorType, ImageFormat, ImageReader, Limits, RgbImage};
use robot::Frame;

use crate::DatasetError;

/// Pixels of the longest side of a picture that is believed: a damaged header must not claim all memory.
const LARGEST_SIDE: u32 = 16_384;

/// A frame as PNG.
pub(crate) fn to_png(path: &Path, frame: &Frame) -> Result<Vec<u8>, DatasetError> {
    let side = frame.side() as u32;
    let mut bytes = Vec::new();
    image::write_buffer_with_format(
        &mut std::io::Cursor::new(&mut bytes),
        frame.rgb(),
        side,
        side,
        image::ExtendedColorType::Rgb8,
        ImageFormat::Png,
    )
    .map_err(|error| DatasetError::field(path, "image", error.to_string(), "free memory and try again"))?;
    Ok(bytes)
}

/// The frame in an encoded picture (PNG or JPEG) of colours in 8 bits, and of one channel if it may be `grey`. It becomes
/// `side` x `side` pixels; one that has this size already is taken as it is. Also returns width and height as they were. The error says what is wrong with the
/// picture.
pub(crate) fn decode(bytes: &[u8], grey: bool, side: usize) -> Result<(Frame, (u64, u64)), String> {
    // A decoder fills the rest of a picture that is cut off with grey.
    if bytes.starts_with(&[0xff, 0xd8]) && !without_zeros(bytes).ends_with(&[0xff, 0xd9]) {
        return Err("the picture is a JPEG that is cut off".to_owned());
    }
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE));
    reader.limits(limits);
    let unsound = |error: String| format!("the picture is no sound PNG or JPEG: {error}");
    let picture = files::guarded(|| reader.decode())
        .map_err(|panic| unsound(panic.to_string()))?
        .map_err(|error| unsound(error.to_string()))?;
    match picture.color() {
        ColorType::Rgb8 | ColorType::Rgba8 => {}
        ColorType::L8 | ColorType::La8 if grey => {}
        ColorType::L8 | ColorType::La8 => {
            return Err("the picture has one channel, and the camera is said to have colours".to_owned());
        }
        other => return Err(format!("the picture is {other:?}, not of 8 bits a colour")),
    }
    let picture = picture.to_rgb8();
    if picture.width() == 0 || picture.height() == 0 {
        return Err("the picture has no pixels".to_owned());
    }
    let size = (u64::from(picture.width()), u64::from(picture.height()));
    Ok((square(&picture, side), size))
}

/// `bytes` without zeros at the end, which some recorders pad pictures with.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    &bytes[..end]
}

/// The middle square of `picture`, as an image of `target` x `target` pixels.
pub(crate) fn square(picture: &RgbImage, target: usize) -> Frame {
    let mut frame = Frame::new(target);
    let target = target as u32;
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let middle = crop_imm(picture, left, top, side, side).to_image();
    let fitted = if side == target {
        middle
    } else {
        resize(&middle, target, target, FilterType::Triangle)
    };
    frame.rgb_mut().copy_from_slice(fitted.as_raw());
    frame
}
