//! What a LeRobotDataset says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::DatasetError;
use crate::lerobot::columns::{self, Rows};
use crate::lerobot::layout;

/// `meta/info.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) codebase_version: String,
    #[serde(default)]
    pub(super) robot_type: Option<String>,
    pub(super) fps: f64,
    pub(super) features: BTreeMap<String, Feature>,
}

/// A column, or what videos stand for.
#[derive(Debug, Deserialize)]
pub(super) struct Feature {
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    #[serde(default)]
    pub(super) names: serde_json::Value,
}

impl Feature {
    pub(super) fn is_camera(&self) -> bool {
        matches!(self.dtype.as_str(), "image" | "video")
    }

    /// Names in a list, or in a list under one key, as LeRobot's older recorders wrote them.
    pub(super) fn element_names(&self) -> Vec<String> {
        let list = match &self.names {
            serde_json::Value::Object(map) => map.values().next(),
            other => Some(other),
        };
        let names = list.and_then(|list| list.as_array()).into_iter().flatten();
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}

/// Tasks by number. The text is a column of its own, or pandas' unnamed index.
pub(super) fn tasks(path: &Path) -> Result<BTreeMap<i64, String>, DatasetError> {
    let mut tasks = BTreeMap::new();
    for batch in columns::open(path, None)? {
        let batch = batch.map_err(|error| DatasetError::parquet(path, error.into()))?;
        let rows = Rows { path, batch };
        let text = if rows.has("task") {
            "task"
        } else {
            "__index_level_0__"
        };
        for row in 0..rows.len() {
            tasks.insert(rows.integer(layout::TASK, row)?, rows.text(text, row)?);
        }
    }
    Ok(tasks)
}

/// Entries of a folder, in order.
pub(in crate::lerobot) fn sorted(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let refuse = |error| DatasetError::io(dir, "cannot list", error);
    let mut found = std::fs::read_dir(dir)
        .map_err(refuse)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refuse)?;
    found.sort();
    Ok(found)
}

/// A JSON file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let text = std::fs::read_to_string(path).map_err(|error| DatasetError::io(path, "cannot read", error))?;
    serde_json::from_str(&text).map_err(|error| {
        let remedy = "give the folder of a LeRobotDataset, and fetch it again if it is one";
        DatasetError::field(path, format!("line {}", error.line()), error.to_string(), remedy)
    })
}
