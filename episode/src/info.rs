//! What an episode is: robot, task, seeds, policy and the identity of everything that shaped it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use robot::MAX_JOINTS;

use crate::EpisodeError;

/// Version of the log format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the metadata record that holds [`EpisodeInfo`].
pub const INFO_RECORD: &str = "armillary.episode";

/// What [`EpisodeInfo::guard_rules`] is where a log does not say it.
const FIRST_RULES: u32 = 1;

/// Control periods that a log may have, in seconds.
const PERIOD_S: RangeInclusive<f32> = 1e-4..=3600.0;

/// Description of an episode, stored first in its log.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeInfo {
    /// Must be [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The robot file's name for the robot.
    pub robot: String,
    /// What the arm was to do.
    pub task: String,
    /// Seed of the episode's start pose and target.
    pub episode_seed: u64,
    /// Who chose the actions: `random`, `planner` (with its noise), `hold`; of imported data `lerobot` or `npz`, or who it says.
    pub policy: String,
    /// `next_tick` or `immediate`.
    pub pipeline: String,
    /// Seed of the planner's noise.
    pub planner_seed: u64,
    /// Control period in seconds.
    pub period_s: f32,
    /// Joints in the order of every joint vector in the log.
    pub joint_names: Vec<String>,
    /// Where the reward came from: `simulator`; `camera`, beside each picture of a live camera; of imported data the name of the
    /// field, or `none`: then no tick has a reward, whatever number earlier versions wrote in its place.
    pub reward_source: String,
    /// SHA-256 of the robot file, in hexadecimal.
    pub config_sha256: String,
    /// SHA-256 of the joint mapping: order, names and action scale. Logs of one training set share it.
    pub joint_calibration_sha256: Option<String>,
    /// The rules that the guard went by, by their number: 1 in a world that waits, and in logs before there were others.
    pub guard_rules: u32,
    /// SHA-256 of the table that made the model's images of a camera's pictures; none where pictures are the model's images already.
    pub picture_sha256: Option<String>,
    /// By how many control periods pictures are late: the picture of a row shows the world at the edge so many rows before.
    pub picture_delay_ticks: u32,
    /// SHA-256 of the model bundle's manifest, if a model took part.
    pub bundle_sha256: Option<String>,
    /// Wall clock at the first edge, in nanoseconds since 1970; 0 in lockstep, so that files are reproducible.
    pub started_unix_ns: u64,
    /// Program and version that wrote the log.
    pub software: String,
}

impl Default for EpisodeInfo {
    /// Empty, in the present format.
    fn default() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            robot: String::new(),
            task: String::new(),
            episode_seed: 0,
            policy: String::new(),
            pipeline: String::new(),
            planner_seed: 0,
            period_s: 0.0,
            joint_names: Vec::new(),
            reward_source: String::new(),
            config_sha256: String::new(),
            guard_rules: FIRST_RULES,
            joint_calibration_sha256: None,
            picture_sha256: None,
            picture_delay_ticks: 0,
            bundle_sha256: None,
            started_unix_ns: 0,
            software: String::new(),
        }
    }
}

/// What [`EpisodeInfo::reward_source`] says of data without rewards.
pub const NO_REWARD: &str = "none";

/// The key of [`EpisodeInfo::picture_delay_ticks`], which is absent where pictures are not late.
const PICTURE_DELAY: &str = "picture_delay_ticks";

