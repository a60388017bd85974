//! The lens, by views of a board from several sides.
//!
//! The model is [`Lens`]'s: two focal lengths, the middle, two radial and two tangential coefficients (k3 stays 0: views by hand do not fix it). It starts from the focal
//! length that the homographies agree on (Zhang, "A flexible new technique for camera calibration", 2000) and ends where the sum of squares
//! of the corners' distances in the pictures is least.

use calibration::Verdict;
use calibration::picture::Lens;
use nalgebra::{DVector, Isometry3, Matrix3, Vector3};

use crate::coverage::Coverage;
use crate::{Corner, least_squares, pose};

/// The corners of a board in one picture.
pub type View = Vec<Corner>;

/// Views that are needed at least.
pub const VIEWS_MIN: usize = 6;

/// How far the board must have been tilted between two views at least, in radians: otherwise nothing tells a long lens far away from a short one nearby.
const TILT_MIN_RAD: f64 = 0.35;

/// Numbers of the lens that are solved for.
const FREE: usize = 8;

/// Steps for their slopes: pixels, then coefficients.
const STEPS: [f64; FREE] = [1e-3, 1e-3, 1e-3, 1e-3, 1e-6, 1e-6, 1e-6, 1e-6];

/// Half the 95 % interval of the focal length, as a share of it: good, and usable.
const FOCAL_GOOD: f64 = 0.005;
const FOCAL_USABLE: f64 = 0.02;

/// Root mean square of the corners' distances, in pixels of a picture 640 wide: good, and usable.
const RMS_GOOD: f64 = 0.5;
const RMS_USABLE: f64 = 1.5;

/// Shares of the picture's parts in which the board was seen: good, and usable.
const SEEN_GOOD: f64 = 0.9;
const SEEN_USABLE: f64 = 0.6;

/// A corner that is farther from its place than so many times the median is left out.
const OUTLIER: f64 = 6.0;

