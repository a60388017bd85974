//! The robot file: what a person types ([`raw::RawConfig`]) and what it resolves to ([`Config`]).
//!
//! Everything a run depends on is in this one RON file and the command line; no environment variable
//! changes what is decided. (`VIRTUAL_ENV` names the Python that a rig is started with, and `LIBTORCH` where the trainer is built
//! against.)

pub mod edit;
pub mod made;
pub mod raw;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{ActionMode, Chain, Envelope, Joint, MAX_JOINTS};
pub use raw::{Latents, Method, Pipeline, RolloutBackend};

/// The longest horizon a planner may have; its buffers are sized by it.
pub const HORIZON_MAX: usize = 64;

/// The most threads a planner may have.
pub const PLANNER_THREADS_MAX: usize = 64;

/// Why a robot file was refused. Every variant names the file and, where one is at fault, the field.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: cannot read the robot file: {source}; name an existing one, such as those in configs/")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not RON, an unknown field, or a value of the wrong type.
    #[error("{path}:{line}:{column}: {message}; configs/sim-planar.ron shows every field")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
        /// RON's own explanation.
        message: String,
    },
    /// Well-formed, but not a robot.
    #[error("{path}: field `{field}`: {problem}; {remedy}")]
    Field {
        /// The file.
        path: PathBuf,
        /// Dotted path of the field.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
}

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

impl Config {
    /// Reads and checks a robot file.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and column or field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, text)
    }

    /// Checks the text of a robot file; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and column or field.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let raw: raw::RawConfig = raw::options()
            .from_str(&text)
            .map_err(|error| ConfigError::Syntax {
                path: path.to_owned(),
                line: error.span.start.line,
                column: error.span.start.col,
                message: error.code.to_string(),
            })?;
        Checker { path }.check(raw, text)
    }

    /// Number of joints.
    pub fn joint_count(&self) -> usize {
        self.envelope.joints().len()
    }
}

struct Checker<'a> {
    path: &'a Path,
}

