//! `meta/checksums.json`: the SHA-256 of every other file of an export, so that a bit that flips in one of them is noticed. Parquet
//! has no checksums of its own that are always written and always read.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{json, layout};
use crate::DatasetError;

/// The file, below the data set's folder.
const FILE: &str = "meta/checksums.json";

/// What it holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checksums {
    /// In hexadecimal, by the path below the data set's folder.
    sha256: BTreeMap<String, String>,
}

/// Writes the checksums of all files in `root`, a data set that is complete.
///
/// # Errors
/// [`DatasetError::Io`].
pub(super) fn write(root: &Path) -> Result<(), DatasetError> {
    let mut sha256 = BTreeMap::new();
    for (name, path) in contents(root)? {
        sha256.insert(name, digest(&path)?);
    }
    layout::write_json(&root.join(FILE), &Checksums { sha256 })
}

/// Compares all files of the data set in `root` with its checksums. `false` if it has none: it is no export of ours, or one of an
/// earlier version.
///
/// # Errors
/// [`DatasetError::Field`] for a file that has changed, is missing or has been added, and for checksums that cannot be read.
pub fn verify(root: &Path) -> Result<bool, DatasetError> {
    let path = root.join(FILE);
    if !path.exists() {
        return Ok(false);
    }
    const REMEDY: &str =
        "fetch or export the data set again; if it was changed on purpose, remove meta/checksums.json";
    let Checksums { sha256: expected } = json::typed(&path)?;
    let found = contents(root)?;
    for (name, expected) in &expected {
        let Some(file) = found.get(name) else {
            let problem = format!("lists {name}, which is not there");
            return Err(DatasetError::field(&path, "sha256", problem, REMEDY));
        };
        let sha256 = digest(file)?;
        if sha256 != *expected {
            let problem = format!("is {sha256}, but was {expected} when the data set was written");
            return Err(DatasetError::field(file, "sha256", problem, REMEDY));
        }
    }
    match found.into_iter().find(|(name, _)| !expected.contains_key(name)) {
        None => Ok(true),
        Some((name, _)) => {
            let problem = format!("does not list {name}, which is there");
            Err(DatasetError::field(&path, "sha256", problem, REMEDY))
        }
    }
}

/// All files of `root` but the checksums, by their paths below it. Hidden ones are no part of a data set.
fn contents(root: &Path) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), root.to_owned())];
    while let Some((below, folder)) = folders.pop() {
        let entries =
            files::list(&folder).map_err(|error| DatasetError::io(&folder, "cannot list", error))?;
        for path in entries {
            let last = path.file_name().unwrap_or_default().to_string_lossy();
            let name = if below.is_empty() {
                last.into_owned()
            } else {
                format!("{below}/{last}")
            };
            // A link to a folder could lead in a circle; an export has none.
            let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir());
            if is_folder {
                folders.push((name, path));
            } else if name != FILE {
                found.insert(name, path);
            }
        }
    }
    Ok(found)
}

/// The SHA-256 of a file, in hexadecimal.
fn digest(path: &Path) -> Result<String, DatasetError> {
    let refuse = |error| DatasetError::io(path, "cannot read", error);
    let mut file = files::open(path).map_err(refuse)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(refuse)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
