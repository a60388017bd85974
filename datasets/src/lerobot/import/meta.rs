//! What a LeRobotDataset says of itself: `meta/info.json` and `meta/tasks.parquet`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::DatasetError;
use crate::lerobot::columns;
use crate::lerobot::{json, layout};

/// `meta/info.json`.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) robot_type: Option<String>,
    /// Rows a second.
    pub(super) fps: f64,
    pub(super) features: BTreeMap<String, Feature>,
    pub(super) total_episodes: Option<u64>,
    pub(super) total_frames: Option<u64>,
    pub(super) total_tasks: Option<u64>,
    /// Where videos are, with fields in braces.
    pub(super) video_path: String,
}

/// A column, or what videos stand for.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
    pub(super) names: Value,
    /// What is said of a video, under `info`.
    pub(super) info: Value,
}

/// The slowest and the fastest data that a robot file can describe, in rows a second.
const FPS: std::ops::RangeInclusive<f64> = 1.0..=200.0;

impl Info {
    pub(super) fn read(root: &Path) -> Result<Self, DatasetError> {
        let path = &layout::info_path(root);
        let value = json::read(path)?;
        let of = |field: &str| value.get(field).filter(|value| !value.is_null());
        let refuse =
            |field: &str, problem: String, remedy: &str| DatasetError::field(path, field, problem, remedy);
        let missing = |field: &str| refuse(field, "is missing".to_owned(), "fetch the data set again");
        let version = of("codebase_version").ok_or_else(|| missing("codebase_version"))?;
        if version.as_str() != Some(layout::VERSION) {
            let remedy = "convert it with LeRobot's `convert_dataset_v21_to_v30`";
            let problem = format!("is {version}, not \"{}\"", layout::VERSION);
            return Err(refuse("codebase_version", problem, remedy));
        }
        let fps = of("fps").ok_or_else(|| missing("fps"))?;
        let Some(rate) = fps.as_f64().filter(|rate| FPS.contains(rate)) else {
            let problem = format!(
                "is {fps}, which is no number from {} to {}",
                FPS.start(),
                FPS.end()
            );
            return Err(refuse("fps", problem, "write the rows a second"));
        };
        let total = |field: &str| match of(field) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| {
                let problem = format!("is {value}, which is no whole number from 0 on");
                refuse(field, problem, "fetch the data set again")
            }),
        };
        let Some(Value::Object(named)) = of("features") else {
            return Err(refuse(
                "features",
                "is missing, or is no table of features".to_owned(),
                "fetch the data set again",
            ));
        };
        let features = named
            .iter()
            .map(|(name, feature)| Ok((name.clone(), Feature::read(path, name, feature)?)))
            .collect::<Result<_, DatasetError>>()?;
        Ok(Self {
            robot_type: of("robot_type")
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            fps: rate,
            features,
            total_episodes: total("total_episodes")?,
            total_frames: total("total_frames")?,
            total_tasks: total("total_tasks")?,
            video_path: of("video_path")
                .and_then(Value::as_str)
                .unwrap_or(layout::VIDEO_PATH)
                .to_owned(),
        })
    }
}

impl Feature {
    fn read(path: &Path, name: &str, value: &Value) -> Result<Self, DatasetError> {
        let refuse = |field: &str, problem: &str| {
            let field = format!("features.{name}.{field}");
            DatasetError::field(path, field, problem, "fetch the data set again")
        };
        let dtype = value.get("dtype").and_then(Value::as_str);
        let shape = value.get("shape").and_then(Value::as_array);
        let shape = shape.map(|sizes| sizes.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
        let of = |field: &str| value.get(field).cloned().unwrap_or_default();
        Ok(Self {
            dtype: dtype
                .ok_or_else(|| refuse("dtype", "is missing, or is no text"))?
                .to_owned(),
            shape: shape
                .flatten()
                .ok_or_else(|| refuse("shape", "is missing, or is no list of whole numbers"))?,
            names: of("names"),
            // Older recorders wrote `video_info`.
            info: match of("info") {
                Value::Null => of("video_info"),
                info => info,
            },
        })
    }

    /// The names of the elements of a vector. They stand in a list, in a list under one key, as LeRobot's older recorders wrote
    /// them, or are the keys of a table of places.
    pub(super) fn element_names(&self) -> Vec<String> {
        let texts = |list: &Vec<Value>| -> Vec<String> {
            list.iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        match &self.names {
            Value::Array(list) => texts(list),
            Value::Object(table) => {
                let places = table.iter().map(|(name, place)| Some((place.as_u64()?, name)));
                match places.collect::<Option<BTreeMap<_, _>>>() {
                    Some(places) => places.into_values().cloned().collect(),
                    None => table
                        .values()
                        .filter_map(Value::as_array)
                        .flat_map(texts)
                        .collect(),
                }
            }
            _ => Vec::new(),
        }
    }
}

/// Why the state of a data set is not the position of each joint that actions are for; `None` if it is.
pub(super) fn state_problem(info: &Info, joints: usize) -> Option<String> {
    let Some(state) = info.features.get(layout::STATE) else {
        return Some(format!("there is no {}", layout::STATE));
    };
    if state.shape != [joints as u64] {
        let (name, shape) = (layout::STATE, &state.shape);
        return Some(format!(
            "{name} has the shape {shape:?}, not a number for each of {joints} joints"
        ));
    }
    let action = info
        .features
        .get(layout::ACTION)
        .map(Feature::element_names)
        .unwrap_or_default();
    let names = state.element_names();
    let differ = !names.is_empty() && !action.is_empty() && names != action;
    differ.then(|| format!("{} is of {names:?}, action is of {action:?}", layout::STATE))
}

/// The names of the tasks by their numbers. The name is a column of its own, or pandas' index without a name.
pub(super) fn tasks(path: &Path) -> Result<BTreeMap<i64, String>, DatasetError> {
    let mut tasks = BTreeMap::new();
    for rows in columns::batches(path, None)? {
        let rows = rows?;
        let name = if rows.has("task") {
            "task"
        } else {
            "__index_level_0__"
        };
        let texts = rows.texts(name)?;
        for (number, text) in rows.integers(layout::TASK)?.into_iter().zip(texts) {
            let refuse = |problem: String| {
                DatasetError::field(path, layout::TASK, problem, "fetch the data set again")
            };
            let number = number.ok_or_else(|| refuse(format!("task {text:?} has no number")))?;
            if let Some(other) = tasks.insert(number, text.clone())
                && other != text
            {
                return Err(refuse(format!("{number} is {other:?} and {text:?}")));
            }
        }
    }
    Ok(tasks)
}
