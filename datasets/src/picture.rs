//! Pictures as the model sees them: the middle square, 64 x 64.

use std::path::Path;

use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageFormat, ImageReader, RgbImage};
use robot::{FRAME_SIDE, Frame};

use crate::DatasetError;

/// A frame as PNG.
pub(crate) fn to_png(path: &Path, frame: &Frame) -> Result<Vec<u8>, DatasetError> {
    let side = FRAME_SIDE as u32;
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

/// The frame in an encoded picture (PNG or JPEG). One that has the model's size already is taken as it is.
pub(crate) fn decode(path: &Path, field: &str, bytes: &[u8]) -> Result<Frame, DatasetError> {
    let refuse = |problem: String| {
        DatasetError::field(
            path,
            field,
            problem,
            "pictures may be PNG or JPEG, of one colour depth of 8 bits",
        )
    };
    let picture = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| refuse(error.to_string()))?
        .decode()
        .map_err(|error| refuse(error.to_string()))?
        .to_rgb8();
    Ok(square(&picture))
}

/// The middle square of `picture`, at the model's size.
pub(crate) fn square(picture: &RgbImage) -> Frame {
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let target = FRAME_SIDE as u32;
    let middle = crop_imm(picture, left, top, side, side).to_image();
    let fitted = if side == target {
        middle
    } else {
        resize(&middle, target, target, FilterType::Triangle)
    };
    let mut frame = Frame::default();
    frame.rgb_mut().copy_from_slice(fitted.as_raw());
    frame
}
