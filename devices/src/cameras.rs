//! The cameras that a robot file can name.

use std::path::Path;

use robot::Config;
use robot::device::{DeviceError, FrameSource, Task};

use crate::folder;
use crate::frames;
use crate::portable;
use crate::table::devices;
use crate::webcam;

devices! {
    /// A camera, as the field `camera` of a robot file names it. To add one, write its settings and what opens them into a file of
    /// its own, and a row here.
    Camera by CameraSettings {
        /// `frames(socket: "/tmp/camera")`: another program on this machine, at a frame socket.
        Frames: frames::Settings,
        /// `webcam(device: "usb-046d:0825-5A3B12", width: 640, height: 480, rate_hz: 30)`: a webcam, by the kernel's own interface.
        Webcam: webcam::Settings,
        /// `emulated_webcam(socket: "/tmp/camera", width: 640, height: 480, rate_hz: 30)`: a webcam's whole way, with pictures of a frame
        /// socket.
        EmulatedWebcam: webcam::emulated::Settings,
        /// `portable(device: "FaceTime HD Camera", width: 640, height: 480, rate_hz: 30, format: mjpeg)`: a camera by the portable library,
        /// in programs that were built with it.
        Portable: portable::Settings,
        /// `folder(path: "pictures", rate_hz: 30, repeat: true)`: a folder of PNG and JPEG files.
        Folder: folder::Settings,
    }
}

/// A camera that is open, and the task that goes with it, if one does.
pub struct OpenCamera {
    /// The camera.
    pub camera: Box<dyn FrameSource>,
    /// What begins an episode and gives rewards.
    pub task: Option<Box<dyn Task>>,
}

/// What a robot file says of one kind of camera.
pub trait CameraSettings {
    /// Opens the camera of the robot `config`.
    ///
    /// # Errors
    /// [`DeviceError`], naming the device and the remedy.
    fn open(&self, config: &Config) -> Result<OpenCamera, DeviceError>;
}

impl Camera {
    /// The camera of `config`: the frame socket `socket` if that is given, and else what its file names.
    ///
    /// # Errors
    /// [`DeviceError`] if nothing names a camera, or the file names one that is none.
    pub fn of(config: &Config, socket: Option<&Path>) -> Result<Self, DeviceError> {
        match (socket, &config.camera) {
            (Some(socket), _) => Ok(Self::Frames(frames::Settings {
                socket: socket.to_owned(),
            })),
            (None, Some(camera)) => camera.read().map_err(DeviceError::new),
            (None, None) => Err(DeviceError::new(format!(
                "robot `{}` names no camera: write `camera: frames(socket: \"/tmp/camera\")` into its file, or give --frames",
                config.name
            ))),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open(&mut self, config: &Config) -> Result<OpenCamera, DeviceError> {
        self.settings().open(config)
    }
}
