//! The files of a bundle: read from its folder alone, and only with the hashes that are written of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use crate::bundle::{MANIFEST, sha256};
use crate::error::BundleError;
use crate::manifest::{Dimensions, Manifest};
use crate::sums::{self, SUMS};
use crate::weights::UNITS_MAX;

/// Hashes in hexadecimal by the names of files.
type Hashes = BTreeMap<String, String>;

/// The longest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The longest other file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The most files of a bundle. The trainer's have seven.
const FILES_MAX: usize = 64;

/// The longest embedding, in numbers.
const EMBEDDING_MAX: usize = 1 << 17;

/// The bytes of the manifest of the bundle in `dir`.
pub(crate) fn read_manifest(dir: &Path) -> Result<Vec<u8>, BundleError> {
    read(dir, MANIFEST, MANIFEST_BYTES_MAX)
}

/// The list of hashes, with which the manifest agrees; `None`, with a warning, if the bundle has none.
pub(crate) fn listed(dir: &Path, manifest: &[u8]) -> Result<Option<Hashes>, BundleError> {
    let path = dir.join(SUMS);
    let bytes = match read(dir, SUMS, sums::SUMS_BYTES_MAX) {
        Err(BundleError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            log::warn!(
                "{0}: has no {SUMS}, so that nothing would show whether its manifest was damaged; if you trust the bundle as it is, \
                 `armillary seal {0}` adds one, and so does exporting it again",
                dir.display()
            );
            return Ok(None);
        }
        bytes => bytes?,
    };
    let hashes = sums::parse(&path, &bytes)?;
    match hashes.get(MANIFEST) {
        None => Err(lacks(dir, MANIFEST)),
        Some(expected) => {
            check_hash(dir, MANIFEST, SUMS, manifest, expected)?;
            Ok(Some(hashes))
        }
    }
}

/// The files that a manifest names. They have the hashes that it says; if there is a list of hashes, it says the same of them, and
/// what else it names is as it says.
pub(crate) fn read_files(
    dir: &Path,
    manifest: &Manifest,
    listed: Option<&Hashes>,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let mut files = BTreeMap::new();
    for (name, expected) in &manifest.files {
        let bytes = read(dir, name, FILE_BYTES_MAX).map_err(|error| outside(dir, name, error))?;
        check_hash(dir, name, "the manifest", &bytes, expected)?;
        if let Some(listed) = listed {
            let expected = listed.get(name).ok_or_else(|| lacks(dir, name))?;
            check_hash(dir, name, SUMS, &bytes, expected)?;
        }
        files.insert(name.clone(), bytes);
    }
    for (name, expected) in listed.into_iter().flatten() {
        if name != MANIFEST && !files.contains_key(name) {
            check_hash(dir, name, SUMS, &read(dir, name, FILE_BYTES_MAX)?, expected)?;
        }
    }
    Ok(files)
}

/// The text of a manifest and what it says, with sizes that a model can have.
pub(crate) fn parse_manifest(path: &Path, bytes: Vec<u8>) -> Result<(String, Manifest), BundleError> {
    let fault = |problem: String| BundleError::Graph {
        path: path.to_owned(),
        problem,
    };
    let text = String::from_utf8(bytes)
        .map_err(|error| fault(format!("is no text in UTF-8: {}", error.utf8_error())))?;
    let manifest = files::guarded(|| ron::from_str::<Manifest>(&text))
        .map_err(|panic| fault(panic.to_string()))?
        .map_err(|error| BundleError::Syntax {
            path: path.to_owned(),
            line: error.span.start.line,
            column: error.span.start.col,
            message: error.code.to_string(),
        })?;
    let Dimensions {
        belief,
        stochastic,
        embedding,
        action,
    } = manifest.dimensions;
    let is_size = |size: usize| (1..=UNITS_MAX).contains(&size);
    if !is_size(belief)
        || !is_size(stochastic)
        || !(1..=EMBEDDING_MAX).contains(&embedding)
        || !(1..=robot::MAX_JOINTS).contains(&action)
    {
        return Err(fault(format!(
            "field `dimensions` is {:?}; a model has 1 to {UNITS_MAX} units, 1 to {EMBEDDING_MAX} numbers of embedding, and 1 to {} joints",
            manifest.dimensions,
            robot::MAX_JOINTS
        )));
    }
    if manifest.files.len() > FILES_MAX {
        let count = manifest.files.len();
        return Err(fault(format!(
            "field `files` names {count} files; a bundle has at most {FILES_MAX}"
        )));
    }
    Ok((text, manifest))
}

/// Reads a file that lies in the folder of the bundle, and no other.
fn read(dir: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>, BundleError> {
    files::read_inside(dir, name, bytes_max).map_err(|source| BundleError::Read {
        path: dir.join(name),
        source,
    })
}

/// Says of a name that leads out of the folder that the manifest has it.
fn outside(dir: &Path, name: &str, error: BundleError) -> BundleError {
    match error {
        // What the operating system refuses has a number.
        BundleError::Read { source, .. }
            if source.kind() == ErrorKind::PermissionDenied && source.raw_os_error().is_none() =>
        {
            BundleError::Outside {
                path: dir.join(MANIFEST),
                file: name.to_owned(),
                problem: source.to_string(),
            }
        }
        error => error,
    }
}

fn lacks(dir: &Path, name: &str) -> BundleError {
    BundleError::Sums {
        path: dir.join(SUMS),
        problem: format!("lacks `{name}`"),
    }
}

/// Refuses `bytes` of another hash than `list` has for the file.
fn check_hash(
    dir: &Path,
    name: &str,
    list: &'static str,
    bytes: &[u8],
    expected: &str,
) -> Result<(), BundleError> {
    let found = sha256(bytes);
    if found == expected {
        return Ok(());
    }
    Err(BundleError::Hash {
        path: dir.join(name),
        list,
        found,
        expected: expected.to_owned(),
    })
}
