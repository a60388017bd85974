//! JSON files of others.

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{DatasetError, folder};

/// What a data set says of itself is short. A longer file is something else.
const LONGEST: u64 = 64 << 20;

/// A JSON file as a value.
///
/// # Errors
/// [`DatasetError`], which says where the text is in another encoding, cut off or no JSON.
pub(super) fn read(path: &Path) -> Result<Value, DatasetError> {
    typed(path)
}

/// A JSON file as what it describes.
///
/// # Errors
/// As [`read`].
pub(super) fn typed<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let mut bytes = Vec::new();
    folder::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| DatasetError::io(path, "cannot read", error))?;
    let refuse = |problem: &str, remedy: &str| DatasetError::field(path, "whole file", problem, remedy);
    if bytes.len() as u64 > LONGEST {
        let remedy = "give the folder of a LeRobotDataset";
        return Err(refuse("has more than 64 MiB, which no description has", remedy));
    }
    // A byte order mark in UTF-8 is harmless.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.starts_with(b"\xff\xfe")
        || text.starts_with(b"\xfe\xff")
        || text.iter().take(4).any(|byte| *byte == 0)
    {
        return Err(refuse("is UTF-16 or UTF-32 text", "save it as UTF-8"));
    }
    serde_json::from_slice(text).map_err(|error| {
        let field = format!("line {}, column {}", error.line(), error.column());
        let remedy = "give the folder of a LeRobotDataset, and fetch it again if it is one";
        DatasetError::field(path, field, error.to_string(), remedy)
    })
}
