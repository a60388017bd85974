//! Devices as a robot file names them: `arm: firmware(port: "/dev/ttyUSB0")`. Which kinds of devices there are, and what each must be
//! told, is known to the crate that drives them; here they are text. So is the part of a camera's picture that the model sees.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::{ConfigError, raw};

/// A device as written in a robot file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceText {
    /// The robot file, for messages.
    pub(super) path: PathBuf,
    /// The field that it is written in: `arm`, `camera`, `capture.view` or `capture.lens`.
    pub(super) field: &'static str,
    /// Its text in RON: the kind, and in parentheses what it must be told.
    pub(super) ron: String,
}

impl DeviceText {
    /// The device, as `D` describes devices.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a kind that `D` does not know, and for fields that are missing, unknown or of another type.
    pub fn read<D: DeserializeOwned>(&self) -> Result<D, ConfigError> {
        raw::options()
            .with_default_extension(ron::extensions::Extensions::UNWRAP_VARIANT_NEWTYPES)
            .from_str(&self.ron)
            .map_err(|error| {
                let text = self.ron.trim();
                self.refuse(
                    format!("`{text}`: {}", error.code),
                    "ARCHITECTURE.md (What is outside) lists the devices and their fields",
                )
            })
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        let text = self.ron.trim();
        let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        text[..end.unwrap_or(text.len())] == *kind
    }

    /// An error about it.
    pub fn refuse(&self, problem: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
        ConfigError::Field {
            path: self.path.clone(),
            field: self.field.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// An arm that is a simulated task.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SimulatedArm {
    /// `simulated(task: .., substeps: ..)`.
    Simulated(super::Simulated),
}
