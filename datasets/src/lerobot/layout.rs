//! Names of files, features and columns.

use std::path::{Path, PathBuf};

use episode::EpisodeInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::DatasetError;

/// The format.
pub(super) const VERSION: &str = "v3.0";

pub(super) const STATE: &str = "observation.state";
pub(super) const VELOCITY: &str = "observation.velocity";
pub(super) const CAMERA: &str = "observation.images.camera";
pub(super) const ACTION: &str = "action";
pub(super) const NEXT_REWARD: &str = "next.reward";
pub(super) const NEXT_DONE: &str = "next.done";
pub(super) const SENT_ACTION: &str = "armillary.action";
pub(super) const REWARD: &str = "armillary.reward";
pub(super) const SENT: &str = "armillary.sent";
pub(super) const EPISODE: &str = "episode_index";
pub(super) const FRAME: &str = "frame_index";
pub(super) const TASK: &str = "task_index";

/// The folder of the episodes table.
pub(super) const EPISODES: &str = "meta/episodes";

/// Where videos are, if a data set does not say otherwise.
pub(super) const VIDEO_PATH: &str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";

/// The time of a row, in seconds from the beginning of its episode.
pub(super) const TIME: &str = "timestamp";

/// The place of a row among all rows.
pub(super) const INDEX: &str = "index";

/// Files a folder may hold, LeRobot's default.
pub(super) const CHUNK_FILES: usize = 1000;

/// A data file is closed when it is larger, LeRobot's default.
pub(super) const FILE_BYTES: usize = 100 << 20;

pub(super) fn info_path(root: &Path) -> PathBuf {
    root.join("meta/info.json")
}

pub(super) fn own_path(root: &Path) -> PathBuf {
    root.join("meta/armillary.json")
}

pub(super) fn robot_path(root: &Path) -> PathBuf {
    root.join("meta/robot.ron")
}

pub(super) fn tasks_path(root: &Path) -> PathBuf {
    root.join("meta/tasks.parquet")
}

pub(super) fn episodes_path(root: &Path) -> PathBuf {
    root.join(EPISODES).join("chunk-000/file-000.parquet")
}

/// The name of a video of `camera` by the `template` of the data set's `video_path`.
///
/// # Errors
/// [`DatasetError::Field`] if the template has a field in braces that is not known.
pub(super) fn video_name(
    root: &Path,
    template: &str,
    camera: &str,
    chunk: i64,
    file: i64,
) -> Result<String, DatasetError> {
    let mut name = template.to_owned();
    for (field, value) in [
        ("{video_key}", camera.to_owned()),
        ("{chunk_index:03d}", format!("{chunk:03}")),
        ("{file_index:03d}", format!("{file:03}")),
        ("{chunk_index}", chunk.to_string()),
        ("{file_index}", file.to_string()),
    ] {
        name = name.replace(field, &value);
    }
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    let problem = if name.contains(['{', '}']) {
        format!("is {template:?}, which has a field in braces that is not known")
    } else if !Path::new(&name).components().all(plain) {
        format!("is {template:?}, which leads out of the data set to {name:?}")
    } else {
        return Ok(name);
    };
    let remedy = format!("write {VIDEO_PATH:?} and name the files so");
    Err(DatasetError::field(
        &info_path(root),
        "video_path",
        problem,
        remedy,
    ))
}

/// A data file by its chunk and its number in it.
pub(super) fn data_path(root: &Path, chunk: i64, file: i64) -> PathBuf {
    root.join(format!("data/chunk-{chunk:03}/file-{file:03}.parquet"))
}

/// A data file of an export by its number among all.
pub(super) fn numbered_data_path(root: &Path, file: usize) -> PathBuf {
    data_path(root, (file / CHUNK_FILES) as i64, (file % CHUNK_FILES) as i64)
}

