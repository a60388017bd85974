//! What a path must be for a socket to be there.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::libc::sockaddr_un;

/// Bytes that the system takes for a socket's path, its final zero not counted: 107 on Linux.
const PATH_BYTES_MAX: usize = size_of::<sockaddr_un>() - std::mem::offset_of!(sockaddr_un, sun_path) - 1;

/// A path that no socket can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: {bytes} bytes are too many for the path of a socket, which has {max_bytes} at most; give a shorter path: one that is \
     closer to the current folder, or in /tmp", path.display()
)]
pub struct PathTooLong {
    /// The path.
    pub path: PathBuf,
    /// Its length.
    pub bytes: usize,
    /// The longest that the system takes.
    pub max_bytes: usize,
}

/// Refuses a path that is too long for a socket.
///
/// # Errors
/// [`PathTooLong`].
pub fn check_length(path: &Path) -> Result<(), PathTooLong> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(PathTooLong {
        path: path.to_owned(),
        bytes,
        max_bytes: PATH_BYTES_MAX,
    })
}
