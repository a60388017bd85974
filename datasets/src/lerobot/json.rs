//! JSON files of others.

use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::DatasetError;

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
    let text = files::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            DatasetError::field(path, "whole file", "is not here", "fetch the data set again")
        }
        ErrorKind::InvalidData => {
            DatasetError::field(path, "whole file", error.to_string(), "then import again")
        }
        _ => DatasetError::io(path, "cannot read", error),
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let field = format!("line {}, column {}", error.line(), error.column());
        let remedy = "give the folder of a LeRobotDataset, and fetch it again if it is one";
        DatasetError::field(path, field, error.to_string(), remedy)
    })
}
