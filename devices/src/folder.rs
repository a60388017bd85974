//! A folder of pictures in the place of a camera. It shows a program the same pictures at the same rate each time, where no camera is
//! plugged in.
//!
//! All pictures are read when the folder is opened: a file that is no picture is refused before anything moves, and
//! [`FrameSource::poll`] reads no disk. PNG becomes RGB8 then, so that it needs three bytes a pixel of memory; JPEG stays as it is.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{ImageFormat, ImageReader, Limits};
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, Config, MonotonicNs, SystemClock};

use crate::cameras::{CameraSettings, OpenCamera};

/// Memory that the pictures of a folder may take, in bytes.
const PICTURES_BYTES_MAX: u64 = 2 << 30;

/// Pixels of the longest side of a picture that is believed: a damaged header must not claim all memory.
const SIDE_PX_MAX: u32 = 16_384;

/// Pictures a second that a folder can be played at.
const RATE_HZ: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// A folder of pictures: `folder(path: "pictures", rate_hz: 30, repeat: true)`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder. Its files are PNG or JPEG and are shown in the order of their names. Hidden files are passed over.
    pub path: PathBuf,
    /// Pictures a second, from 0.01 to 1000.
    pub rate_hz: f64,
    /// Whether the first picture follows the last. Otherwise the camera says, a period after the last picture, that it has ended.
    #[serde(default)]
    pub repeat: bool,
}

impl CameraSettings for Settings {
    fn open(&self, _config: &Config) -> Result<OpenCamera, DeviceError> {
        let camera = FolderCamera::open(self, Arc::new(SystemClock::default()))?;
        Ok(OpenCamera {
            camera: Box::new(camera),
            // Pictures have nothing to reset.
            task: None,
        })
    }
}

/// A camera that shows the pictures of a folder, one after the other.
///
/// The first is due when the camera is asked for the first time, and each of the others a period after the one before it. Whoever asks
/// too late gets the newest that is due, as from any camera. Numbers of pictures begin with 1.
pub struct FolderCamera {
    path: PathBuf,
    pictures: Vec<Picture>,
    /// Bytes of the longest picture.
    longest_bytes: usize,
    period_ns: u64,
    repeat: bool,
    clock: Arc<dyn Clock>,
    /// When the first picture was due.
    begun_ns: Option<MonotonicNs>,
    /// Pictures up to and with the last one handed over.
    passed: u64,
}

impl FolderCamera {
    /// Reads the folder. `clock` tells when a picture is due.
    ///
    /// # Errors
    /// [`DeviceError`], naming the field for a rate that is none, for a folder that cannot be listed or has no pictures, and for
    /// pictures that need more than 2 GiB; naming the file for one that cannot be read or is no whole PNG or JPEG.
    pub fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, DeviceError> {
        let Settings {
            path,
            rate_hz,
            repeat,
        } = settings;
        if !RATE_HZ.contains(rate_hz) {
            return Err(DeviceError::new(format!(
                "{}: field `camera.rate_hz` is {rate_hz}; write a number of pictures a second from {} to {}, such as 30",
                path.display(),
                RATE_HZ.start(),
                RATE_HZ.end()
            )));
        }
        let pictures = read_folder(path)?;
        Ok(Self {
            path: path.clone(),
            longest_bytes: pictures
                .iter()
                .map(|picture| picture.bytes.len())
                .max()
                .unwrap_or(0),
            pictures,
            period_ns: (1e9 / rate_hz).round() as u64,
            repeat: *repeat,
            clock,
            begun_ns: None,
            passed: 0,
        })
    }
}

