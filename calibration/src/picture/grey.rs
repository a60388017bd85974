//! A camera's picture in grey levels, at its own size: what boards are looked for in.

use robot::device::{Picture, PixelFormat};

use super::{PictureError, jpeg, whole};

/// The grey levels of a picture, rows from the top: luma as the camera delivers it, or 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
///
/// # Errors
/// [`PictureError`].
pub fn grey(picture: &Picture) -> Result<Vec<u8>, PictureError> {
    whole(picture)?;
    let pixels = picture.width as usize * picture.height as usize;
    let of_rgb = |rgb: &[u8]| {
        let levels = rgb.chunks_exact(3).map(|pixel| {
            let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
            ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
        });
        levels.collect()
    };
    Ok(match picture.format {
        PixelFormat::Rgb8 => of_rgb(&picture.bytes),
        PixelFormat::Yuyv => picture.bytes.iter().step_by(2).copied().collect(),
        PixelFormat::Nv12 => picture.bytes[..pixels].to_vec(),
        PixelFormat::Jpeg => {
            let (mut rgb, mut copy) = (vec![0; 3 * pixels], Vec::new());
            jpeg::decode(
                &picture.bytes,
                (picture.width, picture.height),
                &mut copy,
                &mut rgb,
            )?;
            of_rgb(&rgb)
        }
    })
}
