//! Which logs are trained on, and whether they can be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use episode::{Episode, TrainingEpisode};

use super::DatasetError;
use crate::checkpoint::RobotOfLogs;

/// Of several attempts at an episode (`episode-N.mcap`, `episode-N-2.mcap`, ...) the whole one, or else the longest: what
/// was cut off and recorded again is not trained on twice.
pub(super) fn one_an_episode(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut attempts: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let first = match stem
            .strip_prefix("episode-")
            .and_then(|rest| rest.split_once('-'))
        {
            Some((number, _)) => path.with_file_name(format!("episode-{number}.mcap")),
            None => path.clone(),
        };
        attempts.entry(first).or_default().push(path);
    }
    let mut chosen = Vec::with_capacity(attempts.len());
    for paths in attempts.into_values() {
        let mut best: Option<((bool, usize), PathBuf)> = None;
        let alone = paths.len() == 1;
        for path in paths {
            let worth = if alone {
                (false, 0)
            } else {
                let log = episode::read_episode(&path)?;
                (log.complete, log.ticks.len())
            };
            if best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, path));
            }
        }
        chosen.extend(best.map(|(_, path)| path));
    }
    Ok(chosen)
}

pub(super) fn same_robot(
    first: &Path,
    expected: &RobotOfLogs,
    path: &Path,
    found: &RobotOfLogs,
) -> Result<(), DatasetError> {
    let fields = |robot: &RobotOfLogs| {
        [
            ("robot", format!("{:?}", robot.name)),
            ("task", format!("{:?}", robot.task)),
            (
                "joint_calibration_sha256",
                format!("{:?}", robot.joint_calibration_sha256),
            ),
            ("joint_names", format!("{:?}", robot.joint_names)),
            ("period_s", robot.period_s.to_string()),
        ]
    };
    for ((field, found), (_, expected)) in fields(found).into_iter().zip(fields(expected)) {
        if found != expected {
            return Err(DatasetError::Mixed {
                path: path.to_owned(),
                field,
                found,
                first: first.to_owned(),
                expected,
            });
        }
    }
    Ok(())
}

/// Whether rewards and actions of a stretch are numbers; joints are looked at if a model is to see them.
pub(super) fn finite(path: &Path, stretch: &TrainingEpisode) -> Result<(), DatasetError> {
    let width = stretch.action_dim.max(1);
    for (field, values, width) in [
        ("reward", &stretch.rewards, 1),
        ("action", &stretch.actions, width),
    ] {
        all_finite(path, field, values, width)?;
    }
    Ok(())
}

/// Whether all `values`, `width` a step, are numbers.
pub(super) fn all_finite(
    path: &Path,
    field: &'static str,
    values: &[f32],
    width: usize,
) -> Result<(), DatasetError> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((index, &value)) => Err(DatasetError::NotFinite {
            path: path.to_owned(),
            field,
            step: index / width,
            value,
        }),
    }
}

/// Whether the joints of a log were measured: those that were not are what was asked for in this row or the one before.
pub(super) fn measured(log: &Episode) -> bool {
    log.ticks.windows(2).any(|pair| {
        let [before, now] = [&pair[0], &pair[1]];
        let position = &now.capture.position_rad;
        *position != now.actuate.set_point_rad && *position != before.actuate.set_point_rad
    })
}
