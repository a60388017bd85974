//! Listing folders.

use std::path::{Path, PathBuf};

/// Whether a name begins with a dot. Such entries are passed over wherever a folder is listed: file managers and editors leave
/// files of their own under such names (`._episode.parquet`, `.DS_Store`), and so does this program while it writes.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Paths of everything in `dir` that is not hidden, sorted by name.
///
/// # Errors
/// What the operating system says.
pub fn list(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if !is_hidden(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
