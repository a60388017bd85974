//! Open-loop prediction strips: truth above, what the model imagines after a few context frames below, their
//! difference at the bottom.

use image::{ImageEncoder, RgbImage};
use robot::FRAME_SIDE;
use tch::{Kind, Tensor, no_grad};

use crate::loss::{Batch, bin_centre};
use crate::model::{Latent, WorldModel};

/// An encoded picture.
#[derive(Debug)]
pub struct Png {
    /// Encoded bytes.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Frames the model may look at before it must imagine.
pub const CONTEXT: i64 = 5;

/// Draws the first `rows` sequences of `batch`.
///
/// # Errors
/// The PNG encoder's.
pub fn open_loop(model: &WorldModel, batch: &Batch, rows: i64) -> image::ImageResult<Png> {
    no_grad(|| {
        let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
        let rows = rows.min(size);
        let truth = bin_centre(&batch.frames.flatten(0, 1));
        let embedding = model.encode(&truth).reshape([length, size, -1]);
        let mut state = model.initial(size);
        let mut features = Vec::new();
        for t in 0..length {
            let h = model.recur(&state, &batch.action.get(t));
            let s = if t < CONTEXT {
                model.posterior(&h, &embedding.get(t)).mean
            } else {
                model.prior(&h).mean
            };
            state = Latent { h, s };
            features.push(model.features(&state));
        }
        let imagined = model.decode(&Tensor::cat(&features, 0)).clamp(-0.5, 0.5);
        let difference = (&imagined - &truth).abs() - 0.5;
        let side = FRAME_SIDE as u32;
        let mut picture = RgbImage::new(length as u32 * side, rows as u32 * 3 * side);
        for (band, images) in [&truth, &imagined, &difference].into_iter().enumerate() {
            let pixels = ((images + 0.5) * 255.0)
                .clamp(0.0, 255.0)
                .to_kind(Kind::Uint8)
                .permute([0, 2, 3, 1]);
            let pixels = pixels.contiguous().view([-1]);
            let mut bytes = vec![0u8; pixels.numel()];
            pixels.copy_data(&mut bytes, pixels.numel());
            for t in 0..length as u32 {
                for row in 0..rows as u32 {
                    let frame = (t * size as u32 + row) as usize * FRAME_SIDE * FRAME_SIDE * 3;
                    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
                        let at = frame + ((y * side + x) * 3) as usize;
                        let colour = image::Rgb([bytes[at], bytes[at + 1], bytes[at + 2]]);
                        picture.put_pixel(t * side + x, (row * 3 + band as u32) * side + y, colour);
                    }
                }
            }
        }
        let (width, height) = picture.dimensions();
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes).write_image(
            picture.as_raw(),
            width,
            height,
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(Png { bytes, width, height })
    })
}