/// A lens that was measured.
#[derive(Debug, Clone)]
pub struct Intrinsics {
    /// The lens.
    pub lens: Lens,
    /// Halves of the 95 % intervals of `fx_px`, `fy_px`, `cx_px`, `cy_px`, `k1`, `k2`, `p1`, `p2`; infinite where the views do not tell.
    pub intervals: [f64; FREE],
    /// Root mean square of the corners' distances from where they should be seen, in pixels.
    pub rms_px: f64,
    /// The board in the camera's frame, for each view that was used.
    pub board_in_camera: Vec<Isometry3<f64>>,
    /// Each corner that was used: where it is seen, and where the lens says it should be, in pixels.
    pub distances: Vec<([f64; 2], [f64; 2])>,
    /// Corners that were left out.
    pub left_out: usize,
    /// Greatest angle between two views' boards, in radians.
    pub tilt_rad: f64,
    /// Where in the picture the board was seen.
    pub coverage: Coverage,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// The lens of a camera whose pictures have `width` x `height` pixels, by `views`.
///
/// # Errors
/// What to do differently, if nothing can be solved at all.
pub fn solve(width: usize, height: usize, views: &[View]) -> Result<Intrinsics, Verdict> {
    let again = |why: String| Verdict::DoItAgain(why);
    if views.len() < VIEWS_MIN {
        return Err(again(format!(
            "{} views of the board, and {VIEWS_MIN} are needed at least: show it from more sides",
            views.len()
        )));
    }
    let homographies: Vec<Matrix3<f64>> = views.iter().filter_map(|view| pose::homography(view)).collect();
    let flat = || {
        again(
            "the board was flat before the camera in all views: tilt it by 30 degrees, to each side and up and down"
                .to_owned(),
        )
    };
    let focal_px = focal(width, height, &homographies).ok_or_else(flat)?;
    let start = Lens {
        fx_px: focal_px,
        fy_px: focal_px,
        cx_px: (width as f64 - 1.0) / 2.0,
        cy_px: (height as f64 - 1.0) / 2.0,
        k1: 0.0,
        k2: 0.0,
        p1: 0.0,
        p2: 0.0,
        k3: 0.0,
    };
    let mut kept: Vec<View> = Vec::new();
    let mut poses = Vec::new();
    for view in views {
        let found = pose::homography(view).and_then(|found| pose::from_homography(&start, &found));
        if let Some(found) = found {
            kept.push(view.clone());
            poses.push(found);
        }
    }
    let mut solved = refine(start, poses, &kept);
    let corners = |views: &[View]| views.iter().map(Vec::len).sum::<usize>();
    let before = corners(&kept);
    // Once more without corners that are none.
    if drop_outliers(&mut kept, &solved) {
        solved = refine(solved.lens, solved.poses, &kept);
    }
    let distances = solved.distances(&kept);
    let rms_px = (distances
        .iter()
        .map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
        .sum::<f64>()
        / distances.len().max(1) as f64)
        .sqrt();
    let mut found = Intrinsics {
        lens: solved.lens,
        intervals: solved.intervals,
        rms_px,
        distances,
        left_out: before - corners(&kept),
        tilt_rad: tilt_rad(&solved.poses),
        board_in_camera: solved.poses,
        coverage: Coverage::of(width, height, kept.iter().flatten()),
        verdict: Verdict::Good,
    };
    found.verdict = found.judge(width);
    Ok(found)
}

/// The focal length, in pixels, that homographies agree on when the middle of the picture is the lens's and pixels are square. `None` where they tell none.
///
/// With the middle subtracted, the columns of a homography obey h1' w h2 = 0 and h1' w h1 = h2' w h2 for w = diag(1 / f^2, 1 / f^2, 1): linear in 1 / f^2.
fn focal(width: usize, height: usize, homographies: &[Matrix3<f64>]) -> Option<f64> {
    let scale = width.max(height) as f64;
    let (cx, cy) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let centre = Matrix3::new(
        1.0 / scale,
        0.0,
        -cx / scale,
        0.0,
        1.0 / scale,
        -cy / scale,
        0.0,
        0.0,
        1.0,
    );
    let (mut numerator, mut denominator) = (0.0, 0.0);
    for homography in homographies {
        let centred = centre * homography;
        // Any scale will do; this one weighs the views alike.
        let (a, b) = (centred.column(0).into_owned(), centred.column(1).into_owned());
        let size = (a.xy().norm() + b.xy().norm()) / 2.0;
        let (a, b) = (a / size, b / size);
        for (planar, depth) in [
            (a.xy().dot(&b.xy()), a.z * b.z),
            (
                a.xy().norm_squared() - b.xy().norm_squared(),
                a.z * a.z - b.z * b.z,
            ),
        ] {
            numerator -= planar * depth;
            denominator += planar * planar;
        }
    }
    let inverse_square = numerator / denominator;
    (inverse_square > 0.0)
        .then(|| scale / inverse_square.sqrt())
        .filter(|focal_px| focal_px.is_finite() && *focal_px < 100.0 * scale)
}

struct Refined {
    lens: Lens,
    intervals: [f64; FREE],
    poses: Vec<Isometry3<f64>>,
}

impl Refined {
    fn distances(&self, views: &[View]) -> Vec<([f64; 2], [f64; 2])> {
        let errors = views
            .iter()
            .zip(&self.poses)
            .flat_map(|(view, pose)| pose::errors(&self.lens, pose, view).as_slice().to_vec())
            .collect::<Vec<f64>>();
        let corners = views.iter().flatten();
        corners
            .zip(errors.chunks(2))
            .map(|(corner, error)| {
                let [u, v] = corner.seen_px;
                ([u, v], [u + error[0], v + error[1]])
            })
            .collect()
    }
}

fn refine(start: Lens, poses: Vec<Isometry3<f64>>, views: &[View]) -> Refined {
    let count = FREE + 6 * views.len();
    let steps: Vec<f64> = STEPS
        .into_iter()
        .chain(pose::STEPS.into_iter().cycle().take(6 * views.len()))
        .collect();
    let mut first = DVector::zeros(count);
    for (place, value) in first.iter_mut().zip(numbers(&start)) {
        *place = value;
    }
    let residuals = |parameters: &DVector<f64>| {
        let all = parameters.as_slice();
        let lens = lens(&all[..FREE]);
        let errors: Vec<f64> = views
            .iter()
            .zip(&poses)
            .zip(all[FREE..].chunks(6))
            .flat_map(|((view, pose), change)| {
                pose::errors(&lens, &pose::moved(pose, change), view)
                    .as_slice()
                    .to_vec()
            })
            .collect();
        DVector::from_vec(errors)
    };
    let solved = least_squares::solve(first, &steps, &residuals);
    let all = solved.parameters.as_slice();
    let interval = |index: usize| {
        let variance = solved
            .covariance
            .as_ref()
            .map(|covariance| covariance[(index, index)]);
        variance.map_or(f64::INFINITY, |variance| 1.96 * variance.sqrt())
    };
    Refined {
        lens: lens(&all[..FREE]),
        intervals: std::array::from_fn(interval),
        poses: poses
            .iter()
            .zip(all[FREE..].chunks(6))
            .map(|(pose, change)| pose::moved(pose, change))
            .collect(),
    }
}

fn numbers(lens: &Lens) -> [f64; FREE] {
    [
        lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px, lens.k1, lens.k2, lens.p1, lens.p2,
    ]
}

fn lens(numbers: &[f64]) -> Lens {
    Lens {
        fx_px: numbers[0],
        fy_px: numbers[1],
        cx_px: numbers[2],
        cy_px: numbers[3],
        k1: numbers[4],
        k2: numbers[5],
        p1: numbers[6],
        p2: numbers[7],
        k3: 0.0,
    }
}

/// Leaves corners out that are much farther from their places than the others. Whether there were any.
fn drop_outliers(views: &mut [View], solved: &Refined) -> bool {
    let distances: Vec<f64> = solved
        .distances(views)
        .iter()
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let limit = OUTLIER * sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let mut distance = distances.into_iter();
    let mut any = false;
    for view in views {
        let enough = view.len() / 2;
        let kept: View = view
            .iter()
            .copied()
            .filter(|_| distance.next().is_some_and(|distance| distance <= limit))
            .collect();
        // A view that is wrong as a whole stays, and is seen in the residual.
        if kept.len() < view.len() && kept.len() > enough.max(4) {
            *view = kept;
            any = true;
        }
    }
    any
}

/// The greatest angle between two boards' normals.
fn tilt_rad(poses: &[Isometry3<f64>]) -> f64 {
    let normals: Vec<Vector3<f64>> = poses.iter().map(|pose| pose * Vector3::z()).collect();
    let pairs = normals
        .iter()
        .enumerate()
        .flat_map(|(index, a)| normals[..index].iter().map(move |b| a.angle(b)));
    pairs.fold(0.0, f64::max)
}

impl Intrinsics {
    fn judge(&self, width: usize) -> Verdict {
        let focal = (self.intervals[0] / self.lens.fx_px).max(self.intervals[1] / self.lens.fy_px);
        let rms = self.rms_px * 640.0 / width as f64;
        let seen = self.coverage.share(3);
        let tilt = self.tilt_rad.to_degrees();
        if self.tilt_rad < TILT_MIN_RAD {
            return Verdict::DoItAgain(format!(
                "the board was tilted by {tilt:.0} degrees between the views, and 20 are needed at least: tilt it to each side and up and down"
            ));
        }
        if !(rms <= RMS_USABLE) {
            return Verdict::DoItAgain(format!(
                "corners are {:.2} pixels from where any lens would show them: hold the board still and flat (glue it to a plate), and see that its squares \
                 are as long as was said",
                self.rms_px
            ));
        }
        if !(focal <= FOCAL_USABLE) {
            return Verdict::DoItAgain(format!(
                "the focal length is known to {:.1} % only: tilt the board more, and bring it nearer",
                100.0 * focal
            ));
        }
        if seen < SEEN_USABLE {
            return Verdict::DoItAgain(format!(
                "the board was seen in {:.0} % of the picture: show it at the {}, too",
                100.0 * seen,
                self.coverage.least()
            ));
        }
        if focal > FOCAL_GOOD {
            return Verdict::Usable(format!("the focal length is known to {:.1} %", 100.0 * focal));
        }
        if rms > RMS_GOOD {
            return Verdict::Usable(format!(
                "corners are {:.2} pixels from their places: is the board flat?",
                self.rms_px
            ));
        }
        if seen < SEEN_GOOD {
            return Verdict::Usable(format!(
                "the board was seen in {:.0} % of the picture, least at the {}",
                100.0 * seen,
                self.coverage.least()
            ));
        }
        Verdict::Good
    }
}
