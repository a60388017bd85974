//! Files that a file names: only those that lie in its own folder.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Reads the regular file `name` in `folder`, of at most `bytes_max` bytes. `name` comes from a file of somebody else's: it must be the
/// plain name of something in the folder. A link is followed only to another file of the same folder.
///
/// # Errors
/// [`ErrorKind::PermissionDenied`], with a message that says why, for a name that leads out of the folder; it is then not opened.
/// [`ErrorKind::FileTooLarge`] for a longer file. Otherwise those of [`crate::open`], and of reading.
pub fn read_inside(folder: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>> {
    let path = folder.join(name);
    if !is_plain_name(name) {
        return Err(outside("a file is named by its plain name, without a folder"));
    }
    let real = path.canonicalize()?;
    if real.parent() != Some(folder.canonicalize()?.as_path()) {
        return Err(outside(
            "it is a link that leads out of this folder; put the file itself here",
        ));
    }
    read_at_most(&real, bytes_max)
}

/// Reads a regular file of at most `bytes_max` bytes. The file's own claim of its length is not believed.
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] for a longer file. Otherwise those of [`crate::open`], and of reading.
pub fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    crate::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let problem = format!("it is longer than {bytes_max} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// Whether `name` is the name of something in a folder, and not a path: `a.onnx`, but neither `../a`, `/a`, `a/b`, `.` nor an empty one.
pub fn is_plain_name(name: &str) -> bool {
    // A path drops a slash at its end, so that `a/` has the file name `a`.
    Path::new(name).file_name() == Some(OsStr::new(name)) && !name.contains('\0')
}

fn outside(problem: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, problem)
}
