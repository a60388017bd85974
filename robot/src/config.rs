//! The robot file: what a person types ([`raw::RawConfig`]) and what it resolves to ([`Config`]).
//!
//! Everything a run depends on is in this one RON file and the command line; no environment variable
//! changes what is decided. (`VIRTUAL_ENV` names the Python that a rig is started with, and `LIBTORCH` where the trainer is built
//! against.)

mod check;
mod delay;
mod device;
pub mod edit;
mod error;
pub mod made;
pub mod raw;
mod read;
mod reward;
mod travel;
mod units;
mod vigilance;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::reward::RewardRule;
use crate::{Envelope, JointVec};
use check::{Checker, Units};
pub use delay::DELAY_TICKS_MAX;
pub use device::DeviceText;
pub use error::ConfigError;
pub use raw::{Latents, Method, Pipeline, RolloutBackend};
pub use read::read;
pub use travel::Travel;

/// The longest horizon a planner may have; its buffers are sized by it.
pub const HORIZON_MAX: usize = 64;

/// The most threads a planner may have.
pub const PLANNER_THREADS_MAX: usize = 64;

/// The planner's budget and its place in the loop, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Planner {
    /// H: latent steps looked ahead.
    pub horizon: usize,
    /// I: CEM iterations.
    pub iterations: usize,
    /// J: candidate action sequences an iteration.
    pub candidates: usize,
    /// K: elites refitted to.
    pub elites: usize,
    /// Standard deviation the search starts from at every step.
    pub initial_std: f32,
    /// Start from the previous plan shifted by one step instead of zero.
    pub warm_start: bool,
    /// What is made of candidates and their returns.
    pub method: Method,
    /// Whether rollouts sample the stochastic state or follow its mean.
    pub latents: Latents,
    /// Which rollout implementation plans.
    pub backend: RolloutBackend,
    /// Threads that plan; the result does not depend on how many.
    pub threads: usize,
    /// Plan for the next edge, or send in the same tick.
    pub pipeline: Pipeline,
    /// Share of the period the planner may use; the rest is for the other stages and the machine.
    pub deadline_fraction: f32,
}

/// Pictures whose innovation is summed for [`Trust::kl_sum_nats`].
pub const KL_SUM_TICKS: usize = 5;

/// Pictures at the beginning of an episode that are left out of that sum: the belief has to find out where the arm is.
pub const KL_SUM_SETTLING: u32 = 3;

/// Thresholds of the trust monitor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Innovation (KL of posterior from prior) above which a tick is surprising.
    pub kl_max_nats: f32,
    /// Consecutive surprising ticks before a controlled stop.
    pub kl_ticks: u32,
    /// Consecutive ticks with the very same image, while the arm is moving, before a controlled stop.
    pub frozen_ticks: u32,
    /// Distance between where the arm is and where its own firmware is leading it, in radians a joint, above which it is
    /// off track: something holds it.
    pub track_max_rad: f32,
    /// Consecutive ticks off track before a controlled stop.
    pub track_ticks: u32,
    /// Largest change of a picture's mean brightness since the last one that was used, as a share of that one's. After a larger change
    /// pictures are not used: a light went off or on.
    #[serde(default = "light_change_max")]
    pub light_change_max: f32,
    /// Sum of the innovation of the last [`KL_SUM_TICKS`] pictures above which is a controlled stop, where the world does not wait. No picture
    /// counts for more than half of it, so that one alone stops nothing. Without it there is no such stop.
    #[serde(default)]
    pub kl_sum_nats: Option<f32>,
    /// Consecutive ticks in which the tail of the last plan may stand in for a plan that is late; one more is a controlled stop.
    #[serde(default = "tail_ticks")]
    pub tail_ticks: u32,
}

/// A single pause of the machine is forgiven, a planner that does not keep up is not.
fn tail_ticks() -> u32 {
    1
}

/// More than cameras and arms in motion make of a steady light from one picture to the next, and less than a lamp.
fn light_change_max() -> f32 {
    0.3
}

/// What a live loop asks of the operating system. What it refuses is said loudly, an episode at a time, and done without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Realtime {
    /// Priority of the tick's thread, 1 (low) to 99 (high) of the first-in-first-out class; 0 leaves it as it is.
    pub tick_priority: u8,
    /// Likewise of the thread that captures and encodes.
    pub capture_priority: u8,
    /// Likewise of the thread that speaks to servos, in the place of a firmware.
    #[serde(default)]
    pub bus_priority: u8,
    /// Likewise of the threads that plan. They fill their cores: keep it below the others'.
    pub plan_priority: u8,
    /// The CPU that the tick's thread stays on; any if not given.
    pub tick_cpu: Option<usize>,
    /// The CPUs that planning threads may use; any if empty.
    pub plan_cpus: Vec<usize>,
    /// Keeps the program's memory from being paged out.
    pub lock_memory: bool,
}

