//! The first pass over the rows: where each belongs, what joints do in them, and what does not agree.
//!
//! No picture is decoded and nothing is written in this pass, so that a data set is known to be sound before its logs are begun.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::episodes::{Promised, Table};
use super::order::{DRIFT_PART, Ordered, RowKey, order, spans};
use crate::lerobot::columns;
use crate::lerobot::layout;
use crate::{DatasetError, Report};

/// An episode whose rows are to be taken.
#[derive(Debug)]
pub(super) struct Planned {
    /// `episode_index`.
    pub(super) number: u64,
    /// Its rows in order, with the numbers of their ticks.
    pub(super) rows: Vec<(RowKey, u32)>,
    /// Whether it begins again within itself.
    pub(super) restarted: bool,
}

/// What the first pass found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) episodes: Vec<Planned>,
    /// The episodes that have rows, whether they are taken or not.
    pub(super) here: BTreeSet<u64>,
    /// The columns that some data file has.
    pub(super) columns: BTreeSet<String>,
}

/// Rows of an episode as they are stored.
#[derive(Default)]
struct Stored {
    rows: Vec<RowKey>,
    /// Rows that are left out: how many, and what is wrong with the first.
    unusable: Option<(usize, String)>,
    all: u64,
}

/// Where the data set is, and what it says of itself.
pub(super) struct Said<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a [PathBuf],
    pub(super) fps: f64,
    pub(super) joints: usize,
    pub(super) tasks: &'a BTreeMap<i64, String>,
    pub(super) table: &'a Table,
}

/// A row that is to be taken: its place in its file, the episode's place in the list, and its place in the episode.
pub(super) type Wanted = (u32, u32, u32);

/// For each file the rows of `episodes` in it, in order.
pub(super) fn wanted(files: usize, episodes: &[Planned]) -> Vec<Vec<Wanted>> {
    let mut wanted = vec![Vec::new(); files];
    for (slot, episode) in episodes.iter().enumerate() {
        for (at, (key, _)) in episode.rows.iter().enumerate() {
            wanted[key.file as usize].push((key.row, slot as u32, at as u32));
        }
    }
    for rows in &mut wanted {
        rows.sort_unstable();
    }
    wanted
}

/// Those of `rows`, which are in order, that are from `first` up to `after`.
pub(super) fn within(rows: &[Wanted], first: u32, after: u32) -> &[Wanted] {
    let place = |end: u32| rows.partition_point(|(row, ..)| *row < end);
    &rows[place(first)..place(after)]
}

