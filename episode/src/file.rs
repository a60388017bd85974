//! The file of a log: how it reaches the disk, and whether it is still there.

use std::fs::{File, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::EpisodeError;

/// Which file it is: its device and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    identity: Identity,
    /// Bytes that the operating system has taken.
    written: AtomicU64,
    /// Whether a flush waits for the disk.
    durable: AtomicBool,
}

/// The file of a log that is being written, opened for appending. A flush of a durable one waits until the disk has what was written.
#[derive(Debug, Clone)]
pub struct LogFile(Arc<Inner>);

impl LogFile {
    /// Takes over `file`, which was created at `path` just now, is empty, and was opened for appending.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn new(file: File, path: &Path) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            identity: Identity::of(&file.metadata()?),
            file,
            path: path.to_owned(),
            written: AtomicU64::new(0),
            durable: AtomicBool::new(false),
        })))
    }

    /// From now on each flush waits for the disk. What was written before, and the name of the file in its folder, go to the disk at once.
    pub(crate) fn make_durable(&self) -> std::io::Result<()> {
        self.0.durable.store(true, Ordering::Relaxed);
        self.sync()
    }

    /// Waits until the disk has the file and its name, if it is a durable one.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        if !self.0.durable.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.0.file.sync_all()?;
        files::sync_folder_of(&self.0.path)
    }

    /// Whether the file is still where it was created, and has what was written and nothing else.
    ///
    /// # Errors
    /// [`EpisodeError::Gone`].
    pub(crate) fn check(&self) -> Result<(), EpisodeError> {
        let inner = &*self.0;
        let gone = |problem: String| EpisodeError::Gone {
            path: inner.path.clone(),
            problem,
        };
        let there = std::fs::metadata(&inner.path)
            .map_err(|error| gone(format!("the file can no longer be found ({error})")))?;
        if Identity::of(&there) != inner.identity {
            return Err(gone("another file is in its place".to_owned()));
        }
        let (found, written) = (there.len(), inner.written.load(Ordering::Relaxed));
        if found != written {
            return Err(gone(format!(
                "it has {found} bytes where {written} were written, so somebody else has changed it"
            )));
        }
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let count = (&self.0.file).write(data)?;
        self.0.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.0.durable.load(Ordering::Relaxed) {
            self.0.file.sync_data()?;
        }
        Ok(())
    }
}
