//! Pictures of what a model makes of a batch: open-loop predictions as a strip and as an animation, and what single numbers of
//! the latent state do to the image.

use image::{ImageEncoder, RgbImage};
use tch::{Device, Kind, Tensor, no_grad};

use crate::loss::{Batch, bin_centre};
use crate::model::{Latent, WorldModel};

/// An encoded picture.
#[derive(Debug)]
pub struct Picture {
    /// Encoded bytes.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Frames the model may look at before it must imagine.
pub const CONTEXT: i64 = 5;

/// Steps of a latent number to either side of its mean, in its own standard deviations.
const TRAVERSAL: [f64; 7] = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];

/// Truth, imagination after [`CONTEXT`] frames, and their difference: pixels of each, in time order.
#[derive(Debug)]
pub struct OpenLoop {
    length: u32,
    /// Sequences in the batch.
    size: u32,
    /// Width and height of an image, in pixels.
    side: u32,
    /// `[L][B][side][side][3]` of truth, imagination and difference.
    bands: [Vec<u8>; 3],
}

impl OpenLoop {
    /// Imagines on from the first frames of `batch`.
    pub fn of(model: &WorldModel, batch: &Batch) -> Self {
        no_grad(|| {
            let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
            let truth = bin_centre(&batch.frames.flatten(0, 1), model.sizes.image_bits);
            let embedding = model
                .observe(&truth, &batch.joints.flatten(0, 1))
                .reshape([length, size, -1]);
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
            Self {
                length: length as u32,
                size: size as u32,
                side: model.side.size() as u32,
                bands: [pixels(&truth), pixels(&imagined), pixels(&difference)],
            }
        })
    }

    fn paste(&self, picture: &mut RgbImage, band: usize, t: u32, row: u32, left: u32, top: u32) {
        let bytes = (self.side * self.side * 3) as usize;
        let from = (t * self.size + row) as usize * bytes;
        paste(
            picture,
            &self.bands[band][from..from + bytes],
            self.side,
            left,
            top,
        );
    }

    /// A PNG of the first `rows` sequences, time going right: truth, imagination, difference below one another.
    ///
    /// # Errors
    /// The encoder's.
    pub fn strip(&self, rows: u32) -> image::ImageResult<Picture> {
        let (rows, side) = (rows.min(self.size), self.side);
        let mut picture = RgbImage::new(self.length * side, rows * 3 * side);
        for (row, t) in (0..rows).flat_map(|row| (0..self.length).map(move |t| (row, t))) {
            for band in 0..3 {
                let top = (row * 3 + band as u32) * side;
                self.paste(&mut picture, band, t, row, t * side, top);
            }
        }
        png(&picture)
    }

    /// An animated GIF of the first `columns` sequences side by side; a red line on top while the model may look.
    ///
    /// # Errors
    /// The encoder's.
    pub fn video(&self, columns: u32) -> Result<Picture, gif::EncodingError> {
        let (columns, side) = (columns.min(self.size), self.side);
        let (width, height) = (columns * side, 3 * side + 2);
        let mut bytes = Vec::new();
        {
            let mut encoder = gif::Encoder::new(&mut bytes, width as u16, height as u16, &[])?;
            encoder.set_repeat(gif::Repeat::Infinite)?;
            for t in 0..self.length {
                let mut picture = RgbImage::new(width, height);
                if i64::from(t) < CONTEXT {
                    for (x, y) in (0..width).flat_map(|x| [(x, 0), (x, 1)]) {
                        picture.put_pixel(x, y, image::Rgb([220, 40, 40]));
                    }
                }
                for (column, band) in (0..columns).flat_map(|column| (0..3).map(move |band| (column, band))) {
                    self.paste(
                        &mut picture,
                        band,
                        t,
                        column,
                        column * side,
                        2 + band as u32 * side,
                    );
                }
                let mut frame = gif::Frame::from_rgb_speed(width as u16, height as u16, picture.as_raw(), 15);
                frame.delay = 15;
                encoder.write_frame(&frame)?;
            }
        }
        let bytes = files::gif_comment(bytes);
        Ok(Picture { bytes, width, height })
    }
}

/// A PNG: a row for each of the first `rows` stochastic numbers of the belief at the end of a sequence, changed by -3 to 3 of its
/// standard deviations over the batch.
///
/// # Errors
/// The encoder's.
pub fn traversal(model: &WorldModel, batch: &Batch, rows: i64) -> image::ImageResult<Picture> {
    let (decoded, rows) = no_grad(|| {
        let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
        let truth = bin_centre(&batch.frames.flatten(0, 1), model.sizes.image_bits);
        let embedding = model
            .observe(&truth, &batch.joints.flatten(0, 1))
            .reshape([length, size, -1]);
        let mut state = model.initial(size);
        for t in 0..length {
            let h = model.recur(&state, &batch.action.get(t));
            let s = model.posterior(&h, &embedding.get(t)).mean;
            state = Latent { h, s };
        }
        let rows = rows.min(model.sizes.stochastic);
        let deviation = state.s.std_dim([0i64].as_slice(), false, false);
        let mut features = Vec::new();
        for (row, step) in (0..rows).flat_map(|row| TRAVERSAL.map(|step| (row, step))) {
            let one = Latent {
                h: state.h.narrow(0, 0, 1),
                s: state.s.narrow(0, 0, 1).copy(),
            };
            let mut number = one.s.narrow(1, row, 1);
            let _ = number.g_add_(&(deviation.get(row) * step));
            features.push(model.features(&one));
        }
        let images = model.decode(&Tensor::cat(&features, 0)).clamp(-0.5, 0.5);
        (pixels(&images), rows as u32)
    });
    let columns = TRAVERSAL.len() as u32;
    let side = model.side.size() as u32;
    let mut picture = RgbImage::new(columns * side, rows * side);
    for (index, image) in decoded.chunks_exact((side * side * 3) as usize).enumerate() {
        let (row, column) = (index as u32 / columns, index as u32 % columns);
        paste(&mut picture, image, side, column * side, row * side);
    }
    png(&picture)
}

/// Images `[N, 3, S, S]` in [-0.5, 0.5] as bytes, channels last.
fn pixels(images: &Tensor) -> Vec<u8> {
    let pixels = ((images + 0.5) * 255.0)
        .clamp(0.0, 255.0)
        .to_kind(Kind::Uint8)
        .permute([0, 2, 3, 1])
        .to_device(Device::Cpu)
        .contiguous()
        .view([-1]);
    let mut bytes = vec![0u8; pixels.numel()];
    pixels.copy_data(&mut bytes, pixels.numel());
    bytes
}

fn paste(picture: &mut RgbImage, rgb: &[u8], side: u32, left: u32, top: u32) {
    for (index, pixel) in rgb.chunks_exact(3).enumerate() {
        let (x, y) = (index as u32 % side, index as u32 / side);
        picture.put_pixel(left + x, top + y, image::Rgb([pixel[0], pixel[1], pixel[2]]));
    }
}

fn png(picture: &RgbImage) -> image::ImageResult<Picture> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(
        picture.as_raw(),
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )?;
    let bytes = files::png(bytes);
    Ok(Picture { bytes, width, height })
}
