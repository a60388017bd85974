//! Pictures of a board as a camera with a known lens would take them: for tests and for simulated arms. No camera has a part in them.

use calibration::picture::Lens;
use nalgebra::{Isometry3, Point3, Vector3};

use crate::board::Pattern;
use crate::{Board, FinderError};

/// Rays in a row of a pixel, and rows of them.
const RAYS: usize = 3;

/// Levels of what is black, of what is white, and of what is behind the board.
const BLACK: f64 = 35.0;
const WHITE: f64 = 205.0;
const BEHIND: f64 = 110.0;

/// How much darker the picture is at its right edge than at its left.
const SHADE: f64 = 0.2;

/// A camera that is no camera.
#[derive(Debug)]
pub struct SyntheticCamera {
    width: usize,
    height: usize,
    board: Board,
    pattern: Pattern,
    /// Directions in the camera's frame, of each pixel in turn.
    rays: Vec<Vector3<f64>>,
}

impl SyntheticCamera {
    /// With pictures of `width` x `height` pixels, of this board.
    ///
    /// # Errors
    /// A board that cannot be.
    pub fn new(lens: &Lens, width: usize, height: usize, board: &Board) -> Result<Self, FinderError> {
        let offset = |ray: usize| (ray as f64 + 0.5) / RAYS as f64;
        let mut rays = Vec::with_capacity(width * height * RAYS * RAYS);
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
            for ray in 0..RAYS * RAYS {
                let seen = (
                    column as f64 + offset(ray % RAYS),
                    row as f64 + offset(ray / RAYS),
                );
                // Where the lens shows nothing, it is as if it were straight.
                let (u, v) = lens.straightened(seen).unwrap_or(seen);
                rays.push(Vector3::new(
                    (u - 0.5 - lens.cx_px) / lens.fx_px,
                    (v - 0.5 - lens.cy_px) / lens.fy_px,
                    1.0,
                ));
            }
        }
        Ok(Self {
            width,
            height,
            board: *board,
            pattern: board.pattern()?,
            rays,
        })
    }

    /// The grey levels of a picture of the board at this pose in the camera's frame. `noise` gives each pixel's, in levels.
    pub fn picture(&self, board_in_camera: &Isometry3<f64>, noise: &mut dyn FnMut() -> f64) -> Vec<u8> {
        let inverse = board_in_camera.inverse();
        let from = inverse * Point3::origin();
        let pixels = self.rays.chunks_exact(RAYS * RAYS).enumerate();
        pixels
            .map(|(index, rays)| {
                let sum: f64 = rays
                    .iter()
                    .map(|ray| {
                        let way = inverse * ray;
                        let there = from + way * (-from.z / way.z);
                        self.level(there.x, there.y)
                    })
                    .sum();
                let light = 1.0 - SHADE * (index % self.width) as f64 / self.width as f64;
                (light * sum / (RAYS * RAYS) as f64 + noise()).clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    /// Width and height of the pictures, in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn level(&self, x: f64, y: f64) -> f64 {
        let ([width, height], margin) = (self.board.size_m(), self.board.square_m / 2.0);
        match self.pattern.is_black([x, y]) {
            Some(true) => BLACK,
            Some(false) => WHITE,
            // The sheet around the pattern.
            None if (-margin..width + margin).contains(&x) && (-margin..height + margin).contains(&y) => {
                WHITE
            }
            None => BEHIND,
        }
    }
}
