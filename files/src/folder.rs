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
        // `file_name` ignores a trailing slash.
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
    /// [`OutputError::Mixed`] if the older folder holds something else, [`OutputError::Kept`] if the name cannot be had,
    /// [`OutputError::OlderKept`] if something else was put into the older folder at the last moment: the new one has the name then.
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
        self.take_place(ours)
    }

    /// Swaps the new folder and the older one, which held nothing but files of the names in `ours`, and removes the older one.
    fn take_place(self, ours: &BTreeSet<String>) -> Result<(), OutputError> {
        let older = match exchange(&self.inside, &self.name, &self.scratch) {
            Ok(older) => older,
            Err(source) => return Err(self.kept(source)),
        };
        // Somebody may have put something into it after it was looked at. Its new place is known to nobody.
        match remove_known(&older, ours) {
            Ok(()) => Ok(()),
            Err(problem) => {
                let last = older.file_name().unwrap_or_default().to_owned();
                Err(OutputError::OlderKept {
                    folder: self.name,
                    kept: self.scratch.keep().join(last),
                    problem: problem.to_string(),
                })
            }
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

/// Removes a folder if it holds nothing but regular files of these names.
fn remove_known(folder: &Path, ours: &BTreeSet<String>) -> Result<(), OutputError> {
    holds_only(folder, ours)?;
    for name in ours {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(OutputError::io(&path, "cannot remove")(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    // Fails if there is anything else in it by now.
    std::fs::remove_dir(folder).map_err(OutputError::io(folder, "cannot remove"))
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
/// the scratch folder first. Returns where the folder is now that was under `to`.
fn exchange(from: &Path, to: &Path, scratch: &Scratch) -> std::io::Result<PathBuf> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::errno::Errno;
        use nix::fcntl::RenameFlags;
        match linux(from, to, RenameFlags::RENAME_EXCHANGE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => {}
            Ok(()) => return Ok(from.to_owned()),
            Err(errno) => return Err(errno.into()),
        }
    }
    let aside = scratch.path().join(".older");
    std::fs::rename(to, &aside)?;
    rename_new(from, to).inspect_err(|_| {
        // Moves it back. The first error says what went wrong.
        let _ = rename_new(&aside, to);
    })?;
    Ok(aside)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn linux(from: &Path, to: &Path, flags: nix::fcntl::RenameFlags) -> Result<(), nix::errno::Errno> {
    use nix::fcntl::AT_FDCWD;
    nix::fcntl::renameat2(AT_FDCWD, from, AT_FDCWD, to, flags)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::NewFolder;
    use crate::OutputError;

    #[test]
    fn a_file_that_is_put_into_the_older_folder_after_it_was_looked_at_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("bundle");
        let known: BTreeSet<String> = ["a".to_owned()].into();
        fs::create_dir(&name).unwrap();
        fs::write(name.join("a"), "older").unwrap();
        fs::write(name.join("thesis.txt"), "three years of work").unwrap();
        let folder = NewFolder::begin_over(&name).unwrap();
        fs::write(folder.path().join("a"), "newer").unwrap();
        // What `finish_over` does after it has looked.
        let error = folder.take_place(&known).unwrap_err();
        let OutputError::OlderKept { kept, .. } = &error else {
            panic!("{error}")
        };
        let said = error.to_string();
        assert!(
            said.contains("thesis.txt") && said.contains(&kept.display().to_string()),
            "{said}"
        );
        assert_eq!(fs::read(kept.join("thesis.txt")).unwrap(), b"three years of work");
        assert_eq!(fs::read(kept.join("a")).unwrap(), b"older");
        assert_eq!(fs::read(name.join("a")).unwrap(), b"newer");
        // The next one leaves it there.
        drop(NewFolder::begin(&dir.path().join("another")).unwrap());
        assert!(kept.join("thesis.txt").exists());
    }
}
