//! What a data set says of itself as a whole, beside what it holds.

use std::collections::BTreeSet;
use std::path::Path;

use super::episodes::Table;
use super::meta::{Info, state_problem};
use super::survey::short;
use crate::Report;
use crate::lerobot::layout;

/// Compares the totals of `meta/info.json` with the tables.
pub(super) fn compare(info: &Info, table: &Table, tasks: usize, report: &mut Report) {
    let rows: u64 = table
        .0
        .values()
        .map(|episode| episode.length)
        .fold(0, u64::saturating_add);
    let episodes = table.0.len() as u64;
    report.episodes_promised = Some(episodes.max(info.total_episodes.unwrap_or(0)));
    report.rows_promised = Some(rows.max(info.total_frames.unwrap_or(0)));
    for (field, said, found, of) in [
        ("total_episodes", info.total_episodes, episodes, layout::EPISODES),
        ("total_frames", info.total_frames, rows, layout::EPISODES),
        (
            "total_tasks",
            info.total_tasks,
            tasks as u64,
            "meta/tasks.parquet",
        ),
    ] {
        if let Some(said) = said
            && said != found
        {
            report.note("meta/info.json", format!("{field} is {said}, {of} has {found}"));
        }
    }
}

/// Tells of episodes that the table has and that are not among those `here`.
pub(super) fn absent(root: &Path, table: &Table, here: &BTreeSet<u64>, report: &mut Report) {
    for (number, promised) in table.0.iter().filter(|(number, _)| !here.contains(number)) {
        let file = promised
            .data
            .map(|(chunk, file)| layout::data_path(root, chunk, file));
        let missing = file.filter(|file| !file.exists());
        let why = missing.map(|file| format!(", and {} is missing", short(root, &file)));
        report.leave_out(
            format!("episode {number}"),
            format!(
                "{} rows are promised, none is here{}",
                promised.length,
                why.unwrap_or_default()
            ),
        );
    }
}

/// The name of the reward, if rows have one.
pub(super) fn reward(
    info: &Info,
    own: bool,
    columns: &BTreeSet<String>,
    report: &mut Report,
) -> Option<String> {
    let name = if own { layout::REWARD } else { layout::NEXT_REWARD };
    let (said, here) = (info.features.contains_key(name), columns.contains(name));
    if said != here {
        let what = match said {
            true => format!("has the feature {name}, and no data file has this column"),
            false => format!("lacks the feature {name}, and data files have this column, which is taken"),
        };
        report.note("meta/info.json", what);
    }
    here.then(|| name.to_owned())
}

/// Where the positions of joints come from, in words.
pub(super) fn positions(info: &Info, joints: usize, own: bool) -> String {
    match state_problem(info, joints) {
        Some(problem) if !own => format!("the goals: {problem}"),
        _ => layout::STATE.to_owned(),
    }
}
