//! Output files.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::OutputError;
use crate::folder::rename_new;
use crate::scratch::{Scratch, parent};

/// Bytes at the beginning of a file by which it is known.
const HEAD_BYTES: u64 = 64 * 1024;

/// Writes `bytes` to `path` in one step: all of it or nothing. A file that is there is replaced only if `ours` knows it as one that
/// this program made by its first 64 KiB; an empty file holds nothing that could be lost, and is replaced.
///
/// # Errors
/// [`OutputError::Foreign`] if something else is there, [`OutputError::NoName`], [`OutputError::Io`]. What is there is then as it
/// was.
pub fn put(path: &Path, bytes: &[u8], ours: &dyn Fn(&[u8]) -> bool) -> Result<(), OutputError> {
    put_with(path, ours, |file| {
        std::fs::write(file, bytes).map_err(OutputError::io(path, "cannot write"))
    })
}

/// As [`put`], with a file that `make` writes at the path it is given, which has the same file name.
///
/// # Errors
/// Those of [`put`] and of `make`.
pub fn put_with<E: From<OutputError>>(
    path: &Path,
    ours: &dyn Fn(&[u8]) -> bool,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    check(path, ours)?;
    write(path, make)
}

/// Whether [`put`] would write to `path`: for a look before hours of work.
///
/// # Errors
/// [`OutputError::Foreign`] if something is there that `ours` does not know, [`OutputError::Io`].
pub fn check(path: &Path, ours: &dyn Fn(&[u8]) -> bool) -> Result<(), OutputError> {
    let foreign = || OutputError::Foreign {
        path: path.to_owned(),
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OutputError::io(path, "cannot look at")(error)),
        Ok(_) => {}
    }
    let file = crate::open(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::NotFound => foreign(),
        _ => OutputError::io(path, "cannot look at")(error),
    })?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(OutputError::io(path, "cannot look at"))?;
    if head.is_empty() || ours(&head) {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// Replaces a file that is known to be this program's, or that the user asks to have edited, in one step: all of it or nothing.
/// Its permissions stay, and a link stays a link.
///
/// # Errors
/// [`OutputError::NoName`], [`OutputError::Io`]. What is there is then as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    write(path, |file| {
        std::fs::write(file, bytes).map_err(OutputError::io(path, "cannot write"))
    })
}

fn write<E: From<OutputError>>(path: &Path, make: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    // The file that a link leads to is replaced, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(last) = target.file_name() else {
        return Err(OutputError::NoName {
            path: path.to_owned(),
        }
        .into());
    };
    let beside = parent(&target);
    let scratch = Scratch::beside(beside, Some(last))
        .map_err(OutputError::io(beside, "cannot make a folder to work in here"))?;
    let made = scratch.path().join(last);
    make(&made)?;
    settle(&made, &target).map_err(OutputError::io(path, "cannot write"))?;
    Ok(())
}

/// Puts a file that was made in its place, once it is on the disk.
fn settle(made: &Path, target: &Path) -> std::io::Result<()> {
    let file = File::options().append(true).open(made)?;
    file.sync_all()?;
    match std::fs::metadata(target) {
        Ok(there) => {
            file.set_permissions(there.permissions())?;
            std::fs::rename(made, target)?;
        }
        Err(_) => rename_new(made, target)?,
    }
    // The name, too. A disk that fails here has the file itself already.
    let _ = sync_folder_of(target);
    Ok(())
}

/// Waits until the disk has the name of the file at `path` in its folder. File systems that cannot do that are left alone.
///
/// # Errors
/// What the operating system says.
pub fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    match File::open(parent(path)).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}
