//! Whether the videos are those of the episodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::episodes::{Place, Table};
use super::survey::{Planned, short};
use crate::lerobot::layout;
use crate::lerobot::video::{self, Stretch, Trust};
use crate::{DatasetError, Report};

/// Compares videos with their episodes, and leaves out those of `episodes` whose pictures cannot be believed. Videos have
/// `video_fps` frames a second, where the data set says so, and there are `fps` rows a second. Returns the stretch of a video of each
/// episode that is left.
pub(super) fn pair(
    root: &Path,
    (video_fps, fps): (Option<f64>, f64),
    size: Option<(u64, u64)>,
    trust: Trust,
    table: &Table,
    episodes: &mut Vec<Planned>,
    report: &mut Report,
) -> Result<BTreeMap<u64, Place>, DatasetError> {
    let mut wrong: BTreeMap<u64, String> = BTreeMap::new();
    let mut files: BTreeMap<PathBuf, Vec<Stretch>> = BTreeMap::new();
    let rows: BTreeMap<u64, &Planned> = episodes.iter().map(|episode| (episode.number, episode)).collect();
    for (number, promised) in &table.0 {
        let Some(place) = &promised.video else {
            wrong.insert(
                *number,
                format!("{} does not say where its video is", layout::EPISODES),
            );
            continue;
        };
        let planned = rows.get(number);
        if planned.is_some_and(|planned| planned.restarted) {
            let what =
                "it begins again within itself: nothing tells which pictures belong to which of its rows";
            wrong.insert(*number, what.to_owned());
        }
        files.entry(place.file.clone()).or_default().push(Stretch {
            episode: *number,
            from_s: place.from_s,
            to_s: place.to_s,
            length_s: promised.length as f64 / fps,
            rows_s: planned
                .map(|planned| planned.rows.iter().map(|(row, _)| row.time_s).collect())
                .unwrap_or_default(),
        });
    }
    let mut starts: BTreeMap<PathBuf, f64> = BTreeMap::new();
    for (file, stretches) in files {
        let name = short(root, &file);
        let found = match file.is_file() {
            true => match video::times(&file)? {
                Ok(film) => {
                    if let (Some(size), Some(said)) = (film.size, size)
                        && size != said
                    {
                        let what = format!(
                            "is {} x {}, meta/info.json says {} x {}",
                            size.0, size.1, said.0, said.1
                        );
                        report.note(&name, what);
                    }
                    starts.insert(file.clone(), film.times_s.first().copied().unwrap_or(0.0));
                    video::pair(&film.times_s, video_fps, fps, &stretches, trust)
                }
                Err(problem) => {
                    let broken = |stretch: &Stretch| (stretch.episode, problem.clone());
                    stretches.iter().map(broken).collect()
                }
            },
            false => {
                let missing = |stretch: &Stretch| (stretch.episode, "the video is not here".to_owned());
                stretches.iter().map(missing).collect()
            }
        };
        for (episode, reason) in found {
            wrong.entry(episode).or_insert(format!("{name}: {reason}"));
        }
    }
    let mut places = BTreeMap::new();
    episodes.retain(|episode| match wrong.get(&episode.number) {
        None => {
            if let Some(mut place) = table
                .0
                .get(&episode.number)
                .and_then(|promised| promised.video.clone())
            {
                place.start_s = starts.get(&place.file).copied().unwrap_or(0.0);
                places.insert(episode.number, place);
            }
            true
        }
        Some(reason) => {
            report.leave_out(format!("episode {}", episode.number), reason.clone());
            false
        }
    });
    Ok(places)
}
