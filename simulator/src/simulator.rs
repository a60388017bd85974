//! The simulator: an arm, a target, a camera and a reward.

use std::sync::Arc;

use rapier3d::math::Vector;
use robot::device::{self, DeviceError, Joints, View};
use robot::{Frame, JointState, JointVec};

use crate::late::Late;
use crate::planar::PlanarArm;
use crate::render::Renderer;
use crate::scene::{self, Scene};
use crate::so101::So101Arm;
use crate::spatial::SpatialArm;
use crate::{SimulatorError, Task, trig};

/// A simulated arm with its camera and task.
///
/// Until [`device::Task::reset`] is first called it is as after `reset(0)`.
#[derive(Debug, Clone)]
pub struct Simulator {
    arm: Arm,
    target_m: [f32; 3],
    scene: Arc<Scene>,
    renderer: Renderer,
    late: Late,
}

#[derive(Debug, Clone)]
enum Arm {
    Planar(PlanarArm),
    Spatial(Box<SpatialArm>),
    So101(So101Arm),
}

impl Arm {
    fn position_rad(&self) -> &[f32] {
        match self {
            Self::Planar(arm) => arm.position_rad(),
            Self::Spatial(arm) => arm.position_rad(),
            Self::So101(arm) => arm.position_rad(),
        }
    }
}

impl Simulator {
    /// Builds a task from its embedded scene.
    pub fn new(task: Task) -> Result<Self, SimulatorError> {
        let model = scene::parse(task)?;
        let scene = Arc::new(Scene::new(&model)?);
        let arm = match task {
            Task::ReachPlanar => Arm::Planar(PlanarArm::new()),
            Task::Reach => Arm::Spatial(Box::new(SpatialArm::new(&model)?)),
            Task::So101 => Arm::So101(So101Arm::new()),
        };
        let mut simulator = Self {
            arm,
            target_m: [0.0; 3],
            scene,
            renderer: Renderer::default(),
            late: Late::default(),
        };
        simulator.reset(0);
        Ok(simulator)
    }

    /// The same with a camera whose pictures show what was `delay_s` seconds ago. Joints and reward are of the present.
    #[must_use]
    pub fn with_camera_delay(mut self, delay_s: f32) -> Self {
        self.late = Late::by(delay_s);
        self.note(0.0);
        self
    }

    /// Which task this is.
    pub fn task(&self) -> Task {
        match self.arm {
            Arm::Planar(_) => Task::ReachPlanar,
            Arm::Spatial(_) => Task::Reach,
            Arm::So101(_) => Task::So101,
        }
    }

    /// Takes over another simulator's arm and target, so that planning can try many futures from one present. What the
    /// camera still has to show is not taken over.
    /// Allocates nothing for `reach-planar` and `so101`.
    ///
    /// # Panics
    /// If the other simulates another task.
    pub fn copy_state_from(&mut self, other: &Self) {
        self.target_m = other.target_m;
        match (&mut self.arm, &other.arm) {
            (Arm::Planar(own), Arm::Planar(others)) => *own = *others,
            (Arm::Spatial(own), Arm::Spatial(others)) => own.copy_state_from(others),
            (Arm::So101(own), Arm::So101(others)) => *own = *others,
            _ => panic!("state of {} copied into {}", other.task(), self.task()),
        }
    }

    /// Where the tip is, in the base frame.
    #[inline]
    pub fn tip_m(&self) -> [f32; 3] {
        match &self.arm {
            Arm::Planar(arm) => arm.tip_m(),
            Arm::Spatial(arm) => arm.tip_m(),
            Arm::So101(arm) => arm.tip_m(),
        }
    }

    /// The point that the tip should reach, in the base frame.
    pub fn target_m(&self) -> [f32; 3] {
        self.target_m
    }

    /// From the tip to the target.
    #[inline]
    pub fn target_distance_m(&self) -> f32 {
        let (tip, target) = (self.tip_m(), self.target_m);
        let [x, y, z] = [0, 1, 2].map(|axis| target[axis] - tip[axis]);
        (x * x + y * y + z * z).sqrt()
    }

    /// Where a point of the base frame appears in an image of `side` x `side` pixels, in pixels from the top left corner:
    /// (column, row). `None` behind the camera; may lie outside the frame.
    pub fn pixel_of(&self, point_m: [f32; 3], side: usize) -> Option<[f32; 2]> {
        self.scene
            .camera
            .of_side(side)
            .project(Vector::from_array(point_m))
    }

    fn position_rad(&self) -> &[f32] {
        self.arm.position_rad()
    }

