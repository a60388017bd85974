//! The robot file: what a person types ([`raw::RawConfig`]) and what it resolves to ([`Config`]).
//!
//! Everything a run depends on is in this one RON file and the command line; no environment variable
//! changes what is decided. (`VIRTUAL_ENV` names the Python that a rig is started with, and `LIBTORCH` where the trainer is built
//! against.)

mod check;
pub mod edit;
mod error;
pub mod made;
pub mod raw;
mod read;
mod units;

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Envelope;
use check::{Checker, Units};
pub use error::ConfigError;
pub use raw::{Latents, Method, Pipeline, RolloutBackend};
pub use read::read;

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

/// A checked robot.
#[derive(Debug, Clone)]
pub struct Config {
    /// The robot's name, written into logs and bundles.
    pub name: String,
    /// Control period in seconds.
    pub period_s: f32,
    /// Joints, limits, kinematics and workspace.
    pub envelope: Envelope,
    /// Oldest frame the filter may use, in seconds before the edge.
    pub frame_max_age_s: f32,
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
    /// The planner.
    pub planner: Planner,
    /// Trust monitor thresholds.
    pub trust: raw::RawTrust,
    /// What is asked of the operating system.
    pub realtime: raw::RawRealtime,
    /// The simulated task that stands in for the arm, if any.
    pub simulator: Option<raw::RawSimulator>,
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
    /// Reads and checks a robot file that a person wrote. Lengths and angles that only make sense in other units are refused.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and column or field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        parse(path, read(path)?, Units::Checked)
    }

    /// Checks the text of a robot file; `path` is for messages. The units are believed: this is for text that a log keeps, that
    /// this program made, or whose arm is only to be stopped.
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
    let raw: raw::RawConfig = raw::options()
        .from_str(&text)
        .map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span.start.line,
            column: error.span.start.col,
            message: error.code.to_string(),
        })?;
    Checker { path, units }.check(raw, text)
}
