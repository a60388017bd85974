//! The checkpoint before the last, which is known to be good.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{CheckpointError, Provenance, provenance};

/// Where [`keep`] puts a checkpoint.
pub fn before(path: &Path) -> PathBuf {
    path.with_extension("before.safetensors")
}

/// Keeps the checkpoint under `path` beside the next one ([`before`]): for one that has shown that it can be trained on, which
/// a new one has not.
///
/// # Errors
/// [`CheckpointError::Io`]; the file under `path` is where it was.
pub fn keep(path: &Path) -> Result<(), CheckpointError> {
    let name = before(path);
    let partial = name.with_extension("partial");
    // Not every file system has links. A copy that is cut short must not be taken for a checkpoint.
    let copied = || {
        std::fs::copy(path, &partial)?;
        File::open(&partial)?.sync_all()
    };
    let kept = match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::hard_link(path, &partial).or_else(|_| copied()),
    };
    let kept = kept.and_then(|()| std::fs::rename(&partial, &name));
    // Still there if that failed, or if both are links to one file already.
    let _ = std::fs::remove_file(&partial);
    kept.map_err(|source| CheckpointError::Io {
        path: name,
        action: "cannot keep the checkpoint before the next",
        source,
    })
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
    std::fs::rename(&before, path).map_err(|source| CheckpointError::Io {
        path: path.to_owned(),
        action: "cannot put the checkpoint before it in its place",
        source,
    })?;
    Ok(Some(provenance))
}