    fn velocity_rad_s(&self) -> &[f32] {
        match &self.arm {
            Arm::Planar(arm) => arm.velocity_rad_s(),
            Arm::Spatial(arm) => arm.velocity_rad_s(),
            Arm::So101(arm) => arm.velocity_rad_s(),
        }
    }

    /// The tip within this distance has reached the target and earns the full reward: half the target's radius, as
    /// dm_control's tolerances have it.
    fn reached_m(&self) -> f32 {
        match self.arm {
            Arm::Planar(_) => 0.09,
            Arm::Spatial(_) => 0.06,
            Arm::So101(_) => 0.035,
        }
    }

    /// The distance beyond that at which the reward has fallen to 0.24: about half of what a start pose is away from its target,
    /// so that the reward has a slope everywhere and most of its range near the target.
    fn reward_scale_m(&self) -> f32 {
        match self.arm {
            Arm::Planar(_) => 0.5,
            Arm::Spatial(_) => 0.3,
            Arm::So101(_) => 0.15,
        }
    }

    /// The task's reward of the present state, in 0 to 1.
    #[inline]
    pub fn reward(&self) -> f32 {
        let outside_m = (self.target_distance_m() - self.reached_m()).max(0.0);
        1.0 - trig::tanh(outside_m / self.reward_scale_m())
    }

    /// Starts a new episode: a start pose and a target drawn from `seed`.
    pub fn reset(&mut self, seed: u64) {
        self.target_m = match &mut self.arm {
            Arm::Planar(arm) => arm.reset(seed),
            Arm::Spatial(arm) => arm.reset(seed),
            Arm::So101(arm) => arm.reset(seed),
        };
        self.late.reset(self.arm.position_rad());
    }

    /// Moves by `dt_s` seconds towards `set_point_rad`; without torque the joints coast and come to rest.
    #[inline]
    pub fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) {
        match &mut self.arm {
            Arm::Planar(arm) => arm.step(set_point_rad, torque_on, dt_s),
            Arm::Spatial(arm) => arm.step(set_point_rad, torque_on, dt_s),
            Arm::So101(arm) => arm.step(set_point_rad, torque_on, dt_s),
        }
        self.note(dt_s);
    }

    #[inline]
    fn note(&mut self, dt_s: f32) {
        self.late.record(dt_s, self.arm.position_rad());
    }

    /// Puts the joints where those of another arm are, at rest: what is seen and rewarded is then that arm's state. Joints that are not
    /// given stay.
    pub fn place(&mut self, position_rad: &[f32]) {
        fn filled<const N: usize>(mut pose: [f32; N], position_rad: &[f32]) -> [f32; N] {
            for (joint, rad) in pose.iter_mut().zip(position_rad) {
                *joint = *rad;
            }
            pose
        }
        match &mut self.arm {
            Arm::Planar(arm) => arm.place(filled(*arm.position_rad(), position_rad)),
            Arm::Spatial(arm) => arm.place(filled(*arm.position_rad(), position_rad), [0.0; 3]),
            Arm::So101(arm) => arm.place(filled(*arm.position_rad(), position_rad)),
        }
        self.note(0.0);
    }

    /// `dt_s` seconds pass in which the joints are moved by [`Simulator::place`].
    pub fn pass(&mut self, dt_s: f32) {
        self.note(dt_s);
    }

    /// What the camera sees now, at the side of `frame`.
    pub fn render(&mut self, frame: &mut Frame) {
        let now = || self.position_rad().iter().copied().collect();
        let position_rad: JointVec = self.late.shown_rad().unwrap_or_else(now);
        self.renderer
            .render(&self.scene, &position_rad, self.target_m, frame);
    }
}

// A simulator in this process does not fail: the methods above do the same without a `Result`.
impl Joints for Simulator {
    fn joint_count(&self) -> usize {
        self.position_rad().len()
    }

    #[inline]
    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        Self::step(self, set_point_rad, torque_on, dt_s);
        Ok(())
    }

    fn joints(&self) -> JointState {
        let copy = |values: &[f32]| values.iter().copied().collect::<JointVec>();
        JointState {
            position_rad: copy(self.position_rad()),
            velocity_rad_s: copy(self.velocity_rad_s()),
        }
    }
}

impl View for Simulator {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        Self::render(self, frame);
        Ok(())
    }
}

impl device::Task for Simulator {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        Self::reset(self, seed);
        Ok(())
    }

    #[inline]
    fn reward(&self) -> Option<f32> {
        Some(Self::reward(self))
    }
}
