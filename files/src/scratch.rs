//! Folders in which outputs are made.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How the names of all scratch folders begin; eight random letters follow.
const PREFIX: &str = ".armillary-partial-";

/// The file in a scratch folder that says whose it is. Its maker holds a lock on it.
const MARKER: &str = ".made-by-armillary";

/// What a marker says first. The name of its own folder follows, and the name of the file that is made in it, or nothing.
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
    /// Makes one in `parent` for a file of the name `file`, or for a folder if there is none. Files that killed programs left
    /// there half-made are removed. A warning names half-made folders.
    pub(crate) fn beside(parent: &Path, file: Option<&OsStr>) -> std::io::Result<Self> {
        sweep(parent, file.is_none());
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(8)
            .tempdir_in(parent)?;
        let mut marker = File::options()
            .write(true)
            .create_new(true)
            .open(folder.path().join(MARKER))?;
        // Locked before it says anything: a folder is left over only if its marker is written and free.
        let _ = marker.try_lock();
        let name = folder.path().file_name().unwrap_or_default();
        marker.write_all(&says(name, file.unwrap_or_default()))?;
        Ok(Self {
            folder,
            _marker: marker,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder there, without its marker: it is nobody's left-over. Returns where it is.
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

/// What the marker of the folder `name` says, in which `file` is made.
fn says(name: &OsStr, file: &OsStr) -> Vec<u8> {
    [OWNER, name.as_bytes(), b"\n", file.as_bytes(), b"\n"].concat()
}

/// Looks for scratch folders in `parent` whose makers are gone. Of a file that was being made, that file and the marker are removed,
/// and the folder if nothing else is in it. A warning names a folder that was being made if `tell`: somebody may have put something
/// into it.
fn sweep(parent: &Path, tell: bool) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !name.as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Some((_marker, file)) = left_over(&folder, &name) else {
            continue;
        };
        if !file.is_empty() {
            let _ = std::fs::remove_file(folder.join(OsStr::from_bytes(&file)));
            let _ = std::fs::remove_file(folder.join(MARKER));
            let _ = std::fs::remove_dir(&folder);
        } else if tell {
            log::warn!(
                "{}: a program that was interrupted left this folder; remove it if nothing in it is needed",
                folder.display()
            );
        }
    }
}

/// The marker of a folder, locked, and the name of the file that was made in it. `None` if the folder is not a scratch folder of this
/// name, or if its maker still runs.
fn left_over(folder: &Path, name: &OsStr) -> Option<(File, Vec<u8>)> {
    let marker = crate::open(&folder.join(MARKER)).ok()?;
    let mut said = Vec::new();
    (&marker).take(2048).read_to_end(&mut said).ok()?;
    // A copy of a scratch folder has another name than its marker says.
    let file = said
        .strip_prefix(says(name, OsStr::new("")).strip_suffix(b"\n")?)?
        .strip_suffix(b"\n")?
        .to_vec();
    let is_name = !file.contains(&b'/') && file != b"." && file != b"..";
    match marker.try_lock() {
        Ok(()) if is_name => Some((marker, file)),
        Ok(()) | Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}
