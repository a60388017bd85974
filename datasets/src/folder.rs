//! Folders and files of a data set.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DatasetError;

/// Entries of a folder, sorted by name. Hidden ones (`.DS_Store`, `._file-000.parquet`) are passed over: file managers and copy
/// programs leave them, and they are never a part of a data set.
pub(crate) fn sorted(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    files::list(dir).map_err(|error| DatasetError::io(dir, "cannot list", error))
}

/// Parquet files of a data set, and others that lie beside them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) files: Vec<PathBuf>,
    /// Files that are not named as LeRobot names them: copies, as a browser makes of a second download, and the like.
    pub(crate) others: Vec<PathBuf>,
}

/// The Parquet files of `dir`: `chunk-NNN/file-NNN.parquet`.
///
/// # Errors
/// [`DatasetError::Empty`] if there is none.
pub(crate) fn tables(dir: &Path) -> Result<Tables, DatasetError> {
    let mut tables = Tables::default();
    for chunk in sorted(dir)?.into_iter().filter(|path| path.is_dir()) {
        let of_parquet = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
        for file in sorted(&chunk)?.into_iter().filter(of_parquet) {
            match is_numbered(&chunk, "chunk-") && is_numbered(&file, "file-") {
                true => tables.files.push(file),
                false => tables.others.push(file),
            }
        }
    }
    if tables.files.is_empty() {
        return Err(DatasetError::Empty {
            path: dir.to_owned(),
            what: "no .parquet file is here (they are named chunk-000/file-000.parquet and so on)",
        });
    }
    Ok(tables)
}

fn is_numbered(path: &Path, prefix: &str) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let number = stem.and_then(|stem| stem.strip_prefix(prefix));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Opens a file to read it.
pub(crate) fn open(path: &Path) -> Result<File, DatasetError> {
    files::open(path).map_err(|error| DatasetError::io(path, "cannot read", error))
}

/// How a Git LFS pointer begins: a short text that stands for a file that was not fetched.
const LFS: &[u8] = b"version https://git-lfs";

/// Whether a file is a Git LFS pointer.
pub(crate) fn is_lfs_pointer(path: &Path) -> bool {
    let mut start = [0; LFS.len()];
    files::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start == LFS)
}
