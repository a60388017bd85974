//! The kinematic chains: what a robot file repeats, and what rewards are computed from.
//!
//! `reach-planar`: both axes point up; angles count anticlockwise seen from above; zero is stretched along +x.
//!
//! `reach`: yaw about +z, then the shoulder about -y (a positive angle lifts the upper arm), then the elbow about +y
//! (a positive angle bends the forearm down). At zero the arm is stretched level along +x.

use robot::Link;

use crate::{Task, trig};

/// `reach-planar`: shoulder to elbow.
pub const PLANAR_UPPER_M: f32 = 0.5;
/// `reach-planar`: elbow to tip.
pub const PLANAR_FORE_M: f32 = 0.45;
/// `reach-planar`: height of the plane the arm moves in.
pub const PLANAR_HEIGHT_M: f32 = 0.1;
/// `reach-planar`: (lower, upper) limits of shoulder and elbow.
pub const PLANAR_RANGES_RAD: [(f32, f32); 2] = [(-2.9, 2.9), (-2.5, 2.5)];

/// `reach`: height of the shoulder axis over the table.
pub const REACH_SHOULDER_HEIGHT_M: f32 = 0.22;
/// `reach`: shoulder to elbow.
pub const REACH_UPPER_M: f32 = 0.42;
/// `reach`: elbow to tip.
pub const REACH_FORE_M: f32 = 0.40;
/// `reach`: (lower, upper) limits of yaw, shoulder and elbow.
pub const REACH_RANGES_RAD: [(f32, f32); 3] = [(-1.5, 1.5), (-0.1, 1.5), (0.1, 2.6)];

/// `so101`: (lower, upper) limits of `shoulder_pan`, `shoulder_lift`, `elbow_flex`, `wrist_flex`, `wrist_roll` and `gripper`.
pub const SO101_RANGES_RAD: [(f32, f32); 6] = [
    (-1.92, 1.92),
    (-1.75, 1.75),
    (-1.69, 1.69),
    (-1.66, 1.66),
    (-2.74, 2.84),
    (-0.17, 1.75),
];