/// The simulated task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Task name: `reach-planar`, `reach`, or one of another program: `dmc:cartpole-balance`, `gym:Pendulum-v1`, `py:module:function`.
    pub task: String,
    /// Firmware and physics steps per control period.
    pub substeps: u32,
    /// How old what the simulated camera shows is, in seconds: as with a real camera, nothing but [`Config::camera_delay_s`] tells.
    #[serde(default)]
    pub camera_delay_s: f32,
    /// Whether a person named the task on the command line as well. A task of another program is started only then: a file alone
    /// starts no program, and cannot say this.
    #[serde(skip)]
    pub asked: bool,
}

impl Simulated {
    /// Whether the task is an environment in another program, which is code, and not one of this program's arms.
    pub fn is_program(&self) -> bool {
        self.task.contains(':')
    }
}

/// How an arm is laid down after a run, before its torque is taken off.
#[derive(Debug, Clone, PartialEq)]
pub struct Park {
    /// Where each joint goes, base first.
    pub pose_rad: JointVec,
    /// The most speed of any joint on the way, in radians a second.
    pub speed_rad_s: f32,
}

/// A checked robot.
#[derive(Debug, Clone)]
pub struct Config {
    /// The robot's name, written into logs and bundles.
    pub name: String,
    /// Control period in seconds.
    pub period_s: f32,
    /// Joints, limits, kinematics and workspace.
    pub envelope: Envelope,
    /// Width and height of the model's image, in pixels.
    pub frame_side: usize,
    /// Oldest frame the filter may use, in seconds before the edge.
    pub frame_max_age_s: f32,
    /// How old what a picture shows is at the edge of the tick that uses it, in seconds: from the light to that edge, whatever the
    /// picture's own time stamp says.
    pub camera_delay_s: f32,
    /// Consecutive ticks without a fresh frame before the arm is stopped.
    pub frame_gap_ticks: u32,
    /// Serial rate.
    pub baud: u32,
    /// Longest time from the opening of the port until the arm's board answers, in seconds.
    pub boot_s: f32,
    /// Silence, in periods, after which the firmware stops the arm.
    pub watchdog_periods: f32,
    /// Time after a stop at which the firmware releases torque, in seconds.
    pub torque_grace_s: f32,
    /// How the arm is laid down after a run, if the file says where it can lie.
    pub park: Option<Park>,
    /// The planner.
    pub planner: Planner,
    /// Trust monitor thresholds.
    pub trust: Trust,
    /// What is asked of the operating system.
    pub realtime: Realtime,
    /// The simulated task that stands in for the arm, if any.
    pub simulator: Option<Simulated>,
    /// Which part of a camera's picture the model sees, if the file says so.
    pub view: Option<DeviceText>,
    /// How the camera's lens bends lines, likewise.
    pub lens: Option<DeviceText>,
    /// Whether the camera's own pictures are kept in the log beside the model's images.
    pub keep_pictures: bool,
    /// The arm, if the file names one that is plugged in.
    pub arm: Option<DeviceText>,
    /// The camera, likewise.
    pub camera: Option<DeviceText>,
    /// The reward that is computed from the joints; `None` where the simulated task or the camera's server gives it.
    pub reward: Option<RewardRule>,
    /// How far each joint can be turned, base first.
    pub travels: Vec<Travel>,
    /// The file that says where the joints of an arm of servos are, if the robot file names one.
    pub joints_file: Option<PathBuf>,
    /// The file of the camera's lens and place, likewise.
    pub camera_file: Option<PathBuf>,
    /// Control periods in an episode.
    pub episode_ticks: u32,
    /// The file's text as read, for the log's attachment.
    pub text: String,
    /// SHA-256 of that text, in hexadecimal.
    pub sha256: String,
}

/// SHA-256 of a robot file's text, in hexadecimal: by it logs and exports name the file.
pub fn text_sha256(text: &[u8]) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Config {
    /// [`Config::camera_delay_s`] in whole control periods, as the filter takes it: rounded to the nearest.
    pub fn camera_delay_ticks(&self) -> u32 {
        delay::ticks(self.camera_delay_s, self.period_s)
    }

    /// What rounding to whole periods makes of the camera's delay, for a person; `None` where a filter takes it as it is.
    pub fn camera_delay_rounded(&self) -> Option<String> {
        delay::rounded(self.camera_delay_s, self.period_s)
    }

    /// Reads and checks a robot file that a person wrote. Lengths and angles that only make sense in other units are refused, and so are
    /// settings with which the trust monitor would be off in effect.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and column or field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        parse(path, read(path)?, Units::Checked)
    }

    /// Checks the text of a robot file; `path` is for messages. The units are believed, and settings with which the trust monitor would
    /// be off are warned of: this is for text that a log keeps, that this program made, or whose arm is only to be stopped.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and column or field.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        parse(path, text, Units::Believed)
    }

    /// Number of joints.
    pub fn joint_count(&self) -> usize {
        self.envelope.joints().len()
    }
}

fn parse(path: &Path, text: String, units: Units) -> Result<Config, ConfigError> {
    let parsed = files::guarded(|| raw::options().from_str::<raw::RawConfig>(&text));
    let raw = parsed
        .map_err(|panic| ConfigError::Syntax {
            path: path.to_owned(),
            line: 1,
            column: 1,
            message: panic.to_string(),
        })?
        .map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span.start.line,
            column: error.span.start.col,
            message: error.code.to_string(),
        })?;
    Checker { path, units }.check(raw, text)
}