/// Reads the keys and goals of all rows, puts the rows of each episode in order and compares them with the episodes table.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read or lacks a column.
pub(super) fn survey(said: &Said<'_>, report: &mut Report) -> Result<Survey, DatasetError> {
    let mut stored: BTreeMap<i64, Stored> = BTreeMap::new();
    let mut columns = BTreeSet::new();
    for (file, path) in said.files.iter().enumerate() {
        columns.extend(columns::names(path)?);
        read_keys(said, file as u32, path, &mut stored)?;
    }
    report.rows_found = stored.values().map(|episode| episode.all).sum();
    report.episodes_found = stored.len() as u64;
    let here = stored
        .keys()
        .filter_map(|number| u64::try_from(*number).ok())
        .collect();
    let (promised, twice) = said.table;
    let mut episodes = Vec::new();
    for (number, episode) in stored {
        let place = format!("episode {number}");
        let known = u64::try_from(number)
            .ok()
            .and_then(|number| promised.get(&number));
        let Some(known) = known else {
            let what = format!(
                "{} rows are of it, and {} does not have it",
                episode.all,
                layout::EPISODES
            );
            report.leave_out(place, what);
            continue;
        };
        if twice.contains(&(number as u64)) {
            report.leave_out(place, format!("{} has it more than once", layout::EPISODES));
            continue;
        }
        if let Some((count, first)) = &episode.unusable {
            report.leave_out(
                &place,
                format!("{count} of its rows cannot be used; the first: {first}"),
            );
        }
        let files: BTreeSet<u32> = episode.rows.iter().map(|row| row.file).collect();
        compare(said, number, known, &episode, &files, report);
        let all = episode.all;
        let ordered = order(episode.rows, said.fps);
        if let Some(what) = lost(known.length, all, &ordered) {
            report.leave_out(place, what);
            continue;
        }
        if let Some(what) = &ordered.drift {
            report.leave_out(place, what.clone());
            continue;
        }
        tell(&place, &ordered, report);
        if !ordered.rows.windows(2).any(|pair| pair[0].1 + 1 == pair[1].1) {
            report.leave_out(place, "no two of its rows follow one another");
            continue;
        }
        episodes.push(Planned {
            number: number as u64,
            rows: ordered.rows,
            restarted: ordered.restarted,
        });
    }
    // In a few rows a wrong rate looks like jitter; in all of them together it does not.
    let (periods, seconds) = episodes
        .iter()
        .map(|episode| spans(&episode.rows))
        .fold((0.0, 0.0), |sum, span| (sum.0 + span.0, sum.1 + span.1));
    if periods > 0.0 && (seconds * said.fps / periods - 1.0).abs() > DRIFT_PART {
        let what = format!(
            "fps is {}, and rows are {:.4} a second by their timestamps: all episodes are left out",
            said.fps,
            periods / seconds
        );
        report.leave_out("meta/info.json", what);
        episodes.clear();
    }
    Ok(Survey {
        episodes,
        here,
        columns,
    })
}

/// Why the number of rows of an episode cannot be explained. Rows that are missing where frames are missing, too, leave a gap that
/// shows. Where as many frames are here as numbers go, but fewer than the table says, rows may have been lost anywhere and the
/// others numbered anew.
fn lost(length: u64, all: u64, ordered: &Ordered) -> Option<String> {
    let here = match ordered.restarted {
        true => all,
        false => ordered.frames,
    };
    let last = ordered.rows.iter().map(|(row, _)| row.frame).max().unwrap_or(-1);
    let explained =
        here == length || last.checked_add(1).and_then(|end| u64::try_from(end).ok()) == Some(length);
    (!explained && !ordered.rows.is_empty()).then(|| {
        format!(
            "{} says {length} rows, {here} are here with frames up to {last}: nothing tells where rows were lost or added",
            layout::EPISODES
        )
    })
}

/// Disagreements of one episode that are told one by one.
const TOLD: usize = 3;

fn tell(place: &str, ordered: &Ordered, report: &mut Report) {
    for found in ordered.disagreements.iter().take(TOLD) {
        let place = format!("{place}, {}", found.place);
        match found.left_out {
            true => report.leave_out(place, found.what.clone()),
            false => report.note(place, found.what.clone()),
        }
    }
    if let Some(more) = ordered
        .disagreements
        .len()
        .checked_sub(TOLD)
        .filter(|more| *more > 0)
    {
        report.note(place, format!("{more} more of this kind"));
    }
}

