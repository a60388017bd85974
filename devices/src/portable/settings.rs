//! What a robot file says of a camera of the portable library.

use std::sync::Arc;

use robot::Config;
use robot::device::DeviceError;
use serde::Deserialize;

use super::{Opener, PortableCamera, PortableError};
use crate::cameras::{CameraSettings, OpenCamera};
use crate::webcam::{Format, black_level, frozen_after};

/// A camera of the portable library:
/// `portable(device: "FaceTime HD Camera", width: 640, height: 480, rate_hz: 30, format: mjpeg)`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The camera's name, or its number (`"0"`), which may be another camera's tomorrow.
    pub device: String,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second. The library knows whole numbers alone.
    pub rate_hz: u32,
    /// How pictures are sent.
    #[serde(default)]
    pub format: Format,
    /// After how many equal pictures in a row the camera counts as frozen. 0 is never, for pictures without noise.
    #[serde(default = "frozen_after")]
    pub frozen_after: u32,
    /// Brightest level, from 0 to 255, that still counts as black.
    #[serde(default = "black_level")]
    pub black_level: u8,
}

/// A camera that the library lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number, as `device` takes it.
    pub number: String,
    /// Its name.
    pub name: String,
}

impl Settings {
    /// A camera of 640 x 480 pixels at 30 Hz by JPEG.
    pub fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            width: 640,
            height: 480,
            rate_hz: 30,
            format: Format::default(),
            frozen_after: frozen_after(),
            black_level: black_level(),
        }
    }

    /// Checks what can be checked without the camera.
    ///
    /// # Errors
    /// [`PortableError::Setting`].
    pub fn check(&self) -> Result<(), PortableError> {
        let wrong = |field, problem: String, remedy| {
            Err(PortableError::Setting {
                field,
                problem,
                remedy,
            })
        };
        if self.device.trim().is_empty() {
            return wrong(
                "device",
                "is empty".to_owned(),
                "write the camera's name or number",
            );
        }
        for (field, value) in [("width", self.width), ("height", self.height)] {
            if !(1..=8192).contains(&value) {
                let remedy = "write the number of pixels, such as 640 x 480";
                return wrong(field, format!("is {value}"), remedy);
            }
        }
        if !(1..=1000).contains(&self.rate_hz) {
            let remedy = "write pictures a second, such as 30";
            return wrong("rate_hz", format!("is {}", self.rate_hz), remedy);
        }
        Ok(())
    }
}

impl CameraSettings for Settings {
    fn open(&self, config: &Config) -> Result<OpenCamera, DeviceError> {
        let open = || {
            self.check()?;
            PortableCamera::start(self, opener(self)?, config.realtime.capture_priority)
        };
        let camera = open()
            .map_err(|error: PortableError| DeviceError::new(format!("robot `{}`: {error}", config.name)))?;
        if let Some(agreed) = camera.agreed() {
            log::info!(
                "camera {}: {} x {} {}, {} pictures a second; ages of pictures are from arrival",
                agreed.name,
                agreed.width,
                agreed.height,
                self.format.name(),
                agreed.rate_hz
            );
        }
        Ok(OpenCamera {
            camera: Box::new(camera),
            task: None,
        })
    }
}

/// What opens a camera by the library.
///
/// # Errors
/// [`PortableError::NotBuilt`] in a program without the library.
#[cfg(feature = "nokhwa")]
pub fn opener(settings: &Settings) -> Result<Arc<dyn Opener>, PortableError> {
    Ok(Arc::new(super::library::Library::new(settings)))
}

/// What opens a camera by the library.
///
/// # Errors
/// [`PortableError::NotBuilt`] in a program without the library.
#[cfg(not(feature = "nokhwa"))]
pub fn opener(_settings: &Settings) -> Result<Arc<dyn Opener>, PortableError> {
    Err(PortableError::NotBuilt)
}

/// The cameras that the library lists.
///
/// # Errors
/// [`PortableError::NotBuilt`] in a program without the library; [`PortableError::Open`] if the library cannot list them.
#[cfg(feature = "nokhwa")]
pub fn list() -> Result<Vec<Listed>, PortableError> {
    super::library::list().map_err(PortableError::Open)
}

/// The cameras that the library lists.
///
/// # Errors
/// [`PortableError::NotBuilt`] in a program without the library; [`PortableError::Open`] if the library cannot list them.
#[cfg(not(feature = "nokhwa"))]
pub fn list() -> Result<Vec<Listed>, PortableError> {
    Err(PortableError::NotBuilt)
}
