//! Why an output could not be made.

use std::path::{Path, PathBuf};

/// Why an output could not be made. Every message names the path and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The name is taken.
    #[error("{path}: exists; name another output, or move it away")]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// The path ends in `..` or is the root folder.
    #[error("{path}: names no file and no folder that can be made; name one")]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Something is there that this program did not make.
    #[error(
        "{path}: exists, and this program did not make it, so it is left as it is; name another output, or move it away"
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder that was to be replaced holds something that this program did not make.
    #[error(
        "{folder}: holds `{name}`, which this program did not put there, so the folder is not replaced; name another output, or \
         move that away"
    )]
    Mixed {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        name: String,
    },
    /// A folder was replaced, and the older one could not be removed.
    #[error(
        "{folder}: is the new one; the older one is kept in {kept}, because of this: {problem}; take from there what you need, and remove it"
    )]
    OlderKept {
        /// The folder.
        folder: PathBuf,
        /// Where the older one is.
        kept: PathBuf,
        /// Why it was not removed.
        problem: String,
    },
    /// The file system refused.
    #[error("{path}: {doing}: {source}; check the path, its permissions and the space on its disk")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An output is whole, but cannot get its name.
    #[error("{name}: cannot get this name: {source}; the output is whole and is kept in {kept}")]
    Kept {
        /// The name it was to get.
        name: PathBuf,
        /// Where it is.
        kept: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl OutputError {
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}
