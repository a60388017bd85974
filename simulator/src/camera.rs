//! A pinhole camera with square pixels.

use rapier3d::math::{Pose, Vector};
use robot::FRAME_SIDE;

use crate::trig;

const SIDE: f32 = FRAME_SIDE as f32;

/// Where the camera is and what it sees of the world.
#[derive(Debug, Clone)]
pub(crate) struct Camera {
    eye: Vector,
    /// Unit vectors: to the right of the image, to its top, and into the scene.
    right: Vector,
    up: Vector,
    forward: Vector,
    /// Pixels that one unit at distance one covers.
    focal_px: f32,
}

impl Camera {
    /// A camera that looks along -z of `pose`, with x to the right and y up, as in MJCF.
    pub(crate) fn new(pose: Pose, field_of_view_rad: f32) -> Self {
        Self {
            eye: pose.translation,
            right: pose.rotation * Vector::X,
            up: pose.rotation * Vector::Y,
            forward: -(pose.rotation * Vector::Z),
            focal_px: 0.5 * SIDE / trig::tan(0.5 * field_of_view_rad),
        }
    }

    pub(crate) fn eye(&self) -> Vector {
        self.eye
    }

    /// Unit vector through a point of the image, in pixels from the top left corner.
    pub(crate) fn direction(&self, x_px: f32, y_px: f32) -> Vector {
        let (aside, above) = (
            (x_px - 0.5 * SIDE) / self.focal_px,
            (0.5 * SIDE - y_px) / self.focal_px,
        );
        let ray = self.forward + self.right * aside + self.up * above;
        ray * (1.0 / ray.length_squared().sqrt())
    }

    /// Where a point appears, in pixels from the top left corner; `None` behind the camera.
    pub(crate) fn project(&self, point: Vector) -> Option<[f32; 2]> {
        let offset = point - self.eye;
        let depth = offset.dot(self.forward);
        (depth > 0.0).then(|| {
            let scale = self.focal_px / depth;
            [
                0.5 * SIDE + offset.dot(self.right) * scale,
                0.5 * SIDE - offset.dot(self.up) * scale,
            ]
        })
    }

    /// Columns and rows, each first and last-plus-one, that a sphere can touch. Never too few.
    pub(crate) fn bounds(&self, centre: Vector, radius: f32) -> ((u16, u16), (u16, u16)) {
        let everything = (0, FRAME_SIDE as u16);
        let depth = (centre - self.eye).dot(self.forward);
        let Some([x, y]) = self.project(centre).filter(|_| depth > 1.5 * radius) else {
            return (everything, everything);
        };
        // The sphere's points are at least this deep. Their sideways offset is the centre's plus at most the radius,
        // and dividing by less depth also pushes the centre's own offset outwards.
        let nearest = depth - radius;
        let span = |at: f32| {
            let aside = (at - 0.5 * SIDE) * depth / nearest;
            let reach = radius * self.focal_px / nearest + 1.0;
            let low = (at - 0.5 * SIDE).min(aside) - reach;
            let high = (at - 0.5 * SIDE).max(aside) + reach;
            let clip = |edge: f32| (edge + 0.5 * SIDE).clamp(0.0, SIDE) as u16;
            (clip(low), clip(high + 1.0))
        };
        (span(x), span(y))
    }
}
