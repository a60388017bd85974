//! The joints that actions are for: their names and the ranges of their goals.

use std::path::Path;

use robot::MAX_JOINTS;
use robot::config::made::Actuator;

use super::meta::Info;
use super::ranges::Range;
use crate::lerobot::layout;
use crate::{DatasetError, Report};

/// The widest range of goals: its speed must still be a number.
const WIDEST_RANGE: f32 = 1e9;

/// The names of the joints that actions are for.
pub(super) fn names(path: &Path, info: &Info, report: &mut Report) -> Result<Vec<String>, DatasetError> {
    let field = "features.action";
    let action = info.features.get(layout::ACTION).ok_or_else(|| {
        DatasetError::field(
            path,
            field,
            "is missing",
            "give a data set with actions, one number a joint",
        )
    })?;
    let width = match action.shape[..] {
        [width] if (1..=MAX_JOINTS as u64).contains(&width) => width as usize,
        _ => {
            let problem = format!("has the shape {:?}", action.shape);
            let remedy =
                format!("actions are vectors of 1 to {MAX_JOINTS} joints, the most that can be driven");
            return Err(DatasetError::field(
                path,
                format!("{field}.shape"),
                problem,
                remedy,
            ));
        }
    };
    let names = action.element_names();
    let said =
        |problem: String| format!("features.action.names {problem}: joints are called joint-0 and so on");
    let problem = if names.is_empty() {
        None
    } else if names.len() != width {
        Some(said(format!("has {} names for {width} numbers", names.len())))
    } else {
        let unsound = |(at, name): (usize, &String)| name.trim().is_empty() || names[..at].contains(name);
        let found = names.iter().enumerate().find(|(at, name)| unsound((*at, name)));
        found.map(|(_, name)| said(format!("holds the name {name:?} twice, or an empty name")))
    };
    if names.is_empty() || problem.is_some() {
        if let Some(problem) = problem {
            report.note("meta/info.json", problem);
        }
        return Ok((0..width).map(|index| format!("joint-{index}")).collect());
    }
    Ok(names)
}

/// The joints with their ranges.
pub(super) fn ranged(
    path: &Path,
    names: Vec<String>,
    ranges: &[Range],
    own: bool,
    report: &mut Report,
) -> Result<Vec<Actuator>, DatasetError> {
    let mut actuators = Vec::new();
    for (name, range) in names.into_iter().zip(ranges) {
        let actuator = range.actuator(name);
        let name = actuator.name.clone();
        if !(actuator.high - actuator.low < WIDEST_RANGE) {
            let outliers = range.outliers();
            let (low, high) = (actuator.low, actuator.high);
            let whose = outliers.and_then(|found| found.rows.first().copied());
            let whose = whose.map(|(episode, frame, _)| format!(" (see episode {episode}, frame {frame})"));
            let problem = format!(
                "goals of `{name}` go from {low} to {high}{}",
                whose.unwrap_or_default()
            );
            return Err(DatasetError::field(
                path,
                "features.action",
                problem,
                "leave that episode out, or repair it",
            ));
        }
        // An export of ours has its actions beside the goals; no range is made of them.
        if !own && range.rests() {
            let (low, high) = range.ends();
            report.joints_at_rest.push(format!(
                "{name} stays between {low} and {high}; its actions are small"
            ));
        }
        if !own && let Some(found) = range.outliers() {
            let (episode, frame, goal) = found.rows[0];
            report.joints_stretched.push(format!(
                "{name}: {} alone (episode {episode}, frame {frame}: {goal}) make its range {} to {}; without, it is {} to {}",
                match found.rows.len() {
                    1 => "1 row".to_owned(),
                    rows => format!("{rows} rows"),
                },
                actuator.low,
                actuator.high,
                found.rest.0,
                found.rest.1
            ));
        }
        actuators.push(actuator);
    }
    Ok(actuators)
}
