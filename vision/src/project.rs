//! From the camera's frame to its picture.

use calibration::picture::Lens;
use nalgebra::Point3;

/// Where a point of the camera's frame, in metres, is seen, in pixels; `None` behind the camera. The formula is [`Lens`]'s.
pub fn project(lens: &Lens, point: &Point3<f64>) -> Option<[f64; 2]> {
    if !(point.z > 0.0) {
        return None;
    }
    let (u, v) = lens.seen_px((point.x / point.z, point.y / point.z));
    Some([u, v])
}
