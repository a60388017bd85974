//! The part of the camera's image the model sees.

use robot::{FRAME_SIDE, Frame};

/// A square of the camera's image, scaled to the model's 64x64 by averaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Left edge in camera pixels.
    pub left: usize,
    /// Top edge in camera pixels.
    pub top: usize,
    /// Side in camera pixels; 0 means that the camera already delivers 64x64.
    pub side: usize,
}

/// A crop that does not fit its image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "crop {crop:?} does not fit a camera image of {width}x{height}; choose a square of at least 64 pixels inside it"
)]
pub struct CropError {
    crop: Crop,
    width: usize,
    height: usize,
}

impl Crop {
    /// A camera, or simulator, that delivers the model's image itself.
    pub const FULL: Self = Self {
        left: 0,
        top: 0,
        side: 0,
    };

    /// Averages the square into `frame`. `rgb` is `height` rows of `width` RGB pixels.
    ///
    /// # Errors
    /// [`CropError`] if the square leaves the image or is smaller than the frame.
    pub fn apply(&self, rgb: &[u8], width: usize, height: usize, frame: &mut Frame) -> Result<(), CropError> {
        let side = if self.side == 0 {
            width.min(height)
        } else {
            self.side
        };
        let fits = side >= FRAME_SIDE
            && self.left + side <= width
            && self.top + side <= height
            && rgb.len() >= width * height * 3;
        if !fits {
            return Err(CropError {
                crop: *self,
                width,
                height,
            });
        }
        // Integer box edges: the same pixels, hence the same bytes, on every machine.
        let edge = |i: usize| i * side / FRAME_SIDE;
        for y in 0..FRAME_SIDE {
            for x in 0..FRAME_SIDE {
                let (x0, x1, y0, y1) = (edge(x), edge(x + 1), edge(y), edge(y + 1));
                let count = ((x1 - x0) * (y1 - y0)) as u32;
                for channel in 0..3 {
                    let mut sum = 0u32;
                    for row in y0..y1 {
                        for column in x0..x1 {
                            let at = ((self.top + row) * width + self.left + column) * 3 + channel;
                            sum += u32::from(rgb[at]);
                        }
                    }
                    frame.rgb_mut()[(y * FRAME_SIDE + x) * 3 + channel] = ((sum + count / 2) / count) as u8;
                }
            }
        }
        Ok(())
    }

    /// Names the crop in bundles and logs.
    pub fn sha256(&self) -> String {
        crate::sha256(&format!("crop {} {} {}", self.left, self.top, self.side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_blocks_and_refuses_what_does_not_fit() {
        let (width, height) = (160, 128);
        let rgb: Vec<u8> = (0..width * height)
            .flat_map(|i| [(i % width) as u8, (i / width) as u8, 7])
            .collect();
        let mut frame = Frame::default();
        Crop {
            left: 16,
            top: 0,
            side: 128,
        }
        .apply(&rgb, width, height, &mut frame)
        .unwrap();
        // Pixel (x, y) averages columns 16 + 2x and 17 + 2x, rows 2y and 2y + 1, rounded half up.
        assert_eq!(&frame.rgb()[..6], &[17, 1, 7, 19, 1, 7]);
        assert_eq!(&frame.rgb()[64 * 3..64 * 3 + 3], &[17, 3, 7]);
        assert!(
            Crop {
                left: 40,
                top: 0,
                side: 128
            }
            .apply(&rgb, width, height, &mut frame)
            .is_err()
        );
        assert!(
            Crop {
                left: 0,
                top: 0,
                side: 32
            }
            .apply(&rgb, width, height, &mut frame)
            .is_err()
        );
    }
}
