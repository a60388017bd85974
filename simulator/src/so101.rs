//! The SO-101: six servos over a table, with the kinematics of its public model.
//!
//! Its servos are a first-order lag without gravity: strongly geared, they hold what they are told. What its motors really do at the
//! level of registers is emulated by the crate `devices`, which then puts this arm where its servos are.

use std::sync::LazyLock;

use robot::Chain;
use robot::philox::Stream;

use crate::kinematics::{self, SO101_RANGES_RAD};
use crate::servo::{Kind, Servos};
use crate::{Task, trig};

/// Joints.
pub(crate) const JOINTS: usize = 6;

/// Names the random stream of this task's resets.
const RESET_STREAM: u64 = 0x534f_2d31_3031;

/// A little slower than the arm itself, and faster than any robot file should ask for.
const SERVO: Kind = Kind {
    time_constant_s: 0.04,
    speed_max_rad_s: 3.0,
};

/// Start poses are drawn from these ranges and kept if the tip is where [`START_TIP_M`] says.
const START_RAD: [(f32, f32); JOINTS] = [
    (-0.9, 0.9),
    (-1.4, 0.2),
    (-0.4, 1.4),
    (0.2, 1.5),
    (-0.3, 0.3),
    (0.5, 0.9),
];

/// Height over the table and distance from the base axis of the tip at the start: (least, most).
const START_TIP_M: [(f32, f32); 2] = [(0.08, 0.22), (0.14, 0.26)];

/// Targets are tips of poses drawn from these ranges: so each is within reach.
const TARGET_RAD: [(f32, f32); 4] = [(-1.0, 1.0), (-0.8, 1.2), (-1.2, 1.4), (0.0, 1.5)];

/// The point to reach hovers over a disc that lies on the table, so that one camera suffices to tell where it is.
const TARGET_HEIGHT_M: f32 = 0.05;

/// Height over the table and distance from the base axis of the tip of such a pose: (least, most).
const TARGET_M: [(f32, f32); 2] = [(0.04, 0.06), (0.22, 0.36)];

/// Nearest that a target lies to the tip at the start.
const START_DISTANCE_MIN_M: f32 = 0.12;

/// Up to the link that carries the tip.
static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    let (links, tip_m) = kinematics::chain(Task::So101);
    Chain::new(&links, tip_m).unwrap_or_default()
});

/// State of the arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct So101Arm {
    servos: Servos<JOINTS>,
}

impl So101Arm {
    /// At zero, at rest.
    pub(crate) fn new() -> Self {
        Self {
            servos: Servos::new(),
        }
    }

    /// Draws a start pose and returns a target that is in reach.
    pub(crate) fn reset(&mut self, seed: u64) -> [f32; 3] {
        let mut stream = Stream::new(seed, RESET_STREAM);
        let start_rad = loop {
            let pose = START_RAD.map(|(low, high)| stream.range(low, high));
            if lies_in(tip_m(&pose), START_TIP_M) {
                break pose;
            }
        };
        self.servos.place(start_rad);
        let start_m = self.tip_m();
        loop {
            let mut target_m = tip_m(&TARGET_RAD.map(|(low, high)| stream.range(low, high)));
            let square: f32 = (0..3).map(|axis| (target_m[axis] - start_m[axis]).powi(2)).sum();
            let found = lies_in(target_m, TARGET_M);
            target_m[2] = TARGET_HEIGHT_M;
            if found && square >= START_DISTANCE_MIN_M * START_DISTANCE_MIN_M {
                return target_m;
            }
        }
    }

    /// Puts the joints where somebody else's are.
    pub(crate) fn place(&mut self, position_rad: [f32; JOINTS]) {
        self.servos.place(position_rad);
    }

    /// Follows the set points.
    pub(crate) fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) {
        self.servos
            .step(SERVO, &SO101_RANGES_RAD, set_point_rad, torque_on, dt_s);
    }

    pub(crate) fn position_rad(&self) -> &[f32; JOINTS] {
        &self.servos.position_rad
    }

    pub(crate) fn velocity_rad_s(&self) -> &[f32; JOINTS] {
        &self.servos.velocity_rad_s
    }

    pub(crate) fn tip_m(&self) -> [f32; 3] {
        tip_m(&self.servos.position_rad)
    }
}

/// The tip of a pose; joints that are not given are at zero.
fn tip_m(position_rad: &[f32]) -> [f32; 3] {
    CHAIN.tip_m(position_rad).into()
}

/// Whether a point lies between two heights and two distances from the base axis.
fn lies_in(point_m: [f32; 3], [height_m, distance_m]: [(f32, f32); 2]) -> bool {
    let within = |value: f32, (least, most): (f32, f32)| (least..=most).contains(&value);
    let square = point_m[0] * point_m[0] + point_m[1] * point_m[1];
    within(point_m[2], height_m) && within(trig::sqrt(square), distance_m)
}
