//! `meta/episodes`: what the data set says of each of its episodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::lerobot::columns::{self, Rows};
use crate::lerobot::layout;
use crate::{DatasetError, folder};

/// An episode as the table has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Promised {
    /// Rows.
    pub(super) length: u64,
    /// `dataset_from_index` and `dataset_to_index`: the `index` of its first row, and of the first after it.
    pub(super) indices: Option<(i64, i64)>,
    /// Chunk and file of its rows.
    pub(super) data: Option<(i64, i64)>,
    /// Its tasks, in words.
    pub(super) tasks: Vec<String>,
    /// Its stretch of the camera's video.
    pub(super) video: Option<Place>,
}

/// A stretch of a video.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// The time of the video's first frame, once it was looked into.
    pub(super) start_s: f64,
    pub(super) from_s: f64,
    pub(super) to_s: f64,
}

/// The episodes by their numbers, and those numbers that the table has several times.
pub(super) type Table = (BTreeMap<u64, Promised>, BTreeSet<u64>);

/// Reads the table. Videos are those of `camera`, where it has some.
pub(super) fn read(root: &Path, camera: Option<(&str, &str)>) -> Result<Table, DatasetError> {
    let dir = root.join(layout::EPISODES);
    if !dir.is_dir() {
        return Err(DatasetError::Empty {
            path: dir,
            what: "this folder, which says what each episode holds, is not here",
        });
    }
    let (mut episodes, mut twice) = (BTreeMap::new(), BTreeSet::new());
    for path in folder::tables(&dir)?.files {
        // Statistics are the bulk of such a table.
        let mut wanted: Vec<String> = [
            layout::EPISODE,
            "length",
            "tasks",
            "dataset_from_index",
            "dataset_to_index",
            "data/chunk_index",
            "data/file_index",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some((name, _)) = camera {
            let of = ["chunk_index", "file_index", "from_timestamp", "to_timestamp"];
            wanted.extend(of.map(|what| format!("videos/{name}/{what}")));
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        for rows in columns::batches(&path, Some(&wanted))? {
            let rows = rows?;
            for (number, promised) in batch_of(root, &rows, camera)? {
                if episodes.insert(number, promised).is_some() {
                    twice.insert(number);
                }
            }
        }
    }
    Ok((episodes, twice))
}

fn batch_of(
    root: &Path,
    rows: &Rows<'_>,
    camera: Option<(&str, &str)>,
) -> Result<Vec<(u64, Promised)>, DatasetError> {
    let refuse = |column: &str, row: usize| {
        let problem = format!("has no sound number in row {}", rows.first as usize + row);
        DatasetError::field(rows.path, column, problem, "fetch the data set again")
    };
    let count = |column: &str| -> Result<Vec<u64>, DatasetError> {
        let values = rows.integers(column)?.into_iter().enumerate();
        values
            .map(|(row, value)| {
                value
                    .and_then(|value| u64::try_from(value).ok())
                    .ok_or_else(|| refuse(column, row))
            })
            .collect()
    };
    let pair = |first: &str, second: &str| -> Result<Vec<Option<(i64, i64)>>, DatasetError> {
        if !rows.has(first) || !rows.has(second) {
            return Ok(vec![None; rows.len()]);
        }
        let pairs = rows.integers(first)?.into_iter().zip(rows.integers(second)?);
        Ok(pairs.map(|(first, second)| first.zip(second)).collect())
    };
    let (numbers, lengths) = (count(layout::EPISODE)?, count("length")?);
    let indices = pair("dataset_from_index", "dataset_to_index")?;
    let data = pair("data/chunk_index", "data/file_index")?;
    let tasks = match rows.has("tasks") {
        true => rows.text_lists("tasks")?,
        false => vec![Vec::new(); rows.len()],
    };
    let places = match camera {
        None => vec![None; rows.len()],
        Some((name, template)) => places(root, rows, name, template)?,
    };
    let table = numbers
        .into_iter()
        .zip(lengths)
        .zip(indices.into_iter().zip(data));
    let table = table.zip(tasks.into_iter().zip(places));
    Ok(table
        .map(|(((number, length), (indices, data)), (tasks, video))| {
            let promised = Promised {
                length,
                indices,
                data,
                tasks,
                video,
            };
            (number, promised)
        })
        .collect())
}

/// The stretch of a video in each row; `None` where numbers are missing.
fn places(
    root: &Path,
    rows: &Rows<'_>,
    camera: &str,
    template: &str,
) -> Result<Vec<Option<Place>>, DatasetError> {
    let column = |what: &str| format!("videos/{camera}/{what}");
    let chunks = rows.integers(&column("chunk_index"))?;
    let files = rows.integers(&column("file_index"))?;
    let from = rows.numbers(&column("from_timestamp"))?;
    let to = rows.numbers(&column("to_timestamp"))?;
    let mut places = Vec::new();
    for row in 0..rows.len() {
        let numbers = chunks[row].zip(files[row]).zip(from[row].zip(to[row]));
        places.push(match numbers {
            None => None,
            Some(((chunk, file), (from_s, to_s))) => Some(Place {
                file: root.join(layout::video_name(root, template, camera, chunk, file)?),
                start_s: 0.0,
                from_s,
                to_s,
            }),
        });
    }
    Ok(places)
}
