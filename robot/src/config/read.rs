//! The text of a robot file, or a sentence about what is there in its place.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::ConfigError;

/// The largest robot file that is read, in bytes. The shipped ones have less than 2,000.
const BYTES_MAX: u64 = 1 << 20;

/// Reads a robot file as text, without its byte order mark if it begins with that of UTF-8.
///
/// # Errors
/// [`ConfigError::Read`], [`ConfigError::NotAFile`], [`ConfigError::TooLarge`] or [`ConfigError::Encoding`]. Nothing that is
/// not a plain file is opened, since opening a pipe can wait for ever.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let read_error = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let too_large = || ConfigError::TooLarge {
        path: path.to_owned(),
        max_bytes: BYTES_MAX,
    };
    let metadata = std::fs::metadata(path).map_err(read_error)?;
    if let Some(found) = not_a_file(&metadata) {
        return Err(ConfigError::NotAFile {
            path: path.to_owned(),
            found,
        });
    }
    if metadata.len() > BYTES_MAX {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte more: files of the kernel's say that they have none, and hold as many as they like.
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(read_error)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(too_large());
    }
    text(bytes).map_err(|problem| ConfigError::Encoding {
        path: path.to_owned(),
        problem,
    })
}

/// What is there, if it is not a plain file.
fn not_a_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// The text that `bytes` are, or what they are in place of UTF-8.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = wide_encoding(&bytes) {
        return Err(format!("is {encoding} text"));
    }
    let marked = bytes.starts_with(&[0xEF, 0xBB, 0xBF]);
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        format!(
            "line {} holds the byte 0x{:02X}, which is not UTF-8 (Latin-1 and Windows-1252 files hold such bytes)",
            line(&bytes[..at]),
            bytes[at]
        )
    })?;
    if marked {
        text.remove(0);
    }
    if let Some(at) = text.find('\0') {
        let line = line(&text.as_bytes()[..at]);
        return Err(format!("line {line} holds a NUL byte, which no text holds"));
    }
    if text.contains('\r') && !text.contains('\n') {
        return Err(
            "ends its lines with carriage returns, so that the first comment covers the whole file"
                .to_owned(),
        );
    }
    Ok(text)
}

/// One-based number of the line that follows `before`.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The encoding with two or four bytes a letter that `bytes` are in: by its mark, or by where its zeros stand.
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    const MARKS: [(&[u8], &str); 4] = [
        // In this order: the mark of UTF-32 begins with that of UTF-16.
        (&[0xFF, 0xFE, 0, 0], "UTF-32 (little-endian)"),
        (&[0, 0, 0xFE, 0xFF], "UTF-32 (big-endian)"),
        (&[0xFF, 0xFE], "UTF-16 (little-endian)"),
        (&[0xFE, 0xFF], "UTF-16 (big-endian)"),
    ];
    if let Some((_, encoding)) = MARKS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Some(encoding);
    }
    let mut zeros = [0_usize; 4];
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        zeros[at % 4] += 1;
    }
    // A robot file is mostly ASCII, whose other bytes are zero. Half of them is more than chance and less than all.
    let many = zeros.map(|count| count > bytes.len() / 8);
    match many {
        [false, true, true, true] => Some("UTF-32 (little-endian)"),
        [true, true, true, false] => Some("UTF-32 (big-endian)"),
        [false, true, false, true] => Some("UTF-16 (little-endian)"),
        [true, false, true, false] => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}
