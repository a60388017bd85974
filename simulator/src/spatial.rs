//! The three-joint arm: rapier's reduced-coordinate multibody, gravity on, driven by the scene's position servos.
//!
//! The arm's state is its joints' angles and speeds and nothing else, so that copying it is cheap and complete: bodies
//! never sleep, nothing collides, no constraint is left to the iterative solver. Servos and stops are springs of the
//! multibody; the table pushes the tip through a spring and damper that are a function of that state, where contact
//! solving would remember earlier steps.

use rapier3d::dynamics::{
    CCDSolver, ImpulseJointSet, IntegrationParameters, IslandManager, MultibodyIndex, MultibodyJoint,
    MultibodyJointSet, RigidBodyBuilder, RigidBodyHandle, RigidBodySet, SoftBodySet,
};
use rapier3d::geometry::{BroadPhaseBvh, ColliderSet, NarrowPhase};
use rapier3d::math::Vector;
use rapier3d::pipeline::PhysicsPipeline;
use rapier3d_mjcf::mjcf_rs::Model;
use rapier3d_mjcf::{MjcfLoaderOptions, MjcfMultibodyOptions, MjcfRobot};
use robot::philox::Stream;

use crate::SimulatorError;
use crate::kinematics::{
    REACH_FORE_M, REACH_RANGES_RAD, REACH_SHOULDER_HEIGHT_M, REACH_UPPER_M, reach_tip_m, two_link_angles_rad,
};
use crate::trig;

/// Joints, base first, as the scene names them.
const JOINTS: [&str; 3] = ["yaw", "shoulder", "elbow"];

/// Names the random stream of this task's resets.
const RESET_STREAM: u64 = 0x0052_6561_6368;

/// Longest step that the servos' gains are stable at with room to spare; a longer one is cut into equal parts.
const STEP_MAX_S: f32 = 0.02;

/// Start poses are drawn from these ranges and kept if the tip is where [`START_TIP_M`] says.
const START_RAD: [(f32, f32); 3] = [(-1.05, 1.05), (0.3, 1.2), (0.7, 2.2)];

/// Height over the table and distance from the base axis of the tip at the start: (least, most).
const START_TIP_M: [(f32, f32); 2] = [(0.12, 0.5), (0.25, 0.72)];

/// The point to reach hovers over a disc that lies on the table, so that one camera suffices to tell where it is.
const TARGET_HEIGHT_M: f32 = 0.1;

/// Directions in which targets lie, about the base.
const TARGET_BEARING_RAD: (f32, f32) = (-1.05, 1.05);

/// Targets are drawn between these distances from the base axis, uniformly in area.
const TARGET_RADIUS_M: (f32, f32) = (0.34, 0.72);

/// Nearest that a target lies to the tip at the start.
const START_DISTANCE_MIN_M: f32 = 0.15;

/// A target counts as reachable only this far inside the limits.
const TARGET_MARGIN_RAD: f32 = 0.05;

/// The table starts to push when the tip's centre is this low: the radius of the tip.
const TIP_RADIUS_M: f32 = 0.07;

/// The table's stiffness and damping against the tip: soft enough for one explicit step of 20 ms and the 0.3 kg that the
/// arm weighs there; a limp arm sinks in by a few millimetres.
const TABLE_N_M: f32 = 600.0;
const TABLE_N_S_M: f32 = 10.0;

/// Stiffness and damping of the stops at the ends of a joint's range, against which a limp arm comes to rest.
const STOP_N_M_RAD: f32 = 1000.0;
const STOP_N_M_S_RAD: f32 = 30.0;

/// Where a link keeps its angle: angular coordinates follow the three linear ones, a hinge turns about its own x.
const HINGE: usize = 3;

