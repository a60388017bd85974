//! What a robot file says of a webcam.

use robot::Config;
use robot::device::{BLACK_LEVEL, DeviceError, PixelFormat};
use serde::{Deserialize, Serialize};

use super::Webcam;
use super::abi::four_letters;
use crate::cameras::{CameraSettings, OpenCamera};

/// A webcam: `webcam(device: "usb-046d:0825-5A3B12", width: 640, height: 480, rate_hz: 30, format: mjpeg, exposure_us: value(8000))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which camera: its model and serial number (`usb-046d:0825-5A3B12`), its socket (`usb-1-2`), or a node (`/dev/video0`, which may
    /// be another camera tomorrow).
    pub device: String,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub rate_hz: f64,
    /// How pictures are sent.
    #[serde(default)]
    pub format: Format,
    /// Exposure time, in microseconds. V4L2 has steps of 100.
    #[serde(default)]
    pub exposure_us: Lock,
    /// White balance, as a colour temperature in kelvin.
    #[serde(default)]
    pub white_balance_k: Lock,
    /// Focus, in the camera's own steps.
    #[serde(default)]
    pub focus: Lock,
    /// Gain, in the camera's own steps.
    #[serde(default)]
    pub gain: Lock,
    /// Oldest picture that is handed over, in seconds. Two periods of the rate that the camera agreed to if not given.
    #[serde(default)]
    pub age_max_s: Option<f64>,
    /// After how many repetitions in a row of one picture the camera counts as frozen: this one and all later ones are dropped. A camera
    /// has noise, and repeats a picture once or twice where it is dark. 0 is never, for pictures without noise.
    #[serde(default = "frozen_after")]
    pub frozen_after: u32,
    /// Brightest level, from 0 to 255, that still counts as black.
    #[serde(default = "black_level")]
    pub black_level: u8,
}

pub(crate) fn frozen_after() -> u32 {
    3
}

pub(crate) fn black_level() -> u8 {
    BLACK_LEVEL
}

/// How a camera sends pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JPEG each. What most cameras need for 640 x 480 at 30 Hz and more.
    #[default]
    Mjpeg,
    /// Uncompressed, two bytes a pixel.
    Yuyv,
    /// Uncompressed, a byte and a half a pixel.
    Nv12,
    /// Uncompressed, three bytes a pixel.
    Rgb,
}

impl Format {
    /// The kernel's codes for it, the usual one first.
    pub(super) fn codes(self) -> &'static [u32] {
        const MJPG: u32 = four_letters(*b"MJPG");
        const JPEG: u32 = four_letters(*b"JPEG");
        const YUYV: u32 = four_letters(*b"YUYV");
        const NV12: u32 = four_letters(*b"NV12");
        const RGB3: u32 = four_letters(*b"RGB3");
        match self {
            Self::Mjpeg => &[MJPG, JPEG],
            Self::Yuyv => &[YUYV],
            Self::Nv12 => &[NV12],
            Self::Rgb => &[RGB3],
        }
    }

    /// The format of one of the kernel's codes, if it is one of these.
    pub(super) fn of_code(code: u32) -> Option<Self> {
        [Self::Mjpeg, Self::Yuyv, Self::Nv12, Self::Rgb]
            .into_iter()
            .find(|format| format.codes().contains(&code))
    }

    /// As a robot file has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mjpeg => "mjpeg",
            Self::Yuyv => "yuyv",
            Self::Nv12 => "nv12",
            Self::Rgb => "rgb",
        }
    }

    /// As its pictures say it.
    pub(crate) fn of_pictures(self) -> PixelFormat {
        match self {
            Self::Mjpeg => PixelFormat::Jpeg,
            Self::Yuyv => PixelFormat::Yuyv,
            Self::Nv12 => PixelFormat::Nv12,
            Self::Rgb => PixelFormat::Rgb8,
        }
    }
}

/// What becomes of something that cameras like to change by themselves. A model that learned on one exposure knows no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// It stays as it is.
    #[default]
    Leave,
    /// The camera decides, again and again.
    Auto,
    /// The camera decides no more; what it chose last stays.
    Hold,
    /// This value, for good.
    Value(i32),
}

impl CameraSettings for Settings {
    fn open(&self, config: &Config) -> Result<OpenCamera, DeviceError> {
        let webcam = Webcam::start(self, config.realtime.capture_priority)
            .map_err(|error| DeviceError::new(format!("robot `{}`: `camera`: {error}", config.name)))?;
        if let Some(agreed) = webcam.agreed() {
            log::info!(
                "camera {} ({}): {} x {} {}, {} pictures a second",
                self.device,
                agreed.card,
                agreed.width,
                agreed.height,
                self.format.name(),
                self.rate_hz
            );
        }
        Ok(OpenCamera {
            camera: Box::new(webcam),
            task: None,
        })
    }
}

impl Settings {
    /// A camera of 640 x 480 pixels at 30 Hz by JPEG, which all webcams have, with everything else left as it is.
    pub fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            width: 640,
            height: 480,
            rate_hz: 30.0,
            format: Format::default(),
            exposure_us: Lock::default(),
            white_balance_k: Lock::default(),
            focus: Lock::default(),
            gain: Lock::default(),
            age_max_s: None,
            frozen_after: frozen_after(),
            black_level: black_level(),
        }
    }

    /// Checks what can be checked without the camera.
    ///
    /// # Errors
    /// [`super::WebcamError::Setting`].
    pub fn check(&self) -> Result<(), super::WebcamError> {
        let wrong = |field, problem: String, remedy: &str| {
            Err(super::WebcamError::Setting {
                field,
                problem,
                remedy: remedy.to_owned(),
            })
        };
        if self.device.trim().is_empty() {
            return wrong("device", "is empty".to_owned(), "write the camera's name");
        }
        for (field, value) in [("width", self.width), ("height", self.height)] {
            if value == 0 || value > 8192 {
                return wrong(
                    field,
                    format!("is {value}"),
                    "write the number of pixels, such as 640 x 480",
                );
            }
        }
        if !(self.rate_hz >= 1.0 && self.rate_hz <= 1000.0) {
            let remedy = "write pictures a second, such as 30";
            return wrong("rate_hz", format!("is {:?}", self.rate_hz), remedy);
        }
        match self.age_max_s {
            Some(age) if !(age > 0.0 && age <= 10.0) => wrong(
                "age_max_s",
                format!("is {age:?}"),
                "write seconds, such as 0.07, or leave it out",
            ),
            _ => Ok(()),
        }
    }
}
