//! Folders in which outputs are made.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How the names of all scratch folders begin; eight random letters follow.
const PREFIX: &str = ".armillary-partial-";

/// The file in a scratch folder that says whose it is. Its maker holds a lock on it.
const MARKER: &str = ".made-by-armillary";

/// What the marker says.
const OWNER: &[u8] =
    b"This folder is a work place of armillary. It may be removed when no armillary program is running.\n";

/// A folder beside an output, on the same file system, in which the output is made. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    /// Held open for its lock.
    _marker: File,
}

impl Scratch {
    /// Makes one in `parent`, and removes those that killed programs left there.
    pub(crate) fn beside(parent: &Path) -> std::io::Result<Self> {
        sweep(parent);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(8)
            .tempdir_in(parent)?;
        let mut marker = File::options()
            .write(true)
            .create_new(true)
            .open(folder.path().join(MARKER))?;
        // Locked before it says anything: a folder is swept only if its marker is written and free. Without locks on this file
        // system, nothing is ever swept.
        let _ = marker.try_lock();
        marker.write_all(OWNER)?;
        Ok(Self {
            folder,
            _marker: marker,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder there, without its marker: nobody sweeps it. Where it is.
    pub(crate) fn keep(self) -> PathBuf {
        let path = self.folder.keep();
        let _ = std::fs::remove_file(path.join(MARKER));
        path
    }
}

/// The folder that a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes scratch folders in `parent` whose makers are gone. What cannot be removed is left: it is in nobody's way.
fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_left_over(&entry.path())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a folder has our marker in it, and nobody holds the marker's lock.
fn is_left_over(folder: &Path) -> bool {
    let Ok(marker) = crate::open(&folder.join(MARKER)) else {
        return false;
    };
    let mut said = Vec::new();
    let read = (&marker).take(1024).read_to_end(&mut said);
    if read.is_err() || said != OWNER {
        return false;
    }
    match marker.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}
