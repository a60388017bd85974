//! A lens that bends straight lines.

use serde::{Deserialize, Serialize};

/// What a lens does to a picture, in the model and the letters of OpenCV: five coefficients of Brown and Conrady.
///
/// A direction `(x, y)` (tangents of the angles from the optical axis; x to the right, y down) is seen at
///
/// ```text
/// r2 = x^2 + y^2,   radial = 1 + k1 r2 + k2 r2^2 + k3 r2^3
/// u = fx (x radial + 2 p1 x y + p2 (r2 + 2 x^2)) + cx
/// v = fy (y radial + p1 (r2 + 2 y^2) + 2 p2 x y) + cy
/// ```
///
/// where whole numbers `u`, `v` are the middles of pixels. (D. C. Brown, "Decentering distortion of lenses", 1966; the formula as in
/// OpenCV's `calib3d`.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lens {
    /// Focal length along a row, in pixels.
    pub fx_px: f64,
    /// Focal length along a column, in pixels.
    pub fy_px: f64,
    /// Where the optical axis meets the picture, in pixels from the middle of the leftmost column.
    pub cx_px: f64,
    /// Where the optical axis meets the picture, in pixels from the middle of the top row.
    pub cy_px: f64,
    /// First radial coefficient.
    #[serde(default)]
    pub k1: f64,
    /// Second radial coefficient.
    #[serde(default)]
    pub k2: f64,
    /// First tangential coefficient.
    #[serde(default)]
    pub p1: f64,
    /// Second tangential coefficient.
    #[serde(default)]
    pub p2: f64,
    /// Third radial coefficient.
    #[serde(default)]
    pub k3: f64,
}

/// Steps of Newton's method; three or four are enough where the lens does not fold.
const STEPS_MAX: usize = 50;

impl Lens {
    /// Where a lens without distortion shows what this one shows at `seen`, both in pixels from the picture's top left corner. `None`
    /// where there is no such place.
    pub fn straightened(&self, seen: (f64, f64)) -> Option<(f64, f64)> {
        let mut at = seen;
        for _ in 0..STEPS_MAX {
            let (error_x, error_y) = {
                let now = self.bent(at);
                (now.0 - seen.0, now.1 - seen.1)
            };
            if error_x.abs().max(error_y.abs()) < 1e-9 {
                return Some(at);
            }
            let [a, b, c, d] = self.slope(at);
            let determinant = a * d - b * c;
            if !(determinant > 0.0) {
                return None;
            }
            at.0 -= (d * error_x - b * error_y) / determinant;
            at.1 -= (a * error_y - c * error_x) / determinant;
        }
        None
    }

    /// Where this lens shows what one without distortion shows at `straight`, both in pixels from the picture's top left corner.
    pub(super) fn bent(&self, straight: (f64, f64)) -> (f64, f64) {
        let (u, v) = self.seen_px(self.direction(straight));
        (u + 0.5, v + 0.5)
    }

    /// Where a direction (tangents of the angles from the optical axis) is seen, in pixels: whole numbers are the middles of pixels.
    pub fn seen_px(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let r2 = x * x + y * y;
        let radial = self.radial(r2);
        let bent_x = x * radial + 2.0 * self.p1 * x * y + self.p2 * (r2 + 2.0 * x * x);
        let bent_y = y * radial + self.p1 * (r2 + 2.0 * y * y) + 2.0 * self.p2 * x * y;
        (self.fx_px * bent_x + self.cx_px, self.fy_px * bent_y + self.cy_px)
    }

    /// By how much `bent` moves as `straight` does: du/dx, du/dy, dv/dx, dv/dy. Where the determinant is not positive, the lens shows
    /// something twice or mirrored, which real ones do only in the formula, beyond where they were calibrated.
    pub(super) fn slope(&self, straight: (f64, f64)) -> [f64; 4] {
        let (x, y) = self.direction(straight);
        let r2 = x * x + y * y;
        let radial = self.radial(r2);
        // d radial / d r2
        let rise = self.k1 + r2 * (2.0 * self.k2 + r2 * 3.0 * self.k3);
        let xx = radial + 2.0 * x * x * rise + 2.0 * self.p1 * y + 6.0 * self.p2 * x;
        let xy = 2.0 * x * y * rise + 2.0 * self.p1 * x + 2.0 * self.p2 * y;
        let yy = radial + 2.0 * y * y * rise + 6.0 * self.p1 * y + 2.0 * self.p2 * x;
        [xx, xy * self.fx_px / self.fy_px, xy * self.fy_px / self.fx_px, yy]
    }

    fn radial(&self, r2: f64) -> f64 {
        1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
    }

    fn direction(&self, (u, v): (f64, f64)) -> (f64, f64) {
        (
            (u - 0.5 - self.cx_px) / self.fx_px,
            (v - 0.5 - self.cy_px) / self.fy_px,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENS: Lens = Lens {
        fx_px: 600.0,
        fy_px: 610.0,
        cx_px: 315.0,
        cy_px: 242.0,
        k1: -0.28,
        k2: 0.09,
        p1: 0.001,
        p2: -0.0015,
        k3: -0.01,
    };

    #[test]
    fn straightening_undoes_bending() {
        for x in (0..=640).step_by(40) {
            for y in (0..=480).step_by(40) {
                let at = (f64::from(x), f64::from(y));
                let back = LENS.straightened(LENS.bent(at)).unwrap();
                assert!((back.0 - at.0).abs() < 1e-6 && (back.1 - at.1).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn slope_is_that_of_bent() {
        let (at, step) = ((500.0, 400.0), 1e-4);
        let difference = |a: (f64, f64), b: (f64, f64)| ((a.0 - b.0) / step, (a.1 - b.1) / step);
        let (ux, vx) = difference(LENS.bent((at.0 + step, at.1)), LENS.bent(at));
        let (uy, vy) = difference(LENS.bent((at.0, at.1 + step)), LENS.bent(at));
        for (ours, measured) in LENS.slope(at).into_iter().zip([ux, uy, vx, vy]) {
            assert!((ours - measured).abs() < 1e-5, "{ours} {measured}");
        }
    }

    #[test]
    fn the_optical_axis_stays() {
        let axis = (LENS.cx_px + 0.5, LENS.cy_px + 0.5);
        assert_eq!(LENS.bent(axis), axis);
    }
}