/// A joint's servo, as the scene's position actuator has it.
///
/// It acts as a spring of the multibody, which rapier integrates implicitly, together with the inertia: stiff gains
/// stay stable in one long step, and no iterative solver has to converge.
#[derive(Debug, Clone, Copy)]
struct Servo {
    link: usize,
    stiffness_n_m_rad: f32,
    damping_n_m_s_rad: f32,
    torque_max_n_m: f32,
    /// Of the joint itself, torque or none.
    friction_n_m_s_rad: f32,
}

/// The arm and the physics that moves it.
pub(crate) struct SpatialArm {
    position_rad: [f32; 3],
    velocity_rad_s: [f32; 3],
    servos: [Servo; 3],
    /// The last link's body, which the table pushes.
    fore: RigidBodyHandle,
    arm: MultibodyIndex,
    gravity: Vector,
    bodies: RigidBodySet,
    multibodies: MultibodyJointSet,
    islands: IslandManager,
    /// Whether the last step's push is still written into the body.
    pushed: bool,
    work: Workspace,
}

/// What the pipeline asks for and this scene leaves empty, or refills every step.
struct Workspace {
    parameters: IntegrationParameters,
    pipeline: PhysicsPipeline,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    colliders: ColliderSet,
    joints: ImpulseJointSet,
    soft_bodies: SoftBodySet,
    ccd: CCDSolver,
}

impl Workspace {
    fn new() -> Self {
        let parameters = IntegrationParameters {
            dt: STEP_MAX_S,
            // No constraint is left that would need more.
            num_solver_iterations: 1,
            ..IntegrationParameters::default()
        };
        Self {
            parameters,
            pipeline: PhysicsPipeline::new(),
            broad_phase: BroadPhaseBvh::new(),
            narrow_phase: NarrowPhase::new(),
            colliders: ColliderSet::new(),
            joints: ImpulseJointSet::new(),
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
        }
    }
}

impl Clone for SpatialArm {
    fn clone(&self) -> Self {
        Self {
            position_rad: self.position_rad,
            velocity_rad_s: self.velocity_rad_s,
            servos: self.servos,
            fore: self.fore,
            arm: self.arm,
            gravity: self.gravity,
            bodies: self.bodies.clone(),
            multibodies: self.multibodies.clone(),
            islands: self.islands.clone(),
            pushed: self.pushed,
            work: Workspace::new(),
        }
    }
}

impl std::fmt::Debug for SpatialArm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpatialArm")
            .field("position_rad", &self.position_rad)
            .field("velocity_rad_s", &self.velocity_rad_s)
            .finish_non_exhaustive()
    }
}

