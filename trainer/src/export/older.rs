//! What of an older bundle may be replaced.

use std::collections::BTreeSet;
use std::path::Path;

use files::OutputError;
use world_model::Manifest;
use world_model::bundle::{MANIFEST, sha256};
use world_model::sums::{self, SUMS};

use super::ExportError;

/// Names of the files that the bundle in `out` was exported with; none if there is nothing.
///
/// # Errors
/// [`ExportError::Occupied`] if something else is there, [`OutputError::Mixed`] if a file of it is not the one that was exported.
pub(super) fn files(out: &Path) -> Result<BTreeSet<String>, ExportError> {
    if std::fs::symlink_metadata(out).is_err() {
        return Ok(BTreeSet::new());
    }
    let occupied = || ExportError::Occupied { path: out.to_owned() };
    let text = files::read_to_string(&out.join(MANIFEST)).map_err(|_| occupied())?;
    let manifest: Manifest = ron::from_str(&text).map_err(|_| occupied())?;
    let mut names = BTreeSet::from([MANIFEST.to_owned()]);
    let mut hashes = manifest.files.clone();
    hashes.insert(MANIFEST.to_owned(), sha256(text.as_bytes()));
    // A list of hashes that says anything else is somebody else's.
    match files::read_to_string(&out.join(SUMS)) {
        Ok(there) if there == sums::text(&hashes) => {
            names.insert(SUMS.to_owned());
        }
        _ => {}
    }
    for (name, expected) in manifest.files {
        let path = out.join(&name);
        // A missing file cannot be lost.
        if path.exists() && files::read(&path).map_or(true, |bytes| sha256(&bytes) != expected) {
            return Err(OutputError::Mixed {
                folder: out.to_owned(),
                name,
            }
            .into());
        }
        names.insert(name);
    }
    Ok(names)
}
