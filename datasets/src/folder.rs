//! Folders and files of a data set.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::DatasetError;

/// Entries of a folder, sorted by name. Hidden ones (`.DS_Store`, `._file-000.parquet`) are passed over: file managers and copy
/// programs leave them, and they are never a part of a data set.
pub(crate) fn sorted(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let refuse = |error| DatasetError::io(dir, "cannot list", error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The Parquet files of `dir`, which lie in folders of chunks.
///
/// # Errors
/// [`DatasetError::Empty`] if there is none.
pub(crate) fn tables(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files = Vec::new();
    for chunk in sorted(dir)?.into_iter().filter(|path| path.is_dir()) {
        let of_parquet = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
        files.extend(sorted(&chunk)?.into_iter().filter(of_parquet));
    }
    if files.is_empty() {
        return Err(DatasetError::Empty {
            path: dir.to_owned(),
            what: "no .parquet file is here",
        });
    }
    Ok(files)
}

/// Opens a file to read it.
pub(crate) fn open(path: &Path) -> Result<File, DatasetError> {
    File::open(path).map_err(|error| DatasetError::io(path, "cannot read", error))
}