impl SpatialArm {
    /// Loads the arm, at zero and at rest.
    pub(crate) fn new(model: &Model) -> Result<Self, SimulatorError> {
        let options = MjcfLoaderOptions {
            rigid_body_blueprint: RigidBodyBuilder::dynamic().can_sleep(false),
            ..MjcfLoaderOptions::default()
        };
        let robot = MjcfRobot::from_model(model, options, std::path::Path::new("."));
        let joint_indices = JOINTS.map(|name| {
            robot
                .joints
                .iter()
                .position(|joint| joint.name.as_deref() == Some(name))
        });
        let mut work = Workspace::new();
        let (mut bodies, mut multibodies) = (RigidBodySet::new(), MultibodyJointSet::new());
        let handles = robot.insert_using_multibody_joints(
            &mut bodies,
            &mut work.colliders,
            &mut multibodies,
            &mut work.joints,
            // Both are the business of `drive`.
            MjcfMultibodyOptions::SKIP_JOINT_MOTORS | MjcfMultibodyOptions::SKIP_JOINT_LIMITS,
        );
        let every_body: Vec<_> = bodies.iter().map(|(handle, _)| handle).collect();
        for handle in every_body {
            if let Some(body) = bodies.get_mut(handle) {
                body.recompute_mass_properties_from_colliders(&work.colliders);
            }
        }
        let mut servos = Vec::with_capacity(JOINTS.len());
        let mut last = None;
        for (name, index) in JOINTS.into_iter().zip(joint_indices) {
            let missing = |what| SimulatorError::Missing { what, name };
            let joint = index
                .and_then(|index| handles.joints.get(index))
                .ok_or(missing("a joint"))?;
            let link = multibodies
                .rigid_body_link(joint.link2)
                .ok_or(missing("a joint of the arm"))?;
            let multibody = multibodies
                .get_multibody(link.multibody)
                .ok_or(missing("a joint of the arm"))?;
            let actuator = model
                .actuators
                .iter()
                .find(|actuator| actuator.joint.as_deref() == Some(name));
            let actuator = actuator.ok_or(missing("an actuator for a joint"))?;
            let coordinate = multibody
                .link(link.id)
                .ok_or(missing("a joint of the arm"))?
                .assembly_id();
            servos.push(Servo {
                link: link.id,
                friction_n_m_s_rad: multibody.damping()[coordinate],
                stiffness_n_m_rad: actuator.kp.unwrap_or(1.0) as f32,
                damping_n_m_s_rad: actuator.kv.unwrap_or(0.0) as f32,
                torque_max_n_m: actuator.force_range.map_or(f32::MAX, |[_, high]| high as f32),
            });
            last = Some((joint.link2, link.multibody));
        }
        let missing_arm = || SimulatorError::Missing {
            what: "an arm",
            name: "reach",
        };
        let (fore, arm) = last.ok_or_else(missing_arm)?;
        let servos = servos.try_into().map_err(|_| missing_arm())?;
        let gravity = Vector::from_array(model.option.gravity.map(|component| component as f32));
        let (position_rad, velocity_rad_s) = ([0.0; 3], [0.0; 3]);
        Ok(Self {
            position_rad,
            velocity_rad_s,
            servos,
            fore,
            arm,
            gravity,
            bodies,
            multibodies,
            islands: IslandManager::new(),
            pushed: false,
            work,
        })
    }

    /// Draws a start pose and returns a target that is in reach.
    pub(crate) fn reset(&mut self, seed: u64) -> [f32; 3] {
        let mut stream = Stream::new(seed, RESET_STREAM);
        let start = loop {
            let pose = START_RAD.map(|(low, high)| stream.range(low, high));
            let [x, y, z] = reach_tip_m(pose);
            let radius = (x * x + y * y).sqrt();
            let [height, away] = START_TIP_M;
            if (height.0..height.1).contains(&z) && (away.0..away.1).contains(&radius) {
                break pose;
            }
        };
        self.place(start, [0.0; 3]);
        let tip = self.tip_m();
        loop {
            let (near, far) = TARGET_RADIUS_M;
            let radius = stream.range(near * near, far * far).sqrt();
            let (sine, cosine) = trig::sin_cos(stream.range(TARGET_BEARING_RAD.0, TARGET_BEARING_RAD.1));
            let target = [radius * cosine, radius * sine, TARGET_HEIGHT_M];
            let [dx, dy, dz] = [0, 1, 2].map(|axis| target[axis] - tip[axis]);
            let apart = dx * dx + dy * dy + dz * dz >= START_DISTANCE_MIN_M * START_DISTANCE_MIN_M;
            if apart && reachable(target) {
                return target;
            }
        }
    }

