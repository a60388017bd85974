//! The robot file as typed: no defaults that matter, no unknown fields, no I/O.

use ron::value::RawValue;
use serde::{Deserialize, Serialize};

use super::{Realtime, Simulated, Trust};
use crate::{ActionMode, Link};

/// RON options the robot file is read with.
pub(super) fn options() -> ron::Options {
    ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// The robot's name.
    pub name: String,
    /// Control period in seconds.
    pub period_s: f32,
    /// Control periods in an episode.
    pub episode_ticks: u32,
    /// What an action means.
    #[serde(default)]
    pub action: ActionMode,
    /// Joints, base first.
    pub joints: Vec<RawJoint>,
    /// Links, one a joint, base first; none for a plant of actuators without a geometry.
    #[serde(default)]
    pub links: Vec<Link>,
    /// The tip in the frame of the link that carries it.
    #[serde(default)]
    pub tip_m: [f32; 3],
    /// The joint whose link carries the tip: the last if not given. The jaw of a gripper comes after it.
    #[serde(default)]
    pub tip_joint: Option<String>,
    /// The box the tip stays in, in the base frame.
    #[serde(default)]
    pub workspace_m: Option<RawBox>,
    /// The lengths above are metres although they are larger than those of other arms: for a crane.
    #[serde(default)]
    pub metres_checked: bool,
    /// Which arm it is and where it is plugged in; by the command line if not given.
    #[serde(default)]
    pub arm: Option<Box<RawValue>>,
    /// Likewise the camera.
    #[serde(default)]
    pub camera: Option<Box<RawValue>>,
    /// Who says how good a tick was; the simulated task or the camera's server if not given.
    #[serde(default)]
    pub reward: Option<super::reward::RawReward>,
    /// Files that say how this arm was built and mounted, beside the robot file.
    #[serde(default)]
    pub calibration: Option<RawCalibration>,
    /// How large the model's image is, and when a picture is too old.
    pub capture: RawCapture,
    /// Serial link and the firmware's watchdog.
    pub link: RawLink,
    /// Where the arm can lie without torque; it is let go where it is if not given.
    #[serde(default)]
    pub park: Option<RawPark>,
    /// Planner.
    pub planner: RawPlanner,
    /// When to stop trusting the model.
    pub trust: Trust,
    /// What is asked of the operating system.
    pub realtime: Realtime,
    /// The simulated task, for robots that are one. `arm: simulated(..)` says the same.
    #[serde(default)]
    pub simulator: Option<Simulated>,
}

/// A joint as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawJoint {
    /// Name.
    pub name: String,
    /// (lower, upper) limits.
    pub position_rad: (f32, f32),
    /// Speed limit.
    pub velocity_max_rad_s: f32,
    /// Acceleration limit.
    pub acceleration_max_rad_s2: f32,
    /// Home position.
    pub home_rad: f32,
    /// The angles at its stops, if they are not those of `position_rad`.
    #[serde(default)]
    pub stops_rad: Option<(f32, f32)>,
    /// It has no stops.
    #[serde(default)]
    pub all_round: bool,
    /// What a person sees when the angle grows.
    #[serde(default)]
    pub positive: Option<String>,
    /// The numbers above are radians although they are larger than those of other arms: for a winch, or a fast motor.
    #[serde(default)]
    pub radians_checked: bool,
}

/// Names of files in the robot file's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCalibration {
    /// Where the joints of an arm of servos are: `armillary calibrate joints` makes it.
    #[serde(default)]
    pub joints: Option<String>,
    /// The camera's lens, and where it stands: `armillary calibrate camera` makes it.
    #[serde(default)]
    pub camera: Option<String>,
}

/// An axis-aligned box.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBox {
    /// Lower corner.
    pub min: [f32; 3],
    /// Upper corner.
    pub max: [f32; 3],
}

