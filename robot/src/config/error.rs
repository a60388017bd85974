//! Why a robot file was refused.

use std::path::PathBuf;

/// Why a robot file was refused. Every variant names the file and, where one is at fault, the field.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: cannot read the robot file: {source}; {}", read_remedy(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The path leads to something that is not a file: a folder, a pipe, a device or a socket.
    #[error(
        "{path}: is {found}, not a robot file; give the path of a text file, such as configs/sim-planar.ron"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The file is far larger than any robot file.
    #[error(
        "{path}: is larger than {max_bytes} bytes, which no robot file is; give the path of a robot file"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read.
        max_bytes: u64,
    },
    /// The file is not UTF-8 text.
    #[error("{path}: {problem}; save it as plain UTF-8 text")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What its bytes are.
        problem: String,
    },
    /// Not RON, an unknown field, or a value of the wrong type.
    #[error("{path}:{line}:{column}: {message}; configs/sim-planar.ron shows every field")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
        /// RON's own explanation.
        message: String,
    },
    /// Well-formed, but not a robot.
    #[error("{path}: field `{field}`: {problem}; {remedy}")]
    Field {
        /// The file.
        path: PathBuf,
        /// Dotted path of the field.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
}

fn read_remedy(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => "name an existing one, such as those in configs/",
        std::io::ErrorKind::PermissionDenied => "allow this user to read it",
        _ => "check the path and the disk",
    }
}