impl Checker<'_> {
    fn refuse(&self, field: impl Into<String>, problem: impl Into<String>, remedy: &str) -> ConfigError {
        ConfigError::Field {
            path: self.path.to_owned(),
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.to_owned(),
        }
    }

    fn within(&self, field: &str, value: f32, low: f32, high: f32) -> Result<f32, ConfigError> {
        if value.is_finite() && value >= low && value <= high {
            Ok(value)
        } else {
            let problem = format!("{value} is outside {low} to {high}");
            Err(self.refuse(field, problem, "choose a value in that range"))
        }
    }

    fn count(&self, field: &str, value: usize, low: usize, high: usize) -> Result<usize, ConfigError> {
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            let problem = format!("{value} is outside {low} to {high}");
            Err(self.refuse(field, problem, "choose a value in that range"))
        }
    }

    fn joints(&self, raw: &[raw::RawJoint], mode: ActionMode) -> Result<Vec<Joint>, ConfigError> {
        self.count("joints", raw.len(), 1, MAX_JOINTS)?;
        let mut joints: Vec<Joint> = Vec::with_capacity(raw.len());
        for (index, joint) in raw.iter().enumerate() {
            let field = |name: &str| format!("joints[{index}].{name}");
            if joint.name.is_empty() || joints.iter().any(|other| other.name == joint.name) {
                let problem = format!("`{}` is empty or used twice", joint.name);
                return Err(self.refuse(field("name"), problem, "give each joint a name of its own"));
            }
            let (low, high) = joint.position_rad;
            // `!(low < high)` also catches NaN.
            if !(low.is_finite() && high.is_finite() && low < high) {
                let problem = format!("the lower limit {low} is not below the upper limit {high}");
                return Err(self.refuse(field("position_rad"), problem, "write (lower, upper) in radians"));
            }
            // Set points in units of their own have no sensible bounds of ours.
            let (speed_max, change_max) = match mode {
                ActionMode::Velocity => (100.0, 10_000.0),
                ActionMode::Absolute => (f32::MAX, f32::MAX),
            };
            self.within(
                &field("velocity_max_rad_s"),
                joint.velocity_max_rad_s,
                1e-3,
                speed_max,
            )?;
            self.within(
                &field("acceleration_max_rad_s2"),
                joint.acceleration_max_rad_s2,
                1e-2,
                change_max,
            )?;
            self.within(&field("home_rad"), joint.home_rad, low, high)?;
            joints.push(Joint {
                name: joint.name.clone(),
                position_min_rad: low,
                position_max_rad: high,
                velocity_max_rad_s: joint.velocity_max_rad_s,
                acceleration_max_rad_s2: joint.acceleration_max_rad_s2,
                home_rad: joint.home_rad,
            });
        }
        Ok(joints)
    }

    fn envelope(&self, raw: &raw::RawConfig) -> Result<Envelope, ConfigError> {
        let joints = self.joints(&raw.joints, raw.action)?;
        let Some(workspace_m) = &raw.workspace_m else {
            if raw.action == ActionMode::Absolute && raw.links.is_empty() {
                return Ok(Envelope::without_geometry(joints, raw.action, raw.period_s));
            }
            let remedy = "give the box the tip stays in; only a plant with `action: absolute` and no links does without";
            return Err(self.refuse("workspace_m", "is missing", remedy));
        };
        if raw.action == ActionMode::Absolute {
            let remedy = "an arm with a geometry is driven by joint speeds: leave the field out";
            return Err(self.refuse("action", "is absolute", remedy));
        }
        if raw.links.len() != joints.len() {
            let problem = format!("{} links for {} joints", raw.links.len(), joints.len());
            return Err(self.refuse("links", problem, "give one link a joint, base first"));
        }
        let chain = Chain::new(&raw.links, raw.tip_m)
            .ok_or_else(|| self.refuse("links", "an axis is (0, 0, 0)", "give every link a direction"))?;
        let (low, high) = (workspace_m.min, workspace_m.max);
        for axis in 0..3 {
            if !(low[axis].is_finite() && high[axis].is_finite() && low[axis] < high[axis]) {
                let problem = format!(
                    "on axis {axis} the minimum {} is not below the maximum {}",
                    low[axis], high[axis]
                );
                return Err(self.refuse("workspace_m", problem, "write the box's lower corner as `min`"));
            }
        }
        let envelope = Envelope::new(joints, raw.action, chain, low, high, raw.period_s);
        let home = envelope.home();
        if !envelope.in_workspace(&home.position_rad) {
            let tip = envelope.chain().tip_m(&home.position_rad);
            let problem = format!("with all joints at home the tip is at {tip}, outside the box");
            return Err(self.refuse("workspace_m", problem, "enlarge the box or move `home_rad`"));
        }
        Ok(envelope)
    }

    fn check(&self, raw: raw::RawConfig, text: String) -> Result<Config, ConfigError> {
        self.within("period_s", raw.period_s, 0.005, 1.0)?;
        let envelope = self.envelope(&raw)?;
        let plan = &raw.planner;
        self.count("planner.horizon", plan.horizon, 1, HORIZON_MAX)?;
        self.count("planner.threads", plan.threads, 1, PLANNER_THREADS_MAX)?;
        match plan.method {
            Method::Planet => {}
            Method::Icem { beta } => {
                self.within("planner.method.beta", beta, 0.0, 10.0)?;
            }
            Method::Mppi { temperature } => {
                self.within("planner.method.temperature", temperature, 1e-6, 1e6)?;
            }
        }
        self.count("planner.iterations", plan.iterations, 1, 100)?;
        self.count("planner.candidates", plan.candidates, 2, 100_000)?;
        if plan.elites < 1 || plan.elites > plan.candidates {
            let problem = format!("{} elites of {} candidates", plan.elites, plan.candidates);
            return Err(self.refuse("planner.elites", problem, "choose between 1 and `candidates`"));
        }
        self.within("planner.initial_std", plan.initial_std, 1e-3, 10.0)?;
        self.within("planner.deadline_fraction", plan.deadline_fraction, 0.05, 0.95)?;
        self.within("capture.max_age_s", raw.capture.max_age_s, 1e-3, 10.0)?;
        self.within("link.watchdog_periods", raw.link.watchdog_periods, 1.0, 100.0)?;
        self.within("link.torque_grace_s", raw.link.torque_grace_s, 0.0, 60.0)?;
        self.count("link.baud", raw.link.baud as usize, 1_200, 10_000_000)?;
        self.count("episode_ticks", raw.episode_ticks as usize, 1, 1_000_000)?;
        self.within("trust.kl_max_nats", raw.trust.kl_max_nats, 0.0, f32::MAX)?;
        self.within("trust.track_max_rad", raw.trust.track_max_rad, 1e-3, 10.0)?;
        for (field, priority) in [
            ("realtime.tick_priority", raw.realtime.tick_priority),
            ("realtime.capture_priority", raw.realtime.capture_priority),
            ("realtime.plan_priority", raw.realtime.plan_priority),
        ] {
            self.count(field, priority.into(), 0, 99)?;
        }
        let wanted = &raw.realtime;
        let least = wanted.tick_priority.min(wanted.capture_priority);
        if wanted.plan_priority > 0 && wanted.plan_priority >= least {
            let problem = format!(
                "{} is not below the tick's {} and capture's {}",
                wanted.plan_priority, wanted.tick_priority, wanted.capture_priority
            );
            let remedy = "planning fills its cores: give the other two higher numbers";
            return Err(self.refuse("realtime.plan_priority", problem, remedy));
        }
        if let Some(cpu) = wanted.tick_cpu
            && wanted.plan_cpus.contains(&cpu)
        {
            let problem = format!("{cpu} is also `realtime.tick_cpu`");
            let remedy = "a tick that shares its CPU with planning waits for it: take it out of the list";
            return Err(self.refuse("realtime.plan_cpus", problem, remedy));
        }
        if let Some(simulator) = &raw.simulator {
            self.count("simulator.substeps", simulator.substeps as usize, 1, 1_000)?;
        }
        let sha256 = Sha256::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Config {
            name: raw.name,
            period_s: raw.period_s,
            envelope,
            frame_max_age_s: raw.capture.max_age_s,
            frame_gap_ticks: raw.capture.gap_ticks,
            baud: raw.link.baud,
            watchdog_periods: raw.link.watchdog_periods,
            torque_grace_s: raw.link.torque_grace_s,
            planner: Planner {
                horizon: plan.horizon,
                iterations: plan.iterations,
                candidates: plan.candidates,
                elites: plan.elites,
                initial_std: plan.initial_std,
                warm_start: plan.warm_start,
                method: plan.method,
                latents: plan.latents,
                backend: plan.backend,
                threads: plan.threads,
                pipeline: plan.pipeline,
                deadline_fraction: plan.deadline_fraction,
            },
            trust: raw.trust,
            realtime: raw.realtime,
            simulator: raw.simulator,
            episode_ticks: raw.episode_ticks,
            text,
            sha256,
        })
    }
}