impl FrameSource for FolderCamera {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let now_ns = self.clock.now_ns();
        let elapsed_ns = now_ns.saturating_sub(*self.begun_ns.get_or_insert(now_ns));
        let count = self.pictures.len() as u64;
        let mut due = elapsed_ns / self.period_ns;
        if !self.repeat && due >= count {
            if self.passed == count {
                return Err(DeviceError::new(format!(
                    "{}: the folder has ended after its {count} pictures; write `repeat: true` into field `camera` to begin again",
                    self.path.display()
                )));
            }
            // Nobody has seen the last picture yet.
            due = count - 1;
        }
        if due < self.passed {
            return Ok(None);
        }
        self.passed = due + 1;
        // JPEGs differ in length: room for the longest is made once.
        into.bytes.clear();
        into.bytes.reserve(self.longest_bytes);
        into.copy_from(&self.pictures[(due % count) as usize]);
        Ok(Some(FrameStamp {
            seq: self.passed,
            age_ns: elapsed_ns - due * self.period_ns,
        }))
    }

    fn format(&self) -> Option<PixelFormat> {
        let first = self.pictures.first()?.format;
        self.pictures
            .iter()
            .all(|picture| picture.format == first)
            .then_some(first)
    }
}

/// The pictures of `folder` in the order of their names.
fn read_folder(folder: &Path) -> Result<Vec<Picture>, DeviceError> {
    let files = files::list(folder).map_err(|error| {
        DeviceError::new(format!(
            "{}: the folder cannot be listed: {error}; write the path of a folder of PNG or JPEG files into field `camera.path`",
            folder.display()
        ))
    })?;
    let mut left_bytes = PICTURES_BYTES_MAX;
    let mut pictures = Vec::with_capacity(files.len());
    for file in files {
        let picture = read_picture(&file, left_bytes)
            .map_err(|problem| DeviceError::new(format!("{}: {problem}", file.display())))?;
        left_bytes -= picture.bytes.len() as u64;
        pictures.push(picture);
    }
    if pictures.is_empty() {
        return Err(DeviceError::new(format!(
            "{}: the folder has no pictures; put PNG or JPEG files there, or write another folder into field `camera.path`",
            folder.display()
        )));
    }
    Ok(pictures)
}

/// The picture in `file`, of at most `left_bytes`. The error says what is wrong with it, and the remedy.
fn read_picture(file: &Path, left_bytes: u64) -> Result<Picture, String> {
    let no_picture = |problem: String| {
        format!(
            "{problem}; the folder of field `camera.path` is for PNG and JPEG files: move this one elsewhere, or save it as one of them"
        )
    };
    let too_large = || {
        format!(
            "with this one, the pictures of the folder need more than {} MiB of memory; put fewer or smaller ones into the folder of \
             field `camera.path`, or save them as JPEG",
            PICTURES_BYTES_MAX >> 20
        )
    };
    let mut bytes = Vec::new();
    files::open(file)
        .and_then(|opened| opened.take(left_bytes + 1).read_to_end(&mut bytes))
        .map_err(|error| no_picture(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > left_bytes {
        return Err(too_large());
    }
    let (kind, format) = match image::guess_format(&bytes) {
        Ok(kind @ ImageFormat::Png) => (kind, PixelFormat::Rgb8),
        Ok(kind @ ImageFormat::Jpeg) => (kind, PixelFormat::Jpeg),
        _ => return Err(no_picture("is no picture".to_owned())),
    };
    // A decoder fills the rest of a JPEG that is cut off with grey.
    if kind == ImageFormat::Jpeg && !bytes.ends_with(&[0xff, 0xd9]) {
        return Err(no_picture(
            "is a JPEG that does not end with FF D9: it was cut off, or something was added to it".to_owned(),
        ));
    }
    let damaged = |error: image::ImageError| no_picture(format!("is no sound picture: {error}"));
    let stopped = |panic: files::Panicked| no_picture(format!("is no sound picture: {panic}"));
    let (width, height) =
        files::guarded(|| ImageReader::with_format(Cursor::new(&bytes), kind).into_dimensions())
            .map_err(stopped)?
            .map_err(damaged)?;
    if format == PixelFormat::Rgb8 && 3 * u64::from(width) * u64::from(height) > left_bytes {
        return Err(too_large());
    }
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), kind);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_PX_MAX), Some(SIDE_PX_MAX));
    reader.limits(limits);
    // A JPEG is decoded only to see that it can be.
    let decoded = files::guarded(|| reader.decode())
        .map_err(stopped)?
        .map_err(damaged)?;
    if format == PixelFormat::Rgb8 {
        bytes = decoded.into_rgb8().into_raw();
    }
    Ok(Picture {
        width,
        height,
        format,
        bytes,
    })
}
