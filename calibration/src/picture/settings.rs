//! What a table is made from, as a robot file says it, and what is refused.

use robot::config::DeviceText;
use robot::{Config, ConfigError};
use serde::{Deserialize, Serialize};

use super::axis::Rectangle;
use super::geometry::{Homography, Map, Point};
use super::lens::Lens;

/// Largest width or height of a picture, in pixels.
const PICTURE_MAX_PX: u32 = 8192;

/// Largest side of an image, in pixels.
const SIDE_MAX_PX: u32 = 1024;

/// Which part of a camera's picture the model sees, and how large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSettings {
    /// Pixels a row of the camera's pictures.
    pub width_px: u32,
    /// Rows of the camera's pictures.
    pub height_px: u32,
    /// The part that the model sees.
    #[serde(default)]
    pub view: View,
    /// How the lens bends lines, where it has been calibrated.
    #[serde(default)]
    pub lens: Option<Lens>,
    /// Width and height of the model's image, in pixels.
    pub side: u32,
}

/// A part of a picture. Coordinates are in pixels from the top left corner: the picture goes from (0, 0) to (width, height).
///
/// With a lens, a rectangle lies in the picture that a lens without distortion would have given; corners lie in the camera's own.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum View {
    /// The largest square in the middle.
    #[default]
    MiddleSquare,
    /// All of it. What is wider than high is squeezed.
    Whole,
    /// A rectangle. What is wider than high is squeezed.
    Crop {
        /// Columns left of it.
        left_px: u32,
        /// Rows above it.
        top_px: u32,
        /// Its columns.
        width_px: u32,
        /// Its rows.
        height_px: u32,
    },
    /// A rectangle of the scene, such as a table's top, that the camera sees at an angle: it becomes the square image.
    Corners {
        /// Becomes the image's top left corner.
        top_left_px: (f64, f64),
        /// Becomes the image's top right corner.
        top_right_px: (f64, f64),
        /// Becomes the image's bottom right corner.
        bottom_right_px: (f64, f64),
        /// Becomes the image's bottom left corner.
        bottom_left_px: (f64, f64),
    },
}

/// A setting that no table can be made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct SettingsError {
    /// The field, with its structure: `view.crop.left_px`.
    pub field: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}

impl SettingsError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// What the settings come to.
pub(super) enum Region {
    Crop(Rectangle),
    Mapped(Map),
}

impl PictureSettings {
    /// What the robot file says of pictures of this size.
    ///
    /// # Errors
    /// [`ConfigError`] for a `capture.view` or `capture.lens` that cannot be read.
    pub fn of(config: &Config, width_px: u32, height_px: u32) -> Result<Self, ConfigError> {
        Ok(Self {
            width_px,
            height_px,
            view: config
                .view
                .as_ref()
                .map_or(Ok(View::default()), DeviceText::read)?,
            lens: config.lens.as_ref().map(DeviceText::read).transpose()?,
            side: config.frame_side as u32,
        })
    }

