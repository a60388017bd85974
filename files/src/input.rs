//! Opening files that a user names.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

/// The longest text file that is read, in bytes. No robot file, preset or description comes near it.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Opens a regular file for reading. Never waits.
///
/// # Errors
/// What the operating system says; [`ErrorKind::InvalidInput`] for a folder, a FIFO, a device or a socket, with a message that
/// says which it is.
pub fn open(path: &Path) -> Result<File> {
    // Looked at first, since opening a device can do something, such as reset a board.
    regular(&std::fs::metadata(path)?)?;
    // It may have become another file since: a FIFO would wait for a writer without `O_NONBLOCK`.
    let file = File::options()
        .read(true)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file.
///
/// # Errors
/// Those of [`open`], and of reading.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file of text in UTF-8, of at most [`TEXT_BYTES_MAX`] bytes, without its byte order mark.
///
/// # Errors
/// Those of [`open`], and [`ErrorKind::InvalidData`] for one that is longer, or is no text.
pub fn read_to_string(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    open(path)?.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        let problem = format!(
            "it is longer than {} MiB, as no text file is",
            TEXT_BYTES_MAX >> 20
        );
        return Err(Error::new(ErrorKind::InvalidData, problem));
    }
    crate::text(bytes).map_err(|problem| {
        Error::new(
            ErrorKind::InvalidData,
            format!("it {problem}; save it as plain UTF-8 text"),
        )
    })
}

/// What there is in place of a regular file, in words; `None` if it is one.
pub fn kind_of(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some("a link")
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe (FIFO)")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Refuses everything but a regular file.
fn regular(metadata: &Metadata) -> Result<()> {
    match kind_of(metadata) {
        None => Ok(()),
        Some(what) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("it is {what}, not a regular file"),
        )),
    }
}
