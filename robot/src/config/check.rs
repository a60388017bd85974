//! From a robot file as typed to a robot that can be driven.

use std::path::Path;

use ron::value::RawValue;

use super::device::{DeviceText, SimulatedArm};
use super::raw::{self, Method};
use super::units::{self, Doubt};
use super::vigilance;
use super::{Config, ConfigError, HORIZON_MAX, PLANNER_THREADS_MAX, Park, Planner};
use crate::{ActionMode, Chain, Envelope, Frame, Joint, Link, MAX_JOINTS};

/// Shortest and longest axis that has a direction in single precision.
const AXIS_MIN: f32 = 1e-6;
const AXIS_MAX: f32 = 1e6;

/// Longest time that a board may take to boot, in seconds.
const BOOT_MAX_S: f32 = 60.0;

/// Whether lengths and angles are looked through for other units, and the trust monitor's settings for what switches it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    /// A person wrote them.
    Checked,
    /// They are taken as they are.
    Believed,
}

/// Checks one file.
pub(super) struct Checker<'a> {
    pub(super) path: &'a Path,
    pub(super) units: Units,
}

impl Checker<'_> {
    pub(super) fn refuse(
        &self,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Field {
            path: self.path.to_owned(),
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    fn doubt(&self, prefix: &str, doubt: Doubt) -> ConfigError {
        self.refuse(format!("{prefix}{}", doubt.field), doubt.problem, doubt.remedy)
    }

    /// Refuses NaN and infinities by their own name.
    pub(super) fn finite(&self, field: &str, values: &[f32]) -> Result<(), ConfigError> {
        let Some(value) = values.iter().find(|value| !value.is_finite()) else {
            return Ok(());
        };
        let problem = if values.len() == 1 {
            format!("is {value}, which is no finite number")
        } else {
            format!("holds {value}, which is no finite number")
        };
        Err(self.refuse(field, problem, "write a number"))
    }

    pub(super) fn within(&self, field: &str, value: f32, low: f32, high: f32) -> Result<f32, ConfigError> {
        self.finite(field, &[value])?;
        if value >= low && value <= high {
            Ok(value)
        } else {
            let problem = format!("{value} is outside {low} to {high}");
            Err(self.refuse(field, problem, "choose a value in that range"))
        }
    }

    pub(super) fn count(
        &self,
        field: &str,
        value: usize,
        low: usize,
        high: usize,
    ) -> Result<usize, ConfigError> {
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            let problem = format!("{value} is outside {low} to {high}");
            Err(self.refuse(field, problem, "choose a value in that range"))
        }
    }

    fn park(&self, raw: raw::RawPark, envelope: &Envelope) -> Result<Park, ConfigError> {
        let joints = envelope.joints();
        if envelope.mode() != ActionMode::Velocity {
            let problem = "is there, and this robot's actions are controls and no joint speeds";
            return Err(self.refuse("park", problem, "remove it: only an arm can be laid down"));
        }
        self.count("park.pose_rad", raw.pose_rad.len(), joints.len(), joints.len())?;
        self.finite("park.pose_rad", &raw.pose_rad)?;
        for (joint, rad) in joints.iter().zip(&raw.pose_rad) {
            if !(joint.position_min_rad..=joint.position_max_rad).contains(rad) {
                let problem = format!("{rad} is outside of what `{}` can reach", joint.name);
                let remedy = "write one angle a joint, base first, within its `position_rad`";
                return Err(self.refuse("park.pose_rad", problem, remedy));
            }
        }
        if !envelope.in_workspace(&raw.pose_rad) {
            let problem = "the tip would be outside of the workspace box";
            let remedy = "name a pose within `workspace_m`, since the arm is led there within it";
            return Err(self.refuse("park.pose_rad", problem, remedy));
        }
        let slowest = joints
            .iter()
            .map(|joint| joint.velocity_max_rad_s)
            .fold(f32::INFINITY, f32::min);
        self.within("park.speed_rad_s", raw.speed_rad_s, 1e-3, slowest)?;
        Ok(Park {
            pose_rad: raw.pose_rad.iter().copied().collect(),
            speed_rad_s: raw.speed_rad_s,
        })
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
            self.finite(&field("position_rad"), &[low, high])?;
            self.finite(&field("velocity_max_rad_s"), &[joint.velocity_max_rad_s])?;
            self.finite(
                &field("acceleration_max_rad_s2"),
                &[joint.acceleration_max_rad_s2],
            )?;
            self.finite(&field("home_rad"), &[joint.home_rad])?;
            if low >= high {
                let problem = format!("the lower limit {low} is not below the upper limit {high}");
                return Err(self.refuse(field("position_rad"), problem, "write (lower, upper) in radians"));
            }
            if mode == ActionMode::Velocity && self.units == Units::Checked {
                units::check_joint(joint).map_err(|doubt| self.doubt(&field(""), doubt))?;
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
        let check_lengths = self.units == Units::Checked && !raw.metres_checked;
        self.links(&raw.links, raw.tip_m, check_lengths)?;
        let carried = self.tip_joint(raw.tip_joint.as_deref(), &joints)?;
        let no_direction = || self.refuse("links", "an axis has no direction", "give every link a direction");
        // The others' directions are of no consequence to the tip, and wrong all the same.
        Chain::new(&raw.links, raw.tip_m).ok_or_else(no_direction)?;
        let chain = Chain::new(&raw.links[..=carried], raw.tip_m).ok_or_else(no_direction)?;
        let (low, high) = (workspace_m.min, workspace_m.max);
        self.finite("workspace_m.min", &low)?;
        self.finite("workspace_m.max", &high)?;
        if check_lengths {
            for corner in [low, high] {
                units::check_corner(corner).map_err(|doubt| self.doubt("", doubt))?;
            }
        }
        for axis in 0..3 {
            if low[axis] >= high[axis] {
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

    /// The index of the joint whose link carries the tip.
    fn tip_joint(&self, name: Option<&str>, joints: &[Joint]) -> Result<usize, ConfigError> {
        let Some(name) = name else {
            return Ok(joints.len() - 1);
        };
        joints.iter().position(|joint| joint.name == name).ok_or_else(|| {
            let names: Vec<_> = joints.iter().map(|joint| joint.name.as_str()).collect();
            let problem = format!("there is no joint `{name}`");
            let remedy = format!(
                "name one of {}, or leave the field out for the last",
                names.join(", ")
            );
            self.refuse("tip_joint", problem, &remedy)
        })
    }

    fn links(&self, links: &[Link], tip_m: [f32; 3], check_lengths: bool) -> Result<(), ConfigError> {
        for (index, link) in links.iter().enumerate() {
            let prefix = format!("links[{index}].");
            let axis_field = format!("{prefix}axis");
            self.finite(&axis_field, &link.axis)?;
            let [x, y, z] = link.axis;
            let length = link
                .axis
                .iter()
                .map(|side| f64::from(*side).powi(2))
                .sum::<f64>()
                .sqrt() as f32;
            if !(AXIS_MIN..=AXIS_MAX).contains(&length) {
                let problem = format!("({x:?}, {y:?}, {z:?}) gives no direction");
                return Err(self.refuse(
                    axis_field,
                    problem,
                    "give every link a direction, such as (0.0, 0.0, 1.0)",
                ));
            }
            self.finite(&format!("{prefix}origin_m"), &link.origin_m)?;
            if check_lengths {
                units::check_length("origin_m", link.origin_m).map_err(|doubt| self.doubt(&prefix, doubt))?;
            }
        }
        self.finite("tip_m", &tip_m)?;
        if check_lengths {
            units::check_length("tip_m", tip_m).map_err(|doubt| self.doubt("", doubt))?;
        }
        Ok(())
    }

    /// Refuses an arm whose trust monitor or watchdog would be off in effect, or warns of it where the text is believed.
    fn vigilance(&self, raw: &raw::RawConfig) -> Result<(), ConfigError> {
        if raw.action == ActionMode::Absolute {
            return Ok(());
        }
        match (vigilance::check(raw), self.units) {
            (Ok(()), _) => Ok(()),
            (Err(lax), Units::Checked) => Err(self.refuse(lax.field, lax.problem, lax.remedy)),
            (Err(lax), Units::Believed) => {
                log::warn!("{}: field `{}`: {}", self.path.display(), lax.field, lax.problem);
                Ok(())
            }
        }
    }

    /// The robot that `raw` describes; `text` is the file it was read from.
    pub(super) fn check(&self, raw: raw::RawConfig, text: String) -> Result<Config, ConfigError> {
        self.within("period_s", raw.period_s, 0.005, 1.0)?;
        // First, so that the message names the useful range, also for what is no number.
        self.vigilance(&raw)?;
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
        self.delay(&raw)?;
        if !Frame::allows(raw.capture.side) {
            let problem = format!("{} is not {}", raw.capture.side, Frame::SIDES);
            return Err(self.refuse(
                "capture.side",
                problem,
                "choose such a side; without one it is 64",
            ));
        }
        self.within("link.watchdog_periods", raw.link.watchdog_periods, 1.0, 100.0)?;
        self.within("link.torque_grace_s", raw.link.torque_grace_s, 0.0, 60.0)?;
        self.within("link.boot_s", raw.link.boot_s, 0.0, BOOT_MAX_S)?;
        self.count("link.baud", raw.link.baud as usize, 1_200, 10_000_000)?;
        self.count("episode_ticks", raw.episode_ticks as usize, 1, 1_000_000)?;
        self.within("trust.kl_max_nats", raw.trust.kl_max_nats, 0.0, f32::MAX)?;
        self.within("trust.track_max_rad", raw.trust.track_max_rad, 1e-3, 10.0)?;
        self.within(
            "trust.light_change_max",
            raw.trust.light_change_max,
            0.0,
            f32::MAX,
        )?;
        for (field, priority) in [
            ("realtime.tick_priority", raw.realtime.tick_priority),
            ("realtime.capture_priority", raw.realtime.capture_priority),
            ("realtime.bus_priority", raw.realtime.bus_priority),
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
        let device = |field, value: &Option<Box<RawValue>>| {
            value.as_ref().map(|value| DeviceText {
                path: self.path.to_owned(),
                field,
                ron: value.get_ron().to_owned(),
            })
        };
        let camera = device("camera", &raw.camera);
        let view = device("capture.view", &raw.capture.view);
        let lens = device("capture.lens", &raw.capture.lens);
        let (arm, simulated) = match device("arm", &raw.arm) {
            Some(arm) if arm.is("simulated") => {
                let SimulatedArm::Simulated(simulated) = arm.read()?;
                (None, Some(simulated))
            }
            arm => (arm, None),
        };
        let simulator = match (raw.simulator, simulated) {
            (Some(_), Some(_)) => {
                let problem = "is there beside `arm: simulated(..)`, which says the same";
                return Err(self.refuse("simulator", problem, "remove one of the two"));
            }
            (written, simulated) => written.or(simulated),
        };
        if let Some(simulator) = &simulator {
            self.count("simulator.substeps", simulator.substeps as usize, 1, 1_000)?;
            self.within("simulator.camera_delay_s", simulator.camera_delay_s, 0.0, 10.0)?;
        }
        let park = raw.park.map(|park| self.park(park, &envelope)).transpose()?;
        let reward = self.reward(raw.reward, &envelope)?;
        let travels = self.travels(&raw.joints)?;
        let [joints_file, camera_file] = self.calibration_files(raw.calibration.as_ref())?;
        let sha256 = super::text_sha256(text.as_bytes());
        Ok(Config {
            name: raw.name,
            period_s: raw.period_s,
            envelope,
            frame_side: raw.capture.side,
            frame_max_age_s: raw.capture.max_age_s,
            camera_delay_s: raw.capture.delay_s,
            frame_gap_ticks: raw.capture.gap_ticks,
            baud: raw.link.baud,
            boot_s: raw.link.boot_s,
            watchdog_periods: raw.link.watchdog_periods,
            torque_grace_s: raw.link.torque_grace_s,
            park,
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
            simulator,
            view,
            lens,
            keep_pictures: raw.capture.keep_pictures,
            arm,
            camera,
            reward,
            travels,
            joints_file,
            camera_file,
            episode_ticks: raw.episode_ticks,
            text,
            sha256,
        })
    }
}