/// Compares what the table says of an episode with its rows.
fn compare(
    said: &Said<'_>,
    number: i64,
    known: &Promised,
    episode: &Stored,
    files: &BTreeSet<u32>,
    report: &mut Report,
) {
    let place = format!("episode {number}");
    if known.length != episode.all {
        let what = format!(
            "{} says {} rows, {} are here",
            layout::EPISODES,
            known.length,
            episode.all
        );
        report.note(&place, what);
    }
    if let Some((from, to)) = known.indices
        && to.checked_sub(from) != i64::try_from(known.length).ok()
    {
        let what = format!(
            "dataset_from_index {from} and dataset_to_index {to} do not make its length of {}",
            known.length
        );
        report.note(&place, what);
    }
    let first = episode.rows.iter().min_by_key(|row| row.frame);
    if let Some((from, _)) = known.indices
        && let Some(RowKey {
            index: Some(index),
            frame,
            ..
        }) = first
        && from.checked_add(*frame) != Some(*index)
    {
        let what = format!("dataset_from_index is {from}, and index is {index} at frame {frame}");
        report.note(&place, what);
    }
    if let Some((chunk, file)) = known.data {
        let named = layout::data_path(said.root, chunk, file);
        let elsewhere = files
            .iter()
            .map(|file| &said.files[*file as usize])
            .find(|path| **path != named);
        if let Some(elsewhere) = elsewhere {
            let what = format!(
                "{} says that it is in {}, and rows of it are in {}",
                layout::EPISODES,
                short(said.root, &named),
                short(said.root, elsewhere)
            );
            report.note(&place, what);
        }
    }
    let of_rows: BTreeSet<&str> = episode
        .rows
        .iter()
        .filter_map(|row| said.tasks.get(&row.task).map(String::as_str))
        .collect();
    let of_table: BTreeSet<&str> = known.tasks.iter().map(String::as_str).collect();
    if !of_table.is_empty() && of_rows != of_table {
        let what = format!(
            "{} says the tasks {of_table:?}, its rows say {of_rows:?}",
            layout::EPISODES
        );
        report.note(&place, what);
    } else if of_rows.len() > 1 {
        let what = format!("its task changes: {of_rows:?}; each gets a log of its own");
        report.note(&place, what);
    }
}

/// A path as seen from the data set.
pub(super) fn short(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn read_keys(
    said: &Said<'_>,
    file: u32,
    path: &Path,
    stored: &mut BTreeMap<i64, Stored>,
) -> Result<(), DatasetError> {
    let wanted = [
        layout::EPISODE,
        layout::FRAME,
        layout::TIME,
        layout::INDEX,
        layout::TASK,
        layout::ACTION,
    ];
    for rows in columns::batches(path, Some(&wanted))? {
        let rows = rows?;
        let (numbers, frames) = (rows.integers(layout::EPISODE)?, rows.integers(layout::FRAME)?);
        let (times, tasks) = (rows.numbers(layout::TIME)?, rows.integers(layout::TASK)?);
        let indices = match rows.has(layout::INDEX) {
            true => rows.integers(layout::INDEX)?,
            false => vec![None; rows.len()],
        };
        let goals = rows.vectors(layout::ACTION)?;
        for row in 0..rows.len() {
            let at = rows.first + row as u32;
            // A row of no episode belongs to one that no table has.
            let number = numbers[row].unwrap_or(-1);
            let episode = stored.entry(number).or_default();
            episode.all += 1;
            let goal = goals.finite(row, said.joints);
            let key = match (frames[row], times[row], tasks[row], &goal) {
                (None, ..) => Err("frame_index is missing".to_owned()),
                (_, None, ..) => Err("timestamp is missing".to_owned()),
                (_, _, None, _) => Err("task_index is missing".to_owned()),
                (_, _, Some(task), _) if !said.tasks.contains_key(&task) => {
                    Err(format!("task_index {task} is not in meta/tasks.parquet"))
                }
                (_, _, _, Err(problem)) => Err(problem.clone()),
                (Some(frame), Some(time_s), Some(task), Ok(_)) => Ok(RowKey {
                    file,
                    row: at,
                    frame,
                    time_s,
                    task,
                    index: indices[row],
                    goals: fingerprint(goal.as_deref().unwrap_or_default()),
                }),
            };
            match key {
                Ok(key) => episode.rows.push(key),
                Err(problem) => {
                    let name = short(said.root, path);
                    let first = || format!("row {at} of {name} (frame {}): {problem}", words(frames[row]));
                    episode.unusable.get_or_insert_with(|| (0, first())).0 += 1;
                }
            }
        }
    }
    Ok(())
}

/// A number that stands for these goals (FNV-1a of their bits).
fn fingerprint(goals: &[f32]) -> u64 {
    goals.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, goal| {
        (hash ^ u64::from(goal.to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn words(number: Option<i64>) -> String {
    number.map_or("unknown".to_owned(), |number| number.to_string())
}