/// `meta/armillary.json`: what the logs said of themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Own {
    pub(super) robot: String,
    /// Of each episode.
    pub(super) policies: Vec<String>,
    pub(super) pipeline: String,
    pub(super) period_s: f32,
    pub(super) joint_names: Vec<String>,
    pub(super) reward_source: String,
    pub(super) config_sha256: String,
    pub(super) joint_calibration_sha256: Option<String>,
    #[serde(default)]
    pub(super) picture_sha256: Option<String>,
    #[serde(default)]
    pub(super) picture_delay_ticks: u32,
    pub(super) software: String,
}

impl Own {
    pub(super) fn of(info: &EpisodeInfo) -> Self {
        Self {
            robot: info.robot.clone(),
            policies: Vec::new(),
            pipeline: info.pipeline.clone(),
            period_s: info.period_s,
            joint_names: info.joint_names.clone(),
            reward_source: info.reward_source.clone(),
            config_sha256: info.config_sha256.clone(),
            joint_calibration_sha256: info.joint_calibration_sha256.clone(),
            picture_sha256: info.picture_sha256.clone(),
            picture_delay_ticks: info.picture_delay_ticks,
            software: info.software.clone(),
        }
    }

    pub(super) fn info(self) -> EpisodeInfo {
        EpisodeInfo {
            robot: self.robot,
            pipeline: self.pipeline,
            period_s: self.period_s,
            joint_names: self.joint_names,
            reward_source: self.reward_source,
            config_sha256: self.config_sha256,
            joint_calibration_sha256: self.joint_calibration_sha256,
            picture_sha256: self.picture_sha256,
            picture_delay_ticks: self.picture_delay_ticks,
            software: self.software,
            ..EpisodeInfo::default()
        }
    }
}

/// The features of an export with pictures of `side` x `side` pixels, as `info.json` has them; those of rewards only where a reward is given.
pub(super) fn features(joints: &[String], side: usize, rewarded: bool) -> Map<String, Value> {
    let count = joints.len();
    let vector = json!({"dtype": "float32", "shape": [count], "names": joints});
    let one = |dtype: &str| json!({"dtype": dtype, "shape": [1], "names": null});
    let picture =
        json!({"dtype": "image", "shape": [side, side, 3], "names": ["height", "width", "channels"]});
    [
        (STATE, vector.clone()),
        (VELOCITY, vector.clone()),
        (CAMERA, picture),
        (ACTION, vector.clone()),
        (NEXT_REWARD, one("float32")),
        (NEXT_DONE, one("bool")),
        (SENT_ACTION, vector),
        (REWARD, one("float32")),
        (SENT, one("bool")),
        (TIME, one("float32")),
        (FRAME, one("int64")),
        (EPISODE, one("int64")),
        (INDEX, one("int64")),
        (TASK, one("int64")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .filter(|(name, _)| rewarded || ![NEXT_REWARD, REWARD].contains(&name.as_str()))
    .collect()
}

/// Frames a second: a whole number where it is one, as LeRobot's own are.
fn fps(period_s: f32) -> Value {
    let fps = 1.0 / f64::from(period_s);
    if (fps - fps.round()).abs() < 1e-4 * fps {
        json!(fps.round() as u64)
    } else {
        // A period has seven digits.
        json!((fps * 1e4).round() / 1e4)
    }
}

/// `info.json` of an export.
pub(super) fn info(
    own: &Own,
    side: usize,
    episodes: usize,
    frames: u64,
    tasks: usize,
    rewarded: bool,
) -> Value {
    json!({
        "codebase_version": VERSION,
        "robot_type": own.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": FILE_BYTES >> 20,
        "video_files_size_in_mb": 200,
        "fps": fps(own.period_s),
        "splits": {"train": format!("0:{episodes}")},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": null,
        "features": features(&own.joint_names, side, rewarded),
    })
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DatasetError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| DatasetError::io(path, "cannot write", error.into()))?;
    std::fs::write(path, text).map_err(|error| DatasetError::io(path, "cannot write", error))
}
