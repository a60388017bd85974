//! Why a bridge did not start or had to end.

use std::io;
use std::path::PathBuf;

use robot::DeviceError;

use crate::frames::PathTooLong;

/// Why a bridge did not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The plant and the limits disagree.
    #[error(
        "the plant has {plant} joints, the firmware limits list {limits}; use the robot file of this plant"
    )]
    JointCount {
        /// Joints of the plant.
        plant: usize,
        /// Joints in the limits.
        limits: usize,
    },
    /// Something that no bridge made has the path.
    #[error("{}: is {found}, which is left as it is; choose another path, or remove it if it is of no use", path.display())]
    PathTaken {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The path is too long for any socket.
    #[error(transparent)]
    TooLong(#[from] PathTooLong),
    /// A link or a socket could not be made at the path.
    #[error("{}: cannot make {what} here: {source}; {}", path.display(), name_remedy(source))]
    Name {
        /// The path.
        path: PathBuf,
        /// What was to be made.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another bridge has the path.
    #[error(
        "{}: {found}; stop that bridge or choose another path, or remove this name if no bridge runs",
        path.display()
    )]
    InUse {
        /// What another bridge does here.
        found: String,
        /// The socket or the link.
        path: PathBuf,
    },
    /// The plant failed: the bridge ends, and with it the arm's end of the line.
    #[error(transparent)]
    Plant(#[from] DeviceError),
    /// Anything else the operating system reports.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn name_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "make its folder first, or choose another path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a path in a folder that this user may write to"
        }
        io::ErrorKind::InvalidFilename => "give a shorter path",
        _ => "choose another path",
    }
}

pub(super) fn io_error(doing: &str, source: io::Error) -> BridgeError {
    BridgeError::Io {
        doing: doing.to_owned(),
        source,
    }
}
