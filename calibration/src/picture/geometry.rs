//! Points and areas: where a part of the image lies in the picture.
//!
//! Points are in pixels from the top left corner: pixel (0, 0) is the square from (0, 0) to (1, 1). Only sums, products, quotients and
//! comparisons are used, which every machine rounds alike: a table made elsewhere has the same hash.

use super::lens::Lens;

/// A point, x to the right and y down.
pub(super) type Point = (f64, f64);

/// Perspective map of the unit square: `((a x + b y + c) / w, (d x + e y + f) / w)` with `w = g x + h y + 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Homography([f64; 8]);

impl Homography {
    /// The map that takes (0, 0), (1, 0), (1, 1), (0, 1) to `corners`. `None` unless they are a convex quadrilateral, in this order
    /// clockwise on the screen: any other would show a part of the picture twice, mirrored or not at all.
    ///
    /// P. Heckbert, "Fundamentals of texture mapping and image warping", 1989, section 2.2.3.
    pub(super) fn of_corners(corners: [Point; 4]) -> Option<Self> {
        for i in 0..4 {
            let (a, b, c) = (corners[i], corners[(i + 1) % 4], corners[(i + 2) % 4]);
            let turn = (b.0 - a.0) * (c.1 - b.1) - (b.1 - a.1) * (c.0 - b.0);
            // In square pixels: less is a line, not a corner.
            if !(turn > 1e-3) {
                return None;
            }
        }
        let [p0, p1, p2, p3] = corners;
        let (dx1, dx2, sx) = (p1.0 - p2.0, p3.0 - p2.0, p0.0 - p1.0 + p2.0 - p3.0);
        let (dy1, dy2, sy) = (p1.1 - p2.1, p3.1 - p2.1, p0.1 - p1.1 + p2.1 - p3.1);
        let determinant = dx1 * dy2 - dx2 * dy1;
        let g = (sx * dy2 - dx2 * sy) / determinant;
        let h = (dx1 * sy - sx * dy1) / determinant;
        Some(Self([
            p1.0 - p0.0 + g * p1.0,
            p3.0 - p0.0 + h * p3.0,
            p0.0,
            p1.1 - p0.1 + g * p1.1,
            p3.1 - p0.1 + h * p3.1,
            p0.1,
            g,
            h,
        ]))
    }

    /// Where a point of the unit square goes.
    pub(super) fn of(&self, (x, y): Point) -> Point {
        let [a, b, c, d, e, f, g, h] = self.0;
        let w = g * x + h * y + 1.0;
        ((a * x + b * y + c) / w, (d * x + e * y + f) / w)
    }
}

/// From the unit square of the image to the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    pub(super) flat: Homography,
    pub(super) lens: Option<Lens>,
}

impl Map {
    /// Where a point of the unit square goes.
    pub(super) fn of(&self, point: Point) -> Point {
        let straight = self.flat.of(point);
        self.lens.map_or(straight, |lens| lens.bent(straight))
    }

    /// Whether the lens folds at a point of the unit square.
    pub(super) fn folds(&self, point: Point) -> bool {
        self.lens.is_some_and(|lens| {
            let [a, b, c, d] = lens.slope(self.flat.of(point));
            !(a * d - b * c > 0.0)
        })
    }
}

/// Area of a polygon: positive if it goes clockwise on the screen (the shoelace formula).
pub(super) fn area(polygon: &[Point]) -> f64 {
    let Some(last) = polygon.last() else {
        return 0.0;
    };
    let mut before = *last;
    let mut sum = 0.0;
    for point in polygon {
        sum += before.0 * point.1 - before.1 * point.0;
        before = *point;
    }
    sum / 2.0
}

/// The part of `polygon` where `value(point)` is between `low` and `high`, into `clipped` by way of `spare` (Sutherland and Hodgman,
/// "Reentrant polygon clipping", 1974). `value` is one of the coordinates.
pub(super) fn clip(
    polygon: &[Point],
    value: fn(&Point) -> f64,
    (low, high): (f64, f64),
    spare: &mut Vec<Point>,
    clipped: &mut Vec<Point>,
) {
    half(polygon, |point| value(point) - low, spare);
    half(spare, |point| high - value(point), clipped);
}

/// The part of `polygon` where `inside(point)` is not negative.
fn half(polygon: &[Point], inside: impl Fn(&Point) -> f64, clipped: &mut Vec<Point>) {
    clipped.clear();
    let Some(last) = polygon.last() else {
        return;
    };
    let (mut before, mut before_inside) = (*last, inside(last));
    for point in polygon {
        let now = inside(point);
        if (now >= 0.0) != (before_inside >= 0.0) {
            let t = before_inside / (before_inside - now);
            clipped.push((
                before.0 + t * (point.0 - before.0),
                before.1 + t * (point.1 - before.1),
            ));
        }
        if now >= 0.0 {
            clipped.push(*point);
        }
        (before, before_inside) = (*point, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_go_where_they_were_put() {
        let corners = [(100.0, 80.0), (500.0, 120.0), (560.0, 430.0), (60.0, 400.0)];
        let map = Homography::of_corners(corners).unwrap();
        for (at, corner) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
            .into_iter()
            .zip(corners)
        {
            let there = map.of(at);
            assert!((there.0 - corner.0).abs() < 1e-9 && (there.1 - corner.1).abs() < 1e-9);
        }
    }

    #[test]
    fn quadrilaterals_that_fold_are_none() {
        let square = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)];
        assert!(Homography::of_corners(square).is_some());
        let swapped = [square[0], square[2], square[1], square[3]];
        let mirrored = [square[1], square[0], square[3], square[2]];
        let dented = [square[0], square[1], (2.0, 2.0), square[3]];
        let flat = [square[0], square[1], square[1], square[3]];
        let nothing = [(f64::NAN, 0.0), square[1], square[2], square[3]];
        for corners in [swapped, mirrored, dented, flat, nothing] {
            assert_eq!(Homography::of_corners(corners), None, "{corners:?}");
        }
    }

    #[test]
    fn a_clipped_square_has_the_area_of_what_is_left() {
        let square = [(0.25, 0.0), (2.25, 0.0), (2.25, 2.0), (0.25, 2.0)];
        let (mut spare, mut clipped) = (Vec::new(), Vec::new());
        clip(&square, |point| point.0, (1.0, 2.0), &mut spare, &mut clipped);
        assert_eq!(area(&clipped), 2.0);
        clip(&square, |point| point.0, (2.0, 3.0), &mut spare, &mut clipped);
        assert_eq!(area(&clipped), 0.5);
        clip(&square, |point| point.0, (3.0, 4.0), &mut spare, &mut clipped);
        assert_eq!(area(&clipped), 0.0);
    }
}
