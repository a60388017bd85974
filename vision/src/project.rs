//! From the camera's frame to its picture.

use calibration::picture::Lens;
use nalgebra::Point3;

/// Where a point of the camera's frame, in metres, is seen, in pixels; `None` behind the camera. The formula is [`Lens`]'s.
pub fn project(lens: &Lens, point: &Point3<f64>) -> Option<[f64; 2]> {
    if !(point.z > 0.0) {
        return None;
    }
    let (x, y) = (point.x / point.z, point.y / point.z);
    let r2 = x * x + y * y;
    let radial = 1.0 + r2 * (lens.k1 + r2 * (lens.k2 + r2 * lens.k3));
    let bent_x = x * radial + 2.0 * lens.p1 * x * y + lens.p2 * (r2 + 2.0 * x * x);
    let bent_y = y * radial + lens.p1 * (r2 + 2.0 * y * y) + 2.0 * lens.p2 * x * y;
    Some([lens.fx_px * bent_x + lens.cx_px, lens.fy_px * bent_y + lens.cy_px])
}
