//! Output folders.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use crate::OutputError;
use crate::scratch::{Scratch, parent};

/// An output folder that gets its name when it is whole: half a data set trains as well as a whole one, and nobody notices.
///
/// Begin it after the inputs were opened and found good. What is in [`NewFolder::path`] is removed if this is dropped before it is
/// finished.
#[derive(Debug)]
pub struct NewFolder {
    scratch: Scratch,
    inside: PathBuf,
    name: PathBuf,
}

impl NewFolder {
    /// Makes an empty folder that is to become `name`, and the folders above it. Nothing may have that name yet.
    ///
    /// # Errors
    /// [`OutputError::Exists`] if there is something of that name, [`OutputError::NoName`], [`OutputError::Io`].
    pub fn begin(name: &Path) -> Result<Self, OutputError> {
        // With a slash at its end the name of a file or of a link that leads nowhere would look free.
        let name: PathBuf = name.components().collect();
        let name = name.as_path();
        if std::fs::symlink_metadata(name).is_ok() {
            return Err(OutputError::Exists {
                path: name.to_owned(),
            });
        }
        Self::begin_over(name)
    }

    /// Makes an empty folder that is to take the place of the folder `name`, if there is one; for [`NewFolder::finish_over`].
    ///
    /// # Errors
    /// [`OutputError::NoName`], [`OutputError::Io`].
    pub fn begin_over(name: &Path) -> Result<Self, OutputError> {
        // `file_name` sees past a slash at the end.
        let Some(last) = name.file_name() else {
            return Err(OutputError::NoName {
                path: name.to_owned(),
            });
        };
        let beside = parent(name);
        std::fs::create_dir_all(beside).map_err(OutputError::io(beside, "cannot make the folder"))?;
        let scratch = Scratch::beside(beside, None)
            .map_err(OutputError::io(beside, "cannot make a folder to work in here"))?;
        let inside = scratch.path().join(last);
        std::fs::create_dir(&inside).map_err(OutputError::io(&inside, "cannot make the folder"))?;
        Ok(Self {
            scratch,
            inside,
            name: beside.join(last),
        })
    }

    /// Where the output is made.
    pub fn path(&self) -> &Path {
        &self.inside
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// [`OutputError::Kept`] if something has got that name in the meantime: what was made is then kept elsewhere.
    pub fn finish(self) -> Result<(), OutputError> {
        match rename_new(&self.inside, &self.name) {
            Ok(()) => Ok(()),
            Err(source) => Err(self.kept(source)),
        }
    }

    /// Gives the folder its name, in place of a folder there that holds nothing but files of the names in `ours`. The older one
    /// is removed after the new one has taken its place.
    ///
    /// # Errors
    /// [`OutputError::Mixed`] if the older folder holds something else, [`OutputError::Kept`] if the name cannot be had.
    pub fn finish_over(self, ours: &BTreeSet<String>) -> Result<(), OutputError> {
        match std::fs::symlink_metadata(&self.name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return self.finish(),
            Err(error) => return Err(self.kept(error)),
            Ok(there) if !there.is_dir() => {
                return Err(OutputError::Foreign {
                    path: self.name.clone(),
                });
            }
            Ok(_) => {}
        }
        holds_only(&self.name, ours)?;
        match exchange(&self.inside, &self.name, &self.scratch) {
            // The older folder is now in the scratch folder, and goes with it.
            Ok(()) => Ok(()),
            Err(source) => Err(self.kept(source)),
        }
    }

    fn kept(self, source: Error) -> OutputError {
        let last = self.inside.file_name().unwrap_or_default().to_owned();
        OutputError::Kept {
            name: self.name,
            kept: self.scratch.keep().join(last),
            source,
        }
    }
}

/// Whether `folder` holds nothing but regular files of these names, hidden ones included.
fn holds_only(folder: &Path, ours: &BTreeSet<String>) -> Result<(), OutputError> {
    for entry in std::fs::read_dir(folder).map_err(OutputError::io(folder, "cannot list"))? {
        let entry = entry.map_err(OutputError::io(folder, "cannot list"))?;
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !(is_file && name.to_str().is_some_and(|name| ours.contains(name))) {
            return Err(OutputError::Mixed {
                folder: folder.to_owned(),
                name: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Renames without ever replacing anything.
pub(crate) fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::errno::Errno;
        use nix::fcntl::RenameFlags;
        match linux(from, to, RenameFlags::RENAME_NOREPLACE) {
            // Not every file system can.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => {}
            done => return done.map_err(Into::into),
        }
    }
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Swaps two folders, so that at no time there is none under `to`; where the file system cannot, the one under `to` is moved into
/// the scratch folder first.
fn exchange(from: &Path, to: &Path, scratch: &Scratch) -> std::io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::errno::Errno;
        use nix::fcntl::RenameFlags;
        match linux(from, to, RenameFlags::RENAME_EXCHANGE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => {}
            done => return done.map_err(Into::into),
        }
    }
    let aside = scratch.path().join(".older");
    std::fs::rename(to, &aside)?;
    rename_new(from, to).inspect_err(|_| {
        // Back where it was; what went wrong is told by the first error.
        let _ = rename_new(&aside, to);
    })
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn linux(from: &Path, to: &Path, flags: nix::fcntl::RenameFlags) -> Result<(), nix::errno::Errno> {
    use nix::fcntl::AT_FDCWD;
    nix::fcntl::renameat2(AT_FDCWD, from, AT_FDCWD, to, flags)
}
