//! Finding logs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::EpisodeError;
use crate::reader::read_episode;

/// All logs (`*.mcap`) in `dir` and below, sorted by path. What is hidden (names that begin with a dot) is passed over, and so is
/// what is no regular file. Directories behind symbolic links are not entered, nor those named `*.partial`, in which earlier
/// versions left unfinished imports.
///
/// # Errors
/// [`EpisodeError::NoRuns`] if there are none, [`EpisodeError::Read`] if a directory cannot be listed.
pub fn list_runs(dir: &Path) -> Result<Vec<PathBuf>, EpisodeError> {
    let mut runs = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(directory) = open.pop() {
        let refuse = |source| EpisodeError::Read {
            path: directory.clone(),
            source,
        };
        for entry in std::fs::read_dir(&directory).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let path = entry.path();
            if files::is_hidden(&path) {
                continue;
            }
            if entry.file_type().map_err(refuse)?.is_dir() {
                if path.extension().is_none_or(|extension| extension != "partial") {
                    open.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("mcap"))
                && path.is_file()
            {
                runs.push(path);
            }
        }
    }
    if runs.is_empty() {
        return Err(EpisodeError::NoRuns { dir: dir.to_owned() });
    }
    runs.sort();
    Ok(runs)
}

/// Logs, one an episode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Episodes {
    /// One log of each, sorted by the episode's path.
    pub logs: Vec<PathBuf>,
    /// Other attempts at episodes that are there.
    pub left_out: Vec<PathBuf>,
}

/// The logs of [`list_runs`], one an episode: of several attempts at it (`episode-7.mcap`, `episode-7-2.mcap`, ...) the whole
/// one, or else the longest. What was cut off and recorded again counts once.
///
/// # Errors
/// Those of [`list_runs`], and of [`read_episode`] where it takes a look to choose.
pub fn list_episodes(dir: &Path) -> Result<Episodes, EpisodeError> {
    let mut attempts: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in list_runs(dir)? {
        attempts.entry(first_attempt(&path)).or_default().push(path);
    }
    let mut episodes = Episodes::default();
    for mut paths in attempts.into_values() {
        let best = if paths.len() == 1 { 0 } else { best(&paths)? };
        episodes.logs.push(paths.remove(best));
        episodes.left_out.extend(paths);
    }
    Ok(episodes)
}

/// The name of the first attempt at the episode that `path` is an attempt at.
pub fn first_attempt(path: &Path) -> PathBuf {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match stem
        .strip_prefix("episode-")
        .and_then(|rest| rest.split_once('-'))
    {
        Some((episode, attempt)) if number(episode) && number(attempt) => {
            path.with_file_name(format!("episode-{episode}.mcap"))
        }
        _ => path.to_owned(),
    }
}

/// Which of `paths` is worth most; the first of equals.
fn best(paths: &[PathBuf]) -> Result<usize, EpisodeError> {
    let mut best = (0, (false, 0));
    for (index, path) in paths.iter().enumerate() {
        let worth = match read_episode(path) {
            Ok(log) => (log.complete, log.ticks.len()),
            // It was cut off before it had begun: the disk was full, say.
            Err(EpisodeError::NotALog { .. }) => continue,
            Err(error) => return Err(error),
        };
        if worth > best.1 {
            best = (index, worth);
        }
    }
    Ok(best.0)
}
