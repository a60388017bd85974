//! Where a board is, by where its corners are seen.

use calibration::picture::Lens;
use nalgebra::{
    DMatrix, DVector, Isometry3, Matrix3, Point3, Rotation3, Translation3, UnitQuaternion, Vector3,
};

use crate::{Corner, least_squares, project};

/// Steps by which a pose is varied for its slope: radians, then metres.
pub(crate) const STEPS: [f64; 6] = [1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6];

/// Fewer corners than this fix no pose.
const CORNERS_MIN: usize = 4;

/// The pose of a board in the camera's frame, and the root of the mean square of its corners' distances from where they should be seen, in pixels. `None` where the
/// corners tell no pose.
pub fn of_board(lens: &Lens, corners: &[Corner]) -> Option<(Isometry3<f64>, f64)> {
    // Straightened first, so that a homography holds.
    let straight: Vec<Corner> = corners
        .iter()
        .map(|corner| {
            let [u, v] = corner.seen_px;
            let (u, v) = lens.straightened((u + 0.5, v + 0.5))?;
            Some(Corner {
                seen_px: [u - 0.5, v - 0.5],
                ..*corner
            })
        })
        .collect::<Option<_>>()?;
    let start = from_homography(lens, &homography(&straight)?)?;
    let solved = least_squares::solve(DVector::zeros(6), &STEPS, &|change| {
        errors(lens, &moved(&start, change.as_slice()), corners)
    });
    let pose = moved(&start, solved.parameters.as_slice());
    let rms_px = (solved.residuals.norm_squared() / corners.len() as f64).sqrt();
    rms_px.is_finite().then_some((pose, rms_px))
}

/// How far each corner is seen from where it should be, in pixels: to the right and down, in turn.
pub(crate) fn errors(lens: &Lens, board_in_camera: &Isometry3<f64>, corners: &[Corner]) -> DVector<f64> {
    let pairs = corners.iter().flat_map(|corner| {
        let [x, y] = corner.board_m;
        let there = board_in_camera * Point3::new(x, y, 0.0);
        // A point behind the camera is as wrong as can be.
        let [u, v] = project(lens, &there).unwrap_or([1e6, 1e6]);
        [u - corner.seen_px[0], v - corner.seen_px[1]]
    });
    DVector::from_iterator(2 * corners.len(), pairs)
}

/// A pose that is turned by a rotation vector in radians and moved by metres, both in the frame that it is given in: three numbers each.
pub(crate) fn moved(pose: &Isometry3<f64>, change: &[f64]) -> Isometry3<f64> {
    let turn = UnitQuaternion::from_scaled_axis(Vector3::new(change[0], change[1], change[2]));
    Isometry3::from_parts(
        Translation3::from(pose.translation.vector + Vector3::new(change[3], change[4], change[5])),
        turn * pose.rotation,
    )
}

/// The homography from the board to the picture, by the direct linear transform with normalised coordinates (Hartley, "In defense of the
/// eight-point algorithm", 1997). `None` where the corners lie on a line.
pub(crate) fn homography(corners: &[Corner]) -> Option<Matrix3<f64>> {
    if corners.len() < CORNERS_MIN {
        return None;
    }
    let board: Vec<[f64; 2]> = corners.iter().map(|corner| corner.board_m).collect();
    let seen: Vec<[f64; 2]> = corners.iter().map(|corner| corner.seen_px).collect();
    let (from, to) = (normal(&board)?, normal(&seen)?);
    let mut rows = DMatrix::zeros(2 * corners.len(), 9);
    for (index, (a, b)) in board.iter().zip(&seen).enumerate() {
        let a = from * Vector3::new(a[0], a[1], 1.0);
        let b = to * Vector3::new(b[0], b[1], 1.0);
        for axis in 0..3 {
            rows[(2 * index, axis)] = a[axis];
            rows[(2 * index, 6 + axis)] = -b.x * a[axis];
            rows[(2 * index + 1, 3 + axis)] = a[axis];
            rows[(2 * index + 1, 6 + axis)] = -b.y * a[axis];
        }
    }
    let eigen = rows.tr_mul(&rows).symmetric_eigen();
    let mut order: Vec<usize> = (0..9).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*a].total_cmp(&eigen.eigenvalues[*b]));
    // A second solution as good as the first is none.
    if !(eigen.eigenvalues[order[1]] > 1e-9 * eigen.eigenvalues[order[8]]) {
        return None;
    }
    let h = eigen.eigenvectors.column(order[0]);
    let normalised = Matrix3::from_row_slice(h.as_slice());
    let found = to.try_inverse()? * normalised * from;
    Some(found / found[(2, 2)])
}

/// What brings points to a mean of zero and a mean distance of the root of two.
fn normal(points: &[[f64; 2]]) -> Option<Matrix3<f64>> {
    let count = points.len() as f64;
    let [x, y] = [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / count);
    let distance = points
        .iter()
        .map(|point| (point[0] - x).hypot(point[1] - y))
        .sum::<f64>()
        / count;
    let scale = 2.0_f64.sqrt() / distance;
    scale
        .is_finite()
        .then(|| Matrix3::new(scale, 0.0, -scale * x, 0.0, scale, -scale * y, 0.0, 0.0, 1.0))
}

/// The pose that a homography is of (Zhang, "A flexible new technique for camera calibration", 2000, section 3.1). The board is before the camera.
pub(crate) fn from_homography(lens: &Lens, homography: &Matrix3<f64>) -> Option<Isometry3<f64>> {
    let camera = Matrix3::new(
        lens.fx_px, 0.0, lens.cx_px, 0.0, lens.fy_px, lens.cy_px, 0.0, 0.0, 1.0,
    );
    let directions = camera.try_inverse()? * homography;
    let mut scale = 2.0 / (directions.column(0).norm() + directions.column(1).norm());
    if directions[(2, 2)] * scale < 0.0 {
        scale = -scale;
    }
    let (x, y) = (directions.column(0) * scale, directions.column(1) * scale);
    let at = directions.column(2) * scale;
    let rough = Matrix3::from_columns(&[x.into_owned(), y.into_owned(), x.cross(&y)]);
    let decomposed = rough.svd(true, true);
    let turn = Rotation3::from_matrix_unchecked(decomposed.u? * decomposed.v_t?);
    let turn = UnitQuaternion::from_rotation_matrix(&turn);
    let sound = at.iter().all(|value| value.is_finite());
    sound.then(|| Isometry3::from_parts(Translation3::from(at.into_owned()), turn))
}
