//! What can go wrong with a data set, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a data set could not be read or written. Every message names file, field and remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file or folder could not be read or written.
    #[error("{path}: {doing}: {source}; check the path, its permissions and the space on its disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: field `{field}`: {problem}; {remedy}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, column or array.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// Parquet could not be read or written.
    #[error("{path}: {source}; the file may be cut off or damaged: fetch it again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's complaint.
        source: parquet::errors::ParquetError,
    },
    /// A run log.
    #[error(transparent)]
    Log(#[from] episode::EpisodeError),
    /// The data set, or the logs of it, could not be put where they were to be.
    #[error(transparent)]
    Output(#[from] files::OutputError),
    /// Logs that are not of one robot.
    #[error(
        "{path}: {field} is {found}, that of the logs before is {expected}; export the logs of one robot at a time"
    )]
    Mixed {
        /// The log.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// Here.
        found: String,
        /// Before.
        expected: String,
    },
    /// A data set that does not agree with itself, where it must.
    #[error(
        "{path}: does not agree with itself in {count} places: {first}; repair it, or leave out --strict to leave out what disagrees"
    )]
    Disagrees {
        /// The data set.
        path: PathBuf,
        /// How many disagreements there are.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// Nothing of a data set can be used.
    #[error("{path}: nothing of it can be taken: {reasons}; repair the data set, or fetch it again")]
    NothingLeft {
        /// The data set.
        path: PathBuf,
        /// Why, the first reasons.
        reasons: String,
    },
    /// Nothing to export or import.
    #[error("{path}: {what}; give a folder that has some")]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
}

impl DatasetError {
    pub(crate) fn io(path: &Path, doing: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            doing,
            source,
        }
    }

    pub(crate) fn parquet(path: &Path, source: parquet::errors::ParquetError) -> Self {
        Self::Parquet {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn field(
        path: &Path,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Field {
            path: path.to_owned(),
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
