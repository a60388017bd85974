//! Where a camera that stands still is in the arm's base, by a board that the gripper holds.
//!
//! For each view i the arm says where the gripper is, `G_i` (gripper in base), and the picture says where the board is, `C_i` (board in camera). The camera in the base, X, and the board in the
//! gripper, Y, are the same in all views:
//!
//! ```text
//! G_i Y = X C_i
//! ```
//!
//! So for two views `(G_j G_i^-1) X = X (C_j C_i^-1)`: the rotation is the one that takes the rotation vectors of the camera's motions onto those of the gripper's (Park and
//! Martin, "Robot sensor calibration: solving AX = XB on the Euclidean group", 1994), and the positions then follow by linear least squares. From there
//! on the distances of the corners in the pictures are made least. Intervals are by the jackknife: each view is left out once.

use calibration::Verdict;
use calibration::picture::Lens;
use nalgebra::{DMatrix, DVector, Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};

use crate::{Corner, least_squares, pose};

/// Views that are needed at least.
pub const VIEWS_MIN: usize = 6;

/// A turn between two views that is less than this tells nothing, in radians.
const TURN_MIN_RAD: f64 = 0.1;

/// The gripper must have been turned about another axis, too, by so much of its turning about the first.
const SECOND_AXIS_MIN: f64 = 0.1;

/// Halves of 95 % intervals, in metres and radians: good, and usable.
const GOOD: (f64, f64) = (0.003, 0.0087);
const USABLE: (f64, f64) = (0.01, 0.03);

/// What one picture and the arm say.
#[derive(Debug, Clone)]
pub struct View {
    /// By the arm's joints and its kinematics.
    pub gripper_in_base: Isometry3<f64>,
    /// The board's corners in the picture.
    pub corners: Vec<Corner>,
}

/// Where the camera is.
#[derive(Debug, Clone)]
pub struct HandEye {
    /// The camera.
    pub camera_in_base: Isometry3<f64>,
    /// How the gripper holds the board.
    pub board_in_gripper: Isometry3<f64>,
    /// Half the 95 % interval of the camera's position, in metres, and of its rotation, in radians.
    pub interval: (f64, f64),
    /// Root mean square of the corners' distances from where they should be seen, in pixels: also of what the arm says wrongly of itself.
    pub rms_px: f64,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// Where the camera with this lens is.
///
/// # Errors
/// What to do differently, if nothing can be solved at all.
pub fn solve(lens: &Lens, views: &[View]) -> Result<HandEye, Verdict> {
    let seen: Vec<(View, Isometry3<f64>)> = views
        .iter()
        .filter_map(|view| Some((view.clone(), pose::of_board(lens, &view.corners)?.0)))
        .collect();
    if seen.len() < VIEWS_MIN {
        return Err(Verdict::DoItAgain(format!(
            "{} views in which the board was seen, and {VIEWS_MIN} are needed at least: move the arm to more poses in which the camera sees the board",
            seen.len()
        )));
    }
    let start = linear(&seen)?;
    let (camera, board, rms_px) = refine(lens, &seen, start);
    let without: Vec<Isometry3<f64>> = (0..seen.len())
        .map(|left_out| {
            let mut rest = seen.clone();
            rest.remove(left_out);
            refine(lens, &rest, (camera, board)).0
        })
        .collect();
    let mut found = HandEye {
        camera_in_base: camera,
        board_in_gripper: board,
        interval: spread(&camera, &without),
        rms_px,
        verdict: Verdict::Good,
    };
    found.verdict = found.judge();
    Ok(found)
}

/// The camera in the base and the board in the gripper, without regard to what each view weighs.
fn linear(views: &[(View, Isometry3<f64>)]) -> Result<(Isometry3<f64>, Isometry3<f64>), Verdict> {
    let mut motions = Vec::new();
    for (index, (view, board)) in views.iter().enumerate() {
        for (other, other_board) in &views[..index] {
            let arm = view.gripper_in_base * other.gripper_in_base.inverse();
            let camera = board * other_board.inverse();
            if arm.rotation.angle() > TURN_MIN_RAD {
                motions.push((arm, camera));
            }
        }
    }
    let mut spread = Matrix3::zeros();
    let mut crossed = Matrix3::zeros();
    for (arm, camera) in &motions {
        let (a, b) = (arm.rotation.scaled_axis(), camera.rotation.scaled_axis());
        spread += a * a.transpose();
        crossed += a * b.transpose();
    }
    let mut axes: Vec<f64> = spread.symmetric_eigen().eigenvalues.iter().copied().collect();
    axes.sort_by(|a, b| b.total_cmp(a));
    if motions.is_empty() || !((axes[1] / axes[0]).sqrt() > SECOND_AXIS_MIN) {
        return Err(Verdict::DoItAgain(
            "the gripper was turned about one axis only, which leaves the camera's place along it open: tilt the board to each side, and also up and down"
                .to_owned(),
        ));
    }
    // The rotation that takes the camera's vectors to the arm's.
    let decomposed = crossed.svd(true, true);
    let unsolved =
        || Verdict::DoItAgain("the views do not fit together: move the arm to other poses".to_owned());
    let (u, v_t) = (
        decomposed.u.ok_or_else(unsolved)?,
        decomposed.v_t.ok_or_else(unsolved)?,
    );
    let sign = Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, (u * v_t).determinant().signum()));
    let turn = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(u * sign * v_t));
    // (R_a - I) t = turn t_b - t_a
    let mut rows = DMatrix::zeros(3 * motions.len(), 3);
    let mut right = DVector::zeros(3 * motions.len());
    for (index, (arm, camera)) in motions.iter().enumerate() {
        let block = arm.rotation.to_rotation_matrix().into_inner() - Matrix3::identity();
        rows.fixed_view_mut::<3, 3>(3 * index, 0).copy_from(&block);
        let wanted = turn * camera.translation.vector - arm.translation.vector;
        right.fixed_rows_mut::<3>(3 * index).copy_from(&wanted);
    }
    let at = rows.svd(true, true).solve(&right, 1e-9).map_err(|_| unsolved())?;
    let camera = Isometry3::from_parts(Translation3::new(at[0], at[1], at[2]), turn);
    // The board in the gripper, by the first view; the next step mends it.
    let (view, board) = &views[0];
    Ok((camera, view.gripper_in_base.inverse() * camera * board))
}