/// Links, base first, up to the one that carries the tip, and the tip in that link's frame: what [`robot::Chain::new`] takes.
pub fn chain(task: Task) -> (Vec<Link>, [f32; 3]) {
    let link = |origin_m, axis| Link { origin_m, axis };
    match task {
        Task::ReachPlanar => (
            vec![
                link([0.0, 0.0, PLANAR_HEIGHT_M], [0.0, 0.0, 1.0]),
                link([PLANAR_UPPER_M, 0.0, 0.0], [0.0, 0.0, 1.0]),
            ],
            [PLANAR_FORE_M, 0.0, 0.0],
        ),
        Task::Reach => (
            vec![
                link([0.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
                link([0.0, 0.0, REACH_SHOULDER_HEIGHT_M], [0.0, -1.0, 0.0]),
                link([REACH_UPPER_M, 0.0, 0.0], [0.0, 1.0, 0.0]),
            ],
            [REACH_FORE_M, 0.0, 0.0],
        ),
        // The jaw comes after the link that carries the tip.
        Task::So101 => (
            vec![
                link([0.039, 0.0, 0.062], [0.0, 0.0, -1.0]),
                link([0.030, -0.018, 0.054], [0.0, 1.0, 0.0]),
                link([0.028, 0.0, 0.113], [0.0, 1.0, 0.0]),
                link([0.135, 0.0, 0.005], [0.0, 1.0, 0.0]),
                link([0.061, 0.018, 0.0], [-1.0, 0.0, 0.0]),
            ],
            [0.098, 0.0, -0.008],
        ),
    }
}

/// (lower, upper) limits, base first.
pub fn joint_ranges_rad(task: Task) -> Vec<(f32, f32)> {
    match task {
        Task::ReachPlanar => PLANAR_RANGES_RAD.to_vec(),
        Task::Reach => REACH_RANGES_RAD.to_vec(),
        Task::So101 => SO101_RANGES_RAD.to_vec(),
    }
}

/// Tip of the planar arm. Closed form: [`robot::Chain`] is for any arm, this is for millions of calls a second.
#[inline]
pub(crate) fn planar_tip_m([shoulder_rad, elbow_rad]: [f32; 2]) -> [f32; 3] {
    let (s1, c1) = trig::sin_cos(shoulder_rad);
    let (s2, c2) = trig::sin_cos(shoulder_rad + elbow_rad);
    [
        PLANAR_UPPER_M * c1 + PLANAR_FORE_M * c2,
        PLANAR_UPPER_M * s1 + PLANAR_FORE_M * s2,
        PLANAR_HEIGHT_M,
    ]
}

/// Tip of the three-joint arm.
#[inline]
pub(crate) fn reach_tip_m([yaw_rad, shoulder_rad, elbow_rad]: [f32; 3]) -> [f32; 3] {
    let (sy, cy) = trig::sin_cos(yaw_rad);
    let (s1, c1) = trig::sin_cos(shoulder_rad);
    let (s2, c2) = trig::sin_cos(shoulder_rad - elbow_rad);
    let radius = REACH_UPPER_M * c1 + REACH_FORE_M * c2;
    [
        radius * cy,
        radius * sy,
        REACH_SHOULDER_HEIGHT_M + REACH_UPPER_M * s1 + REACH_FORE_M * s2,
    ]
}

/// The two (first, second) angle pairs that bring a two-link arm's end to `(x, y)`; angles anticlockwise, the second
/// relative to the first link. `None` if the point is out of reach.
pub(crate) fn two_link_angles_rad(upper_m: f32, fore_m: f32, x_m: f32, y_m: f32) -> Option<[[f32; 2]; 2]> {
    let square = x_m * x_m + y_m * y_m;
    let cosine = (square - upper_m * upper_m - fore_m * fore_m) / (2.0 * upper_m * fore_m);
    if !(-1.0..=1.0).contains(&cosine) {
        return None;
    }
    let bend = trig::acos(cosine);
    let towards = trig::atan2(y_m, x_m);
    let solve = |second: f32| {
        let (sine, cosine) = trig::sin_cos(second);
        [
            towards - trig::atan2(fore_m * sine, upper_m + fore_m * cosine),
            second,
        ]
    };
    Some([solve(bend), solve(-bend)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;

    /// The constants here and the scenes must not drift apart.
    #[test]
    fn scenes_have_these_links_and_ranges() {
        for task in Task::ALL {
            let model = scene::parse(task).unwrap();
            let (links, tip_m) = chain(task);
            let jointed: Vec<_> = model
                .bodies
                .iter()
                .filter(|entry| !entry.body.joints.is_empty())
                .collect();
            let ranges_rad = joint_ranges_rad(task);
            assert_eq!(jointed.len(), ranges_rad.len());
            // A jaw has a joint and carries no tip.
            assert_eq!(jointed.len() - usize::from(task == Task::So101), links.len());
            for (entry, (low, high)) in jointed.iter().zip(ranges_rad) {
                let range = entry.body.joints[0].range.unwrap();
                assert_eq!(range.map(|angle| angle as f32), [low, high]);
            }
            for (entry, link) in jointed.iter().zip(&links) {
                let joint = &entry.body.joints[0];
                assert_eq!(
                    entry.body.pose.translation.to_array().map(|length| length as f32),
                    link.origin_m
                );
                assert_eq!(joint.axis.map(|part| part as f32), link.axis);
            }
            let tip = model.geom_by_name("tip").unwrap();
            let drawn = model.bodies[tip.0].body.geoms[tip.1].pose.translation.to_array();
            assert_eq!([drawn[0] as f32, drawn[1] as f32], [tip_m[0], tip_m[1]], "{task}");
        }
    }

    #[test]
    fn two_link_angles_lead_back() {
        for (x, y) in [(0.3, 0.4), (-0.5, 0.1), (0.6, -0.6), (0.1, 0.05)] {
            for pose in two_link_angles_rad(PLANAR_UPPER_M, PLANAR_FORE_M, x, y).unwrap() {
                let tip = planar_tip_m(pose);
                assert!(
                    (tip[0] - x).abs() < 1e-5 && (tip[1] - y).abs() < 1e-5,
                    "{pose:?}: {tip:?}"
                );
            }
        }
        assert!(two_link_angles_rad(PLANAR_UPPER_M, PLANAR_FORE_M, 0.9, 0.4).is_none());
    }
}
