//! A pinhole camera with square pixels.

use rapier3d::math::{Pose, Vector};

use crate::trig;

/// Where the camera is and what it sees of the world.
#[derive(Debug, Clone)]
pub(crate) struct Camera {
    eye: Vector,
    /// Unit vectors: to the right of the image, to its top, and into the scene.
    right: Vector,
    up: Vector,
    forward: Vector,
    /// Tangent of half the field of view.
    half_view_tangent: f32,
}

/// A camera with an image of a certain size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projection<'a> {
    camera: &'a Camera,
    /// Width and height of the image, in pixels.
    side: u16,
    /// Half of that.
    half_px: f32,
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
            half_view_tangent: trig::tan(0.5 * field_of_view_rad),
        }
    }

    /// The camera with an image of `side` x `side` pixels.
    pub(crate) fn of_side(&self, side: usize) -> Projection<'_> {
        let half_px = 0.5 * side as f32;
        Projection {
            camera: self,
            side: side as u16,
            half_px,
            focal_px: half_px / self.half_view_tangent,
        }
    }
}

impl Projection<'_> {
    pub(crate) fn eye(&self) -> Vector {
        self.camera.eye
    }

    /// Unit vector through a point of the image, in pixels from the top left corner.
    pub(crate) fn direction(&self, x_px: f32, y_px: f32) -> Vector {
        let (aside, above) = (
            (x_px - self.half_px) / self.focal_px,
            (self.half_px - y_px) / self.focal_px,
        );
        let ray = self.camera.forward + self.camera.right * aside + self.camera.up * above;
        ray * (1.0 / ray.length_squared().sqrt())
    }

    /// Where a point appears, in pixels from the top left corner; `None` behind the camera.
    pub(crate) fn project(&self, point: Vector) -> Option<[f32; 2]> {
        let offset = point - self.camera.eye;
        let depth = offset.dot(self.camera.forward);
        (depth > 0.0).then(|| {
            let scale = self.focal_px / depth;
            [
                self.half_px + offset.dot(self.camera.right) * scale,
                self.half_px - offset.dot(self.camera.up) * scale,
            ]
        })
    }

    /// Columns and rows, each first and last-plus-one, that a sphere can touch. Never too few.
    pub(crate) fn bounds(&self, centre: Vector, radius: f32) -> ((u16, u16), (u16, u16)) {
        let everything = (0, self.side);
        let depth = (centre - self.camera.eye).dot(self.camera.forward);
        let Some([x, y]) = self.project(centre).filter(|_| depth > 1.5 * radius) else {
            return (everything, everything);
        };
        // The sphere's points are at least this deep. Their sideways offset is the centre's plus at most the radius,
        // and dividing by less depth also pushes the centre's own offset outwards.
        let nearest = depth - radius;
        let span = |at: f32| {
            let aside = (at - self.half_px) * depth / nearest;
            let reach = radius * self.focal_px / nearest + 1.0;
            let low = (at - self.half_px).min(aside) - reach;
            let high = (at - self.half_px).max(aside) + reach;
            let clip = |edge: f32| (edge + self.half_px).clamp(0.0, f32::from(self.side)) as u16;
            (clip(low), clip(high + 1.0))
        };
        (span(x), span(y))
    }
}