/// Makes the corners' distances in the pictures least.
fn refine(
    lens: &Lens,
    views: &[(View, Isometry3<f64>)],
    (camera, board): (Isometry3<f64>, Isometry3<f64>),
) -> (Isometry3<f64>, Isometry3<f64>, f64) {
    let steps: Vec<f64> = pose::STEPS.into_iter().cycle().take(12).collect();
    let residuals = |change: &DVector<f64>| {
        let change = change.as_slice();
        let base_in_camera = pose::moved(&camera, &change[..6]).inverse();
        let board_in_gripper = pose::moved(&board, &change[6..]);
        let errors: Vec<f64> = views
            .iter()
            .flat_map(|(view, _)| {
                let pose = base_in_camera * view.gripper_in_base * board_in_gripper;
                pose::errors(lens, &pose, &view.corners).as_slice().to_vec()
            })
            .collect();
        DVector::from_vec(errors)
    };
    let solved = least_squares::solve(DVector::zeros(12), &steps, &residuals);
    let change = solved.parameters.as_slice();
    let corners = solved.residuals.len() / 2;
    (
        pose::moved(&camera, &change[..6]),
        pose::moved(&board, &change[6..]),
        (solved.residuals.norm_squared() / corners as f64).sqrt(),
    )
}

/// Halves of the 95 % intervals of position, in metres, and rotation, in radians, by the solutions without each view.
fn spread(all: &Isometry3<f64>, without: &[Isometry3<f64>]) -> (f64, f64) {
    let count = without.len() as f64;
    let deviation = |squares: f64| 1.96 * (squares * (count - 1.0) / count).sqrt();
    let position: f64 = without
        .iter()
        .map(|each| (each.translation.vector - all.translation.vector).norm_squared())
        .sum();
    let turn: f64 = without
        .iter()
        .map(|each| each.rotation.angle_to(&all.rotation).powi(2))
        .sum();
    (deviation(position), deviation(turn))
}

impl HandEye {
    fn judge(&self) -> Verdict {
        let (position_m, turn_rad) = self.interval;
        let known = format!(
            "the camera's place is known to {:.1} mm and {:.2} degrees",
            1e3 * position_m,
            turn_rad.to_degrees()
        );
        if !(position_m <= USABLE.0 && turn_rad <= USABLE.1) {
            return Verdict::DoItAgain(format!(
                "{known} only: take more views, nearer to the camera, with the board tilted to all sides; calibrate the joints before"
            ));
        }
        if position_m > GOOD.0 || turn_rad > GOOD.1 {
            return Verdict::Usable(known);
        }
        Verdict::Good
    }
}