    /// Checks every field by itself, and finds the part of the picture.
    pub(super) fn region(&self) -> Result<Region, SettingsError> {
        let within = |field, value, max| match value {
            0 => Err(SettingsError::new(field, "is 0", "write the number of pixels")),
            _ if value > max => Err(SettingsError::new(
                field,
                format!("{value} is too large"),
                format!("write at most {max}"),
            )),
            _ => Ok(()),
        };
        within("width_px", self.width_px, PICTURE_MAX_PX)?;
        within("height_px", self.height_px, PICTURE_MAX_PX)?;
        within("side", self.side, SIDE_MAX_PX)?;
        if let Some(lens) = &self.lens {
            check_lens(lens)?;
        }
        let (width, height) = (self.width_px, self.height_px);
        let crop = match self.view {
            View::MiddleSquare => {
                let side = width.min(height);
                Rectangle {
                    left: (width - side) / 2,
                    top: (height - side) / 2,
                    width: side,
                    height: side,
                }
            }
            View::Whole => Rectangle {
                left: 0,
                top: 0,
                width,
                height,
            },
            View::Crop {
                left_px,
                top_px,
                width_px,
                height_px,
            } => {
                within("view.crop.width_px", width_px, width)?;
                within("view.crop.height_px", height_px, height)?;
                let inside = |field, first: u32, length: u32, whole: u32| {
                    if u64::from(first) + u64::from(length) <= u64::from(whole) {
                        return Ok(());
                    }
                    Err(SettingsError::new(
                        field,
                        format!(
                            "{first} and {length} pixels from there go beyond the picture, which has {whole}"
                        ),
                        format!("write at most {}", whole - length),
                    ))
                };
                inside("view.crop.left_px", left_px, width_px, width)?;
                inside("view.crop.top_px", top_px, height_px, height)?;
                Rectangle {
                    left: left_px,
                    top: top_px,
                    width: width_px,
                    height: height_px,
                }
            }
            View::Corners {
                top_left_px,
                top_right_px,
                bottom_right_px,
                bottom_left_px,
            } => return self.of_corners([top_left_px, top_right_px, bottom_right_px, bottom_left_px]),
        };
        if self.lens.is_none() {
            return Ok(Region::Crop(crop));
        }
        let (left, top) = (f64::from(crop.left), f64::from(crop.top));
        let (right, bottom) = (left + f64::from(crop.width), top + f64::from(crop.height));
        self.mapped([(left, top), (right, top), (right, bottom), (left, bottom)])
    }

    fn of_corners(&self, corners: [Point; 4]) -> Result<Region, SettingsError> {
        const FIELDS: [&str; 4] = [
            "view.corners.top_left_px",
            "view.corners.top_right_px",
            "view.corners.bottom_right_px",
            "view.corners.bottom_left_px",
        ];
        let mut straight = corners;
        for i in 0..4 {
            let (x, y) = corners[i];
            let (width, height) = (f64::from(self.width_px), f64::from(self.height_px));
            if !((0.0..=width).contains(&x) && (0.0..=height).contains(&y)) {
                return Err(SettingsError::new(
                    FIELDS[i],
                    format!("({x:?}, {y:?}) is outside of the picture"),
                    format!("write a point between (0, 0) and ({width}, {height})"),
                ));
            }
            if let Some(lens) = &self.lens {
                straight[i] = lens.straightened(corners[i]).ok_or_else(|| {
                    SettingsError::new(
                        "lens",
                        format!("shows nothing at ({x:?}, {y:?}), where {} is", FIELDS[i]),
                        "calibrate it with pictures of the board in all corners, or leave it out",
                    )
                })?;
            }
        }
        self.mapped(straight)
    }

    fn mapped(&self, corners: [Point; 4]) -> Result<Region, SettingsError> {
        let flat = Homography::of_corners(corners).ok_or_else(|| {
            SettingsError::new(
                "view.corners",
                "the four points are no convex quadrilateral in the order top left, top right, bottom right, bottom left",
                "give the corners in this order as they are to be in the image; the image cannot be mirrored",
            )
        })?;
        Ok(Region::Mapped(Map {
            flat,
            lens: self.lens,
        }))
    }
}

fn check_lens(lens: &Lens) -> Result<(), SettingsError> {
    for (field, value) in [("lens.fx_px", lens.fx_px), ("lens.fy_px", lens.fy_px)] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(SettingsError::new(
                field,
                format!("{value:?} is no focal length"),
                "write that of the calibration, in pixels: usually about as many as the picture has columns",
            ));
        }
    }
    let rest = [
        ("lens.cx_px", lens.cx_px),
        ("lens.cy_px", lens.cy_px),
        ("lens.k1", lens.k1),
        ("lens.k2", lens.k2),
        ("lens.p1", lens.p1),
        ("lens.p2", lens.p2),
        ("lens.k3", lens.k3),
    ];
    match rest.into_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((field, value)) => Err(SettingsError::new(
            field,
            format!("{value:?} is no number"),
            "write the calibration's",
        )),
    }
}
