//! Weights of a rectified or undistorted view: for each pixel of the image, the runs of pixels that it shows.
//!
//! A pixel of the image is a small square; its outline is carried into the picture, and each pixel of the picture weighs by the area
//! that lies within. Curved outlines, of a lens, are followed by several straight pieces a side.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::geometry::{Map, Point, area, clip};
use super::settings::{PictureSettings, SettingsError};

/// What the weights of a pixel sum to: a sum of 255 times that, and half of it, fit 32 bits.
const WHOLE: u32 = 1 << 24;

/// Straight pieces that a side of a pixel's outline is followed by, where a lens bends it.
const PIECES: u32 = 4;

/// How far, in pixels, rounding may carry a point out of the picture.
const OUTSIDE_MAX_PX: f64 = 1e-6;

/// Pixels that lie side by side in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The leftmost: its row times the picture's width, plus its column.
    pub(super) first: u32,
    /// How many.
    pub(super) count: u32,
}

/// Runs and weights for each pixel of the image.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    /// `pixels[i]..pixels[i + 1]` are the runs of pixel `i`.
    pub(super) pixels: Vec<u32>,
    pub(super) runs: Vec<Run>,
    /// For each pixel of each run, in order.
    pub(super) weights: Vec<u32>,
    rows: Range<usize>,
}

/// Memory to clip polygons in.
#[derive(Default)]
struct Clipping {
    spare: Vec<Point>,
    row: Vec<Point>,
    pixel: Vec<Point>,
}

impl Gather {
    /// Weights of what `map` shows.
    ///
    /// # Errors
    /// If the map leaves the picture, or its lens folds.
    pub(super) fn new(map: &Map, settings: &PictureSettings) -> Result<Self, SettingsError> {
        let size = (settings.width_px, settings.height_px);
        let mut table = Self {
            pixels: vec![0],
            runs: Vec::new(),
            weights: Vec::new(),
            rows: size.1 as usize..0,
        };
        let mut clipping = Clipping::default();
        let mut outline = Vec::new();
        for y in 0..settings.side {
            for x in 0..settings.side {
                follow(map, (x, y), settings, &mut outline)?;
                table.add(&outline, size, &mut clipping)?;
            }
        }
        Ok(table)
    }

    /// Rows of the picture that take part.
    #[inline(always)]
    pub(super) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        hash.update(b"gathered\n");
        for numbers in [&self.pixels, &self.weights] {
            for number in numbers {
                hash.update(number.to_le_bytes());
            }
        }
        for run in &self.runs {
            hash.update(run.first.to_le_bytes());
            hash.update(run.count.to_le_bytes());
        }
    }

    /// Adds the pixel of the image with this outline.
    fn add(
        &mut self,
        outline: &[Point],
        (width, height): (u32, u32),
        clipping: &mut Clipping,
    ) -> Result<(), SettingsError> {
        let (first_run, mut areas) = (self.runs.len(), Vec::new());
        for row in pixels(outline.iter().map(|point| point.1), height) {
            let Clipping {
                spare,
                row: part,
                pixel,
            } = clipping;
            let low = f64::from(row);
            clip(outline, |point| point.1, (low, low + 1.0), spare, part);
            let columns = pixels(part.iter().map(|point| point.0), width);
            let before = areas.len();
            for column in columns.clone() {
                let low = f64::from(column);
                clip(part, |point| point.0, (low, low + 1.0), spare, pixel);
                areas.push(area(pixel).max(0.0));
            }
            let count = (areas.len() - before) as u32;
            if count > 0 {
                self.runs.push(Run {
                    first: row * width + columns.start,
                    count,
                });
                self.rows.start = self.rows.start.min(row as usize);
                self.rows.end = self.rows.end.max(row as usize + 1);
            }
        }
        if !(areas.iter().sum::<f64>() > 0.0) || self.runs.len() == first_run {
            return Err(SettingsError::new(
                "view",
                "shows so small a part of the picture that a pixel of the image has no area",
                "show more of the picture",
            ));
        }
        self.weights.extend(shares(&areas));
        self.pixels.push(self.runs.len() as u32);
        Ok(())
    }
}

/// The pixels along one axis that `coordinates` reach, of `count`.
fn pixels(coordinates: impl Iterator<Item = f64>, count: u32) -> Range<u32> {
    let (low, high) = coordinates.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| {
        (low.min(at), high.max(at))
    });
    if !(low <= high) {
        return 0..0;
    }
    // `as` saturates.
    (low.floor() as u32).min(count)..(high.ceil() as u32).min(count)
}

/// Carries the outline of pixel (x, y) into the picture.
fn follow(
    map: &Map,
    (x, y): (u32, u32),
    settings: &PictureSettings,
    outline: &mut Vec<Point>,
) -> Result<(), SettingsError> {
    let pieces = if map.lens.is_some() { PIECES } else { 1 };
    let steps = (0..4 * pieces).map(|i| {
        let (side, along) = (i / pieces, i % pieces);
        match side {
            0 => (along, 0),
            1 => (pieces, along),
            2 => (pieces - along, pieces),
            _ => (0, pieces - along),
        }
    });
    outline.clear();
    for (dx, dy) in steps {
        let whole = f64::from(settings.side * pieces);
        let at = (
            f64::from(x * pieces + dx) / whole,
            f64::from(y * pieces + dy) / whole,
        );
        if map.folds(at) {
            return Err(SettingsError::new(
                "lens",
                "folds within the view: by its coefficients it shows a part of the scene twice",
                "calibrate it with pictures of the board in all corners, or show less of the picture",
            ));
        }
        let (u, v) = map.of(at);
        let (width, height) = (f64::from(settings.width_px), f64::from(settings.height_px));
        let inside = |at: f64, end: f64| at >= -OUTSIDE_MAX_PX && at <= end + OUTSIDE_MAX_PX;
        if !(inside(u, width) && inside(v, height)) {
            return Err(SettingsError::new(
                "view",
                format!(
                    "reaches ({u:.1}, {v:.1}) after the lens is taken into account, which is outside of the picture"
                ),
                "show less of the picture",
            ));
        }
        outline.push((u.clamp(0.0, width), v.clamp(0.0, height)));
    }
    Ok(())
}

/// Parts of [`WHOLE`] in proportion to `areas`: rounded down, and what is left given to the largest remainders, the first of equals
/// first. Their sum is exact.
fn shares(areas: &[f64]) -> Vec<u32> {
    let sum: f64 = areas.iter().sum();
    let exact: Vec<f64> = areas.iter().map(|area| area / sum * f64::from(WHOLE)).collect();
    let mut parts: Vec<u32> = exact.iter().map(|part| *part as u32).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    // The quotients' own rounding is far below 1, in sum too: what is left is between nothing and a part each.
    let mut left = WHOLE.saturating_sub(parts.iter().sum());
    for at in order.into_iter().cycle() {
        if left == 0 {
            break;
        }
        parts[at] += 1;
        left -= 1;
    }
    parts
}
