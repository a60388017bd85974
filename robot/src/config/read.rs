//! The text of a robot file, or a sentence about what is there in its place.

use std::io::Read;
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
    if let Some(found) = files::kind_of(&metadata) {
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
    files::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(read_error)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(too_large());
    }
    files::text(bytes).map_err(|problem| ConfigError::Encoding {
        path: path.to_owned(),
        problem,
    })
}
