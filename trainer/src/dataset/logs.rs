//! Which logs are trained on, and whether they can be.

use std::path::{Path, PathBuf};

use episode::{Episode, TrainingEpisode};

use super::DatasetError;
use crate::checkpoint::RobotOfLogs;
use crate::side::Side;

pub(super) fn same_robot(
    first: &Path,
    expected: &RobotOfLogs,
    path: &Path,
    found: &RobotOfLogs,
) -> Result<(), DatasetError> {
    // A log that says nothing of a camera's pictures has the model's images from elsewhere.
    let pictures = expected.picture_sha256.is_some() && found.picture_sha256.is_some();
    let fields = |robot: &RobotOfLogs| {
        [
            ("robot", format!("{:?}", robot.name)),
            ("task", format!("{:?}", robot.task)),
            (
                "joint_calibration_sha256",
                format!("{:?}", robot.joint_calibration_sha256),
            ),
            (
                "picture_sha256",
                format!("{:?}", robot.picture_sha256.as_ref().filter(|_| pictures)),
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

/// Refuses logs whose rewards come from two sources: a model would learn the mean of both. A log without rewards goes with any. A simulated task and a
/// camera's server in front of it are one source.
pub(super) fn same_reward(
    first: &mut Option<(PathBuf, String)>,
    path: &Path,
    source: &str,
) -> Result<(), DatasetError> {
    if source.is_empty() || source == episode::NO_REWARD {
        return Ok(());
    }
    let source = if source == "camera" { "simulator" } else { source };
    match first {
        None => *first = Some((path.to_owned(), source.to_owned())),
        Some((_, known)) if known == source => {}
        Some((first, known)) => {
            return Err(DatasetError::Mixed {
                path: path.to_owned(),
                field: "reward_source",
                found: format!("{source:?}"),
                first: first.clone(),
                expected: format!("{known:?}"),
            });
        }
    }
    Ok(())
}

/// Takes the side of the first log's pictures for that of all, and holds every other log's against it. `pixels` is that of `path`.
pub(super) fn same_side(
    first: &mut Option<(PathBuf, Side)>,
    path: &Path,
    pixels: usize,
) -> Result<(), DatasetError> {
    match first {
        Some((_, side)) if side.pixels() == pixels => Ok(()),
        Some((first, side)) => Err(DatasetError::Sides {
            path: path.to_owned(),
            side: pixels,
            first: first.clone(),
            expected: side.pixels(),
        }),
        None => {
            let side = Side::try_from(pixels).map_err(|_| DatasetError::Side {
                path: path.to_owned(),
                side: pixels,
            })?;
            *first = Some((path.to_owned(), side));
            Ok(())
        }
    }
}

/// Whether rewards that were given and actions of a stretch are numbers; joints are looked at if a model is to see them.
pub(super) fn finite(path: &Path, stretch: &TrainingEpisode) -> Result<(), DatasetError> {
    let width = stretch.action_dim.max(1);
    let given: Vec<f32> = stretch
        .rewards
        .iter()
        .map(|reward| reward.unwrap_or(0.0))
        .collect();
    for (field, values, width) in [("reward", &given, 1), ("action", &stretch.actions, width)] {
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