    /// Follows the set points; without torque the arm sinks until a limit or the table holds it.
    pub(crate) fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) {
        if !dt_s.is_finite() || dt_s <= 0.0 {
            return;
        }
        // The small allowance lets a step of 0.02 that was rounded upwards be one step.
        let parts = (dt_s / STEP_MAX_S - 1e-3).ceil().max(1.0);
        self.work.parameters.dt = dt_s / parts;
        for _ in 0..parts as u32 {
            self.drive(set_point_rad, torque_on);
            self.push_from_table();
            let work = &mut self.work;
            work.pipeline.step(
                self.gravity,
                &work.parameters,
                &mut self.islands,
                &mut work.broad_phase,
                &mut work.narrow_phase,
                &mut self.bodies,
                &mut work.colliders,
                &mut work.joints,
                &mut self.multibodies,
                &mut work.soft_bodies,
                &mut work.ccd,
                &(),
                &(),
            );
            self.read_joints();
        }
    }

    /// Takes over another arm's joints. Both hold the same scene.
    pub(crate) fn copy_state_from(&mut self, other: &Self) {
        self.place(other.position_rad, other.velocity_rad_s);
    }

    pub(crate) fn position_rad(&self) -> &[f32; 3] {
        &self.position_rad
    }

    pub(crate) fn velocity_rad_s(&self) -> &[f32; 3] {
        &self.velocity_rad_s
    }

    pub(crate) fn tip_m(&self) -> [f32; 3] {
        reach_tip_m(self.position_rad)
    }

    /// Hands the servos their set points, or switches them off.
    fn drive(&mut self, set_point_rad: &[f32], torque_on: bool) {
        let Some(arm) = self.multibodies.get_multibody_mut(self.arm) else {
            return;
        };
        for (index, servo) in self.servos.iter().enumerate() {
            let Some(link) = arm.link_mut(servo.link) else {
                continue;
            };
            let coordinate = link.assembly_id();
            let now = self.position_rad[index];
            let (low, high) = REACH_RANGES_RAD[index];
            let (stiffness_n_m_rad, damping_n_m_s_rad, rest_rad) = if torque_on {
                // A missing or meaningless set point holds the joint.
                let wanted = set_point_rad
                    .get(index)
                    .copied()
                    .filter(|angle| angle.is_finite())
                    .unwrap_or(now);
                // A spring pulls in proportion to its stretch: bounding the stretch bounds the torque.
                let stretch = servo.torque_max_n_m / servo.stiffness_n_m_rad;
                let rest = wanted.clamp(low, high).clamp(now - stretch, now + stretch);
                (servo.stiffness_n_m_rad, servo.damping_n_m_s_rad, rest)
            } else if (low..=high).contains(&now) {
                (0.0, 0.0, 0.0)
            } else {
                (STOP_N_M_RAD, STOP_N_M_S_RAD, now.clamp(low, high))
            };
            link.joint.set_spring(HINGE, stiffness_n_m_rad, rest_rad);
            arm.damping_mut()[coordinate] = servo.friction_n_m_s_rad + damping_n_m_s_rad;
        }
    }

    /// The table's push on the tip, for the step that follows.
    fn push_from_table(&mut self) {
        let tip = self.tip_m();
        let depth_m = TIP_RADIUS_M - tip[2];
        if depth_m <= 0.0 && !self.pushed {
            return;
        }
        let Some(body) = self.bodies.get_mut(self.fore) else {
            return;
        };
        body.reset_forces(false);
        body.reset_torques(false);
        self.pushed = depth_m > 0.0;
        if self.pushed {
            let ahead_s = 1e-3;
            let soon =
                reach_tip_m([0, 1, 2].map(|j| self.position_rad[j] + self.velocity_rad_s[j] * ahead_s));
            let speed_m_s = [0, 1, 2].map(|axis| (soon[axis] - tip[axis]) / ahead_s);
            let lift_n = (TABLE_N_M * depth_m - TABLE_N_S_M * speed_m_s[2]).max(0.0);
            body.add_force_at_point(Vector::new(0.0, 0.0, lift_n), Vector::from_array(tip), false);
        }
    }

    /// Puts the joints at these angles and speeds, exactly: the next step depends on nothing else.
    pub(crate) fn place(&mut self, position_rad: [f32; 3], velocity_rad_s: [f32; 3]) {
        (self.position_rad, self.velocity_rad_s) = (position_rad, velocity_rad_s);
        let Some(arm) = self.multibodies.get_multibody_mut(self.arm) else {
            return;
        };
        for (index, servo) in self.servos.iter().enumerate() {
            let Some(link) = arm.link_mut(servo.link) else {
                continue;
            };
            // From zero, as a displacement from the present angle would leave a rounding error behind.
            let mut joint = MultibodyJoint::new(link.joint.data, false);
            joint.apply_displacement(&position_rad[index..=index]);
            link.joint = joint;
            let coordinate = link.assembly_id();
            arm.generalized_velocity_mut()[coordinate] = velocity_rad_s[index];
        }
        arm.forward_kinematics(&self.bodies, false);
        arm.update_rigid_bodies(&mut self.bodies, true);
    }

    fn read_joints(&mut self) {
        let Some(arm) = self.multibodies.get_multibody(self.arm) else {
            return;
        };
        for (index, servo) in self.servos.iter().enumerate() {
            let Some(link) = arm.link(servo.link) else {
                continue;
            };
            self.position_rad[index] = link.joint().coords()[HINGE];
            self.velocity_rad_s[index] = arm.generalized_velocity()[link.assembly_id()];
        }
    }
}

