//! The planar arm: two position servos with a first-order lag.
//!
//! A first-order lag is what a small geared servo looks like at 10 Hz, and it costs a few nanoseconds, so that planning
//! on the true simulator (millions of steps an episode) stays cheap enough to anchor a learned model's score.

use robot::philox::Stream;

use crate::kinematics::{
    PLANAR_FORE_M, PLANAR_HEIGHT_M, PLANAR_RANGES_RAD, PLANAR_UPPER_M, planar_tip_m, two_link_angles_rad,
};
use crate::servo::{Kind, Servos};
use crate::trig;

/// Names the random stream of this task's resets.
const RESET_STREAM: u64 = 0x506c_616e_6172;

/// A servo that lags, and turns half as fast again as the robot file's limit, so that a lagging joint catches up.
const SERVO: Kind = Kind {
    time_constant_s: 0.11,
    speed_max_rad_s: 1.0,
};

/// Start poses, shoulder and elbow: in front of the base, as a desk arm works, and well away from the stops.
const START_RAD: [(f32, f32); 2] = [(-1.3, 1.3), (-1.9, 1.9)];

/// Directions in which targets lie, about the base: in front of it, or one joint speed and an episode's length would
/// decide the return more than the planner does.
const TARGET_BEARING_RAD: (f32, f32) = (-1.4, 1.4);

/// A target counts as reachable only this far inside the limits.
const TARGET_MARGIN_RAD: f32 = 0.05;

/// Targets are drawn between these distances from the base, uniformly in area.
const TARGET_RADIUS_M: (f32, f32) = (0.25, 0.85);

/// Nearest that a target lies to the tip at the start.
const START_DISTANCE_MIN_M: f32 = 0.1;

/// State of the arm. `Copy`: planning restores it thousands of times a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlanarArm {
    servos: Servos<2>,
}

impl PlanarArm {
    /// At zero, at rest.
    pub(crate) fn new() -> Self {
        Self {
            servos: Servos::new(),
        }
    }

    /// Draws a start pose and returns a target that is in reach.
    pub(crate) fn reset(&mut self, seed: u64) -> [f32; 3] {
        let mut stream = Stream::new(seed, RESET_STREAM);
        self.servos
            .place(START_RAD.map(|(low, high)| stream.range(low, high)));
        let tip = self.tip_m();
        loop {
            let (near, far) = TARGET_RADIUS_M;
            let radius = stream.range(near * near, far * far).sqrt();
            let (sine, cosine) = trig::sin_cos(stream.range(TARGET_BEARING_RAD.0, TARGET_BEARING_RAD.1));
            let target = [radius * cosine, radius * sine, PLANAR_HEIGHT_M];
            let (dx, dy) = (target[0] - tip[0], target[1] - tip[1]);
            let apart = dx * dx + dy * dy >= START_DISTANCE_MIN_M * START_DISTANCE_MIN_M;
            if apart && reachable(target[0], target[1]) {
                return target;
            }
        }
    }

    /// Puts the joints where somebody else's are.
    pub(crate) fn place(&mut self, position_rad: [f32; 2]) {
        self.servos.place(position_rad);
    }

    /// Follows the set points; without torque the joints stay where they are, as nothing in the plane pulls at them.
    #[inline]
    pub(crate) fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) {
        self.servos
            .step(SERVO, &PLANAR_RANGES_RAD, set_point_rad, torque_on, dt_s);
    }

    pub(crate) fn position_rad(&self) -> &[f32; 2] {
        &self.servos.position_rad
    }

    pub(crate) fn velocity_rad_s(&self) -> &[f32; 2] {
        &self.servos.velocity_rad_s
    }

    #[inline]
    pub(crate) fn tip_m(&self) -> [f32; 3] {
        planar_tip_m(self.servos.position_rad)
    }
}

/// Whether some pose within the joint ranges puts the tip there. An angle and the same angle plus a turn are tried.
fn reachable(x_m: f32, y_m: f32) -> bool {
    let turn = std::f32::consts::TAU;
    let inside = |angle: f32, (low, high): (f32, f32)| {
        [-turn, 0.0, turn]
            .iter()
            .any(|turns| (low + TARGET_MARGIN_RAD..=high - TARGET_MARGIN_RAD).contains(&(angle + turns)))
    };
    two_link_angles_rad(PLANAR_UPPER_M, PLANAR_FORE_M, x_m, y_m).is_some_and(|poses| {
        poses.into_iter().any(|[shoulder, elbow]| {
            inside(shoulder, PLANAR_RANGES_RAD[0]) && inside(elbow, PLANAR_RANGES_RAD[1])
        })
    })
}