/// Camera settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCapture {
    /// Oldest usable frame, in seconds before the edge.
    pub max_age_s: f32,
    /// Ticks without a fresh frame before a controlled stop.
    pub gap_ticks: u32,
    /// How old what a picture shows is when a tick uses it, in seconds.
    #[serde(default)]
    pub delay_s: f32,
    /// Width and height of the model's image, in pixels.
    #[serde(default = "crate::frame::default_side")]
    pub side: usize,
    /// Which part of a camera's picture the model sees; the largest square in the middle if not given.
    #[serde(default)]
    pub view: Option<Box<RawValue>>,
    /// How the camera's lens bends lines, where it has been calibrated.
    #[serde(default)]
    pub lens: Option<Box<RawValue>>,
    /// Whether the camera's own pictures, JPEG as they came, are kept in the log beside the model's images.
    #[serde(default)]
    pub keep_pictures: bool,
}

/// Serial settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLink {
    /// Symbols per second.
    pub baud: u32,
    /// Silence, in control periods, after which the firmware stops the arm by itself.
    pub watchdog_periods: f32,
    /// Seconds from that stop to torque off.
    pub torque_grace_s: f32,
    /// Longest time from the opening of the port until the board answers, in seconds: many boards reset when their port is
    /// opened, and boot first.
    #[serde(default = "boot_s")]
    pub boot_s: f32,
}

/// Longer than the boards that are in use take.
fn boot_s() -> f32 {
    5.0
}

/// How an arm is laid down after a run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPark {
    /// Where each joint goes, base first.
    pub pose_rad: Vec<f32>,
    /// The most speed of any joint on the way.
    #[serde(default = "park_speed_rad_s")]
    pub speed_rad_s: f32,
}

/// Slow enough to be watched.
fn park_speed_rad_s() -> f32 {
    0.3
}

/// Planner settings; the letters are those of the paper's Algorithm 2.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlanner {
    /// H.
    pub horizon: usize,
    /// I.
    pub iterations: usize,
    /// J.
    pub candidates: usize,
    /// K.
    pub elites: usize,
    /// Initial standard deviation.
    pub initial_std: f32,
    /// Shifted previous plan as the first mean.
    pub warm_start: bool,
    /// What is made of candidates and their returns.
    pub method: Method,
    /// Sampled or mean latents.
    pub latents: Latents,
    /// Rollout back end.
    pub backend: RolloutBackend,
    /// Threads that plan.
    pub threads: usize,
    /// Pipeline.
    pub pipeline: Pipeline,
    /// Share of the period the planner may use.
    pub deadline_fraction: f32,
}

/// How imagined stochastic states are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latents {
    /// One sample a step, as in the paper.
    Sampled,
    /// The prior's mean.
    Mean,
}

/// What is made of candidates and their returns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// The paper's Algorithm 2.
    Planet,
    /// iCEM: coloured noise, kept elites, ever fewer candidates, the best of which is executed.
    Icem {
        /// The noise's power falls with its frequency to this power; 0 is white.
        beta: f32,
    },
    /// Elites weighted by the exponential of their return.
    Mppi {
        /// Difference in return at which a weight falls to 1/e.
        temperature: f32,
    },
}

/// Which rollout implementation plans. `scalar`, `simd`, `portable`, `avx2` and `avx512` compute the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutBackend {
    /// The readable reference.
    Scalar,
    /// The fastest kernel in `f32` that this CPU has.
    Simd,
    /// The kernel in plain Rust.
    Portable,
    /// The kernel for AVX2 and FMA.
    Avx2,
    /// The kernel for AVX-512 F.
    Avx512,
    /// The kernel for AVX-512 BF16: twice as fast, at 16 bits.
    Bf16,
    /// The exported ONNX graphs, run by tract.
    Tract,
    /// LibTorch on the CPU; needs a program built with the feature `libtorch`.
    Libtorch,
    /// LibTorch on a GPU; likewise.
    LibtorchCuda,
}

/// When the planned action is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pipeline {
    /// At the next edge: latency is constant whatever planning took.
    NextTick,
    /// In the same tick: for lockstep, where the world waits.
    Immediate,
}

impl Pipeline {
    /// Its name in robot files and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NextTick => "next_tick",
            Self::Immediate => "immediate",
        }
    }
}