/// Whether some pose within the joint ranges puts the tip there.
fn reachable([x_m, y_m, z_m]: [f32; 3]) -> bool {
    let inside = |angle: f32, (low, high): (f32, f32)| {
        (low + TARGET_MARGIN_RAD..=high - TARGET_MARGIN_RAD).contains(&angle)
    };
    let [yaw, shoulder, elbow] = REACH_RANGES_RAD;
    let radius = (x_m * x_m + y_m * y_m).sqrt();
    let height = z_m - REACH_SHOULDER_HEIGHT_M;
    inside(trig::atan2(y_m, x_m), yaw)
        && two_link_angles_rad(REACH_UPPER_M, REACH_FORE_M, radius, height).is_some_and(|poses| {
            // In that solution the elbow opens upwards; the arm counts its bend downwards.
            poses
                .into_iter()
                .any(|[lift, open]| inside(lift, shoulder) && inside(-open, elbow))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Task, scene};

    /// Rapier's own idea of the tip, the closed form and the drawn tip must be one point.
    #[test]
    fn physics_kinematics_and_picture_agree() {
        let model = scene::parse(Task::Reach).unwrap();
        let drawn = scene::Scene::new(&model).unwrap();
        let mut arm = SpatialArm::new(&model).unwrap();
        arm.reset(0);
        let mut poses = vec![rapier3d::math::Pose::IDENTITY; drawn.body_count()];
        for pose in [
            [0.0, 0.9, 1.5],
            [0.9, 0.4, 0.8],
            [-1.2, 1.2, 2.2],
            [0.3, 0.2, 0.5],
        ] {
            for _ in 0..200 {
                arm.step(&pose, true, STEP_MAX_S);
            }
            let expected = Vector::from_array(arm.tip_m());
            let body = *arm.bodies[arm.fore].position() * Vector::new(REACH_FORE_M, 0.0, 0.0);
            drawn.poses(arm.position_rad(), [0.0; 3], &mut poses);
            let tip = drawn.geoms.last().unwrap();
            let shown = (poses[tip.body] * tip.local).translation;
            assert!(
                (body - expected).length() < 1e-4,
                "{pose:?}: rapier {body}, closed form {expected}"
            );
            assert!(
                (shown - expected).length() < 1e-4,
                "{pose:?}: drawn {shown}, closed form {expected}"
            );
        }
    }

    #[test]
    fn target_lies_on_the_table_and_tip_radius_is_the_scenes() {
        let model = scene::parse(Task::Reach).unwrap();
        let geom = |name| {
            let (body, geom) = model.geom_by_name(name).unwrap();
            &model.bodies[body].body.geoms[geom]
        };
        let disc = geom("target");
        let bottom_m = f64::from(TARGET_HEIGHT_M) + disc.pose.translation.z - disc.size[1];
        assert!(bottom_m.abs() < 1e-6, "{bottom_m}");
        assert_eq!(geom("tip").size[0] as f32, TIP_RADIUS_M);
    }
}
