//! Finding logs.

use std::path::{Path, PathBuf};

use crate::error::EpisodeError;

/// All logs (`*.mcap`) in `dir` and below, sorted by path. Directories behind symbolic links are not entered, nor
/// those named `*.partial`, which hold what an import left unfinished.
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
            if entry.file_type().map_err(refuse)?.is_dir() {
                if path.extension().is_none_or(|extension| extension != "partial") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "mcap") && path.is_file() {
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