impl EpisodeInfo {
    /// As the string map of an MCAP metadata record. Numbers are decimal, the joint names a JSON list.
    pub(crate) fn to_map(&self) -> BTreeMap<String, String> {
        let joint_names = serde_json::Value::from(self.joint_names.clone()).to_string();
        let mut map: BTreeMap<String, String> = [
            ("format_version", self.format_version.to_string()),
            ("robot", self.robot.clone()),
            ("task", self.task.clone()),
            ("episode_seed", self.episode_seed.to_string()),
            ("policy", self.policy.clone()),
            ("pipeline", self.pipeline.clone()),
            ("planner_seed", self.planner_seed.to_string()),
            ("period_s", self.period_s.to_string()),
            ("joint_names", joint_names),
            ("reward_source", self.reward_source.clone()),
            ("config_sha256", self.config_sha256.clone()),
            ("started_unix_ns", self.started_unix_ns.to_string()),
            ("software", self.software.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        // Logs under the first rules have the bytes of before there were others.
        if self.guard_rules != FIRST_RULES {
            map.insert("guard_rules".to_owned(), self.guard_rules.to_string());
        }
        if self.picture_delay_ticks != 0 {
            map.insert(PICTURE_DELAY.to_owned(), self.picture_delay_ticks.to_string());
        }
        for (key, value) in [
            ("bundle_sha256", &self.bundle_sha256),
            ("joint_calibration_sha256", &self.joint_calibration_sha256),
            ("picture_sha256", &self.picture_sha256),
        ] {
            if let Some(sha256) = value {
                map.insert(key.to_owned(), sha256.clone());
            }
        }
        map
    }

    /// Reads the map back; `path` is for messages.
    pub(crate) fn from_map(path: &Path, map: &BTreeMap<String, String>) -> Result<Self, EpisodeError> {
        let fields = Fields { path, map };
        let found = fields.text("format_version")?;
        // First of all: another version may lack or rename any other field.
        if found != FORMAT_VERSION.to_string() {
            return Err(EpisodeError::Version {
                path: path.to_owned(),
                found,
                expected: FORMAT_VERSION,
            });
        }
        let joint_names = fields.text("joint_names")?;
        let joint_names = serde_json::from_str(&joint_names)
            .map_err(|error| fields.refuse("joint_names", &joint_names, &error))?;
        let info = Self {
            format_version: FORMAT_VERSION,
            robot: fields.text("robot")?,
            task: fields.text("task")?,
            episode_seed: fields.number("episode_seed")?,
            policy: fields.text("policy")?,
            pipeline: fields.text("pipeline")?,
            planner_seed: fields.number("planner_seed")?,
            period_s: fields.number("period_s")?,
            joint_names,
            reward_source: fields.text("reward_source")?,
            config_sha256: fields.text("config_sha256")?,
            guard_rules: if map.contains_key("guard_rules") {
                fields.number("guard_rules")?
            } else {
                FIRST_RULES
            },
            joint_calibration_sha256: map.get("joint_calibration_sha256").cloned(),
            picture_sha256: map.get("picture_sha256").cloned(),
            picture_delay_ticks: if map.contains_key(PICTURE_DELAY) {
                fields.number(PICTURE_DELAY)?
            } else {
                0
            },
            bundle_sha256: map.get("bundle_sha256").cloned(),
            started_unix_ns: fields.number("started_unix_ns")?,
            software: fields.text("software")?,
        };
        match unsound(&info) {
            Ok(()) => Ok(info),
            Err((key, value, problem)) => Err(fields.refuse(key, &value, &problem)),
        }
    }
}

/// What is wrong with a field of the description, if anything is.
fn unsound(info: &EpisodeInfo) -> Result<(), (&'static str, String, String)> {
    if !PERIOD_S.contains(&info.period_s) {
        return Err((
            "period_s",
            info.period_s.to_string(),
            format!(
                "a control period is from {} s to {} s",
                PERIOD_S.start(),
                PERIOD_S.end()
            ),
        ));
    }
    let joints = info.joint_names.len();
    if !(1..=MAX_JOINTS).contains(&joints) {
        return Err((
            "joint_names",
            format!("{:?}", info.joint_names),
            format!("{joints} joints; from 1 to {MAX_JOINTS} are possible"),
        ));
    }
    Ok(())
}

struct Fields<'a> {
    path: &'a Path,
    map: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    fn refuse(&self, key: &str, value: &str, error: &dyn Display) -> EpisodeError {
        let problem = format!("its {INFO_RECORD} record has `{key}` = `{value}`: {error}");
        EpisodeError::NotALog {
            path: self.path.to_owned(),
            problem,
        }
    }

    fn text(&self, key: &str) -> Result<String, EpisodeError> {
        self.map.get(key).cloned().ok_or_else(|| EpisodeError::NotALog {
            path: self.path.to_owned(),
            problem: format!("its {INFO_RECORD} record lacks `{key}`"),
        })
    }

    fn number<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, EpisodeError> {
        let text = self.text(key)?;
        text.parse().map_err(|error| self.refuse(key, &text, &error))
    }
}
