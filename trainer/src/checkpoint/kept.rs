//! The checkpoint before the last, which is known to be good.

use std::path::{Path, PathBuf};

use files::OutputError;

use super::{CheckpointError, Provenance, is_ours, not_written, provenance};

/// Where [`keep`] puts a checkpoint.
pub fn before(path: &Path) -> PathBuf {
    path.with_extension("before.safetensors")
}

/// Keeps the checkpoint under `path` beside the next one ([`before`]): for one that has shown that it can be trained on, which
/// a new one has not.
///
/// # Errors
/// [`CheckpointError::Io`], [`CheckpointError::Output`]; the file under `path` is where it was.
pub fn keep(path: &Path) -> Result<(), CheckpointError> {
    let name = before(path);
    files::put_with(&name, &is_ours, |copy| {
        // Not every file system has links.
        std::fs::hard_link(path, copy)
            .or_else(|_| std::fs::copy(path, copy).map(|_| ()))
            .map_err(|source| OutputError::Io {
                path: name.clone(),
                doing: "cannot write",
                source,
            })
    })
    .map_err(not_written(&name, "cannot keep the checkpoint before the next"))
}

/// Puts the checkpoint before the one under `path` in its place, once that one has turned out not to be one to go on from.
/// `None` if there is none.
///
/// # Errors
/// [`CheckpointError`].
pub fn step_back(path: &Path) -> Result<Option<Provenance>, CheckpointError> {
    let before = before(path);
    if !before.exists() {
        return Ok(None);
    }
    // What cannot be gone on from either takes no other's place.
    let provenance = provenance(&before).map_err(|error| {
        error.about(&format!(
            "it was to take the place of {}, on from which training came to nothing",
            path.display()
        ))
    })?;
    // What lies there was a checkpoint, whether or not it can still be read.
    files::check(path, &is_ours).map_err(CheckpointError::Output)?;
    std::fs::rename(&before, path).map_err(|source| CheckpointError::Io {
        path: path.to_owned(),
        action: "cannot put the checkpoint before it in its place",
        source,
    })?;
    Ok(Some(provenance))
}
