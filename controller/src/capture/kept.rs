//! The camera's own pictures on their way to the log, for robot files that say `keep_pictures`.
//!
//! Only JPEG is kept, as it came: it is what webcams send, and pictures without compression would fill a disk. Memory is reserved before
//! the episode begins. A picture that needs more than that is not kept, and is counted.

use episode::MAX_PICTURE_BYTES;
use robot::Config;
use robot::device::{DeviceError, FrameSource, PixelFormat};

/// Bytes that a small picture may have beyond one byte a pixel: its tables.
const TABLES_BYTES: usize = 16 * 1024;

/// Bytes that are reserved for a picture whose size is not known before it comes.
const UNKNOWN_BYTES: usize = 1024 * 1024;

/// That the camera's own pictures are kept, and for which robot.
#[derive(Debug, Clone)]
pub struct KeptPictures {
    robot: String,
}

impl KeptPictures {
    /// For the robot of `config`; `None` if its file does not say `keep_pictures`.
    pub fn of(config: &Config) -> Option<Self> {
        config.keep_pictures.then(|| Self {
            robot: config.name.clone(),
        })
    }

    /// Bytes to reserve for each picture: one a pixel, which is more than webcams use.
    pub(super) fn room(&self, camera: &dyn FrameSource) -> Result<usize, DeviceError> {
        camera.format().map_or(Ok(()), |format| self.check(format))?;
        let bytes = camera.size().map_or(UNKNOWN_BYTES, |(width, height)| {
            width as usize * height as usize + TABLES_BYTES
        });
        Ok(bytes.min(MAX_PICTURE_BYTES))
    }

    /// Refuses pictures that are not kept.
    pub(super) fn check(&self, format: PixelFormat) -> Result<(), DeviceError> {
        match format {
            PixelFormat::Jpeg => Ok(()),
            PixelFormat::Rgb8 | PixelFormat::Yuyv | PixelFormat::Nv12 => Err(DeviceError::new(format!(
                "robot `{}`: field `capture.keep_pictures`: the camera sends {format:?} pictures, and only JPEG is kept; choose a camera \
                 that sends JPEG (a webcam: `format: mjpeg` in field `camera`), or remove `keep_pictures`",
                self.robot
            ))),
        }
    }

    /// For a world that waits: it draws the model's images, and has no pictures of a camera's own.
    pub(crate) fn refuse_lockstep(&self) -> DeviceError {
        DeviceError::new(format!(
            "robot `{}`: field `capture.keep_pictures`: a simulated camera draws the model's images and sends no JPEG that could be kept; \
             remove `keep_pictures` from the robot file for simulated episodes",
            self.robot
        ))
    }
}

/// A camera's own picture, in memory that is reserved before it comes.
#[derive(Debug, Clone, Default)]
pub struct KeptPicture {
    jpeg: Vec<u8>,
    /// Bytes that are reserved.
    room: usize,
    /// Bytes of the picture as it came; 0 if there is none.
    came_bytes: usize,
}

impl KeptPicture {
    /// Makes room for a picture of up to `room` bytes.
    pub fn reserve(&mut self, room: usize) {
        self.jpeg.reserve_exact(room.saturating_sub(self.jpeg.len()));
        self.room = room;
    }

    /// Takes a picture, if there is room for it. Allocates nothing.
    pub fn take(&mut self, jpeg: &[u8]) {
        self.jpeg.clear();
        self.came_bytes = jpeg.len();
        if jpeg.len() <= self.room {
            self.jpeg.extend_from_slice(jpeg);
        }
    }

    /// Takes the contents of another. Allocates nothing.
    pub fn copy_from(&mut self, other: &Self) {
        self.take(&other.jpeg);
        self.came_bytes = other.came_bytes;
    }

    /// The picture; `None` if there is none, or if there was no room for it.
    pub fn jpeg(&self) -> Option<&[u8]> {
        (!self.jpeg.is_empty()).then_some(self.jpeg.as_slice())
    }

    /// Whether a picture came for which there was no room.
    pub fn is_too_large(&self) -> bool {
        self.came_bytes > self.jpeg.len()
    }

    /// Bytes of the picture as it came, kept or not; 0 if there is none.
    pub fn came_bytes(&self) -> usize {
        self.came_bytes
    }
}
