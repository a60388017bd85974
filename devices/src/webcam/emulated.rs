//! A webcam that is none: the whole way of a webcam's pictures, from the kernel's buffers on, with pictures that come from a frame socket.
//! For a rehearsal of an arm with a webcam, without either.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use image::codecs::jpeg::JpegEncoder;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Clock, Config};

use super::abi::four_letters;
use super::fake::{DEVICE, Fake, Offered};
use super::{BootClock, Format, Webcam};
use crate::cameras::{CameraSettings, OpenCamera};
use crate::frames;

/// Quality of its JPEGs, from 1 to 100: that of a webcam.
const QUALITY: u8 = 85;

/// Level of what is left and right of the square that is shown.
const MARGIN: u8 = 128;

/// A webcam that shows what a frame socket does: `emulated_webcam(socket: "/tmp/camera", width: 640, height: 480, rate_hz: 30)`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The socket's path.
    pub socket: PathBuf,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub rate_hz: u32,
    /// How pictures are sent: `mjpeg` or `yuyv`.
    #[serde(default)]
    pub format: Format,
}

impl CameraSettings for Settings {
    fn open(&self, config: &Config) -> Result<OpenCamera, DeviceError> {
        let code = match self.format {
            Format::Mjpeg => four_letters(*b"MJPG"),
            Format::Yuyv => four_letters(*b"YUYV"),
            Format::Nv12 | Format::Rgb => {
                return Err(DeviceError::new(format!(
                    "robot `{}`: field `camera.format`: an emulated webcam sends none of those; write mjpeg or yuyv",
                    config.name
                )));
            }
        };
        let wrong = |problem: &str| {
            DeviceError::new(format!(
                "robot `{}`: field `camera`: {problem}; write such as width: 640, height: 480, rate_hz: 30",
                config.name
            ))
        };
        if !(16..=1920).contains(&self.width) || !(16..=1080).contains(&self.height) || self.width % 2 == 1 {
            return Err(wrong(
                "its pictures are of 16x16 to 1920x1080 pixels, of an even width",
            ));
        }
        if !(1..=120).contains(&self.rate_hz) {
            return Err(wrong("it sends 1 to 120 pictures a second"));
        }
        let socket = frames::Settings {
            socket: self.socket.clone(),
        };
        let OpenCamera { camera, task } = socket.open(config)?;
        let fake = Fake::new(Arc::new(BootClock));
        fake.offer(vec![Offered {
            code,
            width: self.width,
            height: self.height,
            rate_hz_max: self.rate_hz,
            padding: 0,
        }]);
        let stop = Arc::new(AtomicBool::new(false));
        let mut feeder = Feeder {
            camera,
            settings: self.clone(),
            seen: Picture::default(),
            shown: Vec::new(),
            fake: fake.clone(),
        };
        feeder.show();
        let stopped = Arc::clone(&stop);
        let look_ns = 1_000_000_000 / u64::from(self.rate_hz);
        let thread = std::thread::Builder::new()
            .name("emulated webcam".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    if let Err(error) = feeder.turn() {
                        // What a camera that was pulled out looks like.
                        feeder.fake.unplug();
                        log::error!("the emulated webcam shows nothing more: {error}");
                        return;
                    }
                    // No more of them are compressed than are shown.
                    BootClock.sleep_until_ns(BootClock.now_ns() + look_ns);
                }
            })
            .map_err(DeviceError::new)?;
        let feeding = Feeding {
            stop,
            thread: Some(thread),
        };
        let settings = super::Settings {
            width: self.width,
            height: self.height,
            rate_hz: self.rate_hz.into(),
            format: self.format,
            // A simulated picture has no noise, and an arm may stand still.
            frozen_after: 0,
            ..super::Settings::new(DEVICE)
        };
        let webcam = Webcam::start_on(
            &settings,
            Box::new(fake),
            Arc::new(BootClock),
            config.realtime.capture_priority,
        )
        .map_err(DeviceError::new)?;
        Ok(OpenCamera {
            camera: Box::new(Emulated {
                webcam,
                _feeding: feeding,
            }),
            task,
        })
    }
}

/// The webcam, and what feeds it for as long.
struct Emulated {
    webcam: Webcam,
    _feeding: Feeding,
}

impl FrameSource for Emulated {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        self.webcam.poll(into)
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.webcam.size()
    }

    fn format(&self) -> Option<PixelFormat> {
        self.webcam.format()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.webcam.facts()
    }
}

struct Feeding {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // That it panicked was printed.
            let _ = thread.join();
        }
    }
}

/// Makes a webcam's pictures of a frame socket's.
struct Feeder {
    camera: Box<dyn FrameSource>,
    settings: Settings,
    seen: Picture,
    /// RGB, of the webcam's size.
    shown: Vec<u8>,
    fake: Fake,
}

impl Feeder {
    fn turn(&mut self) -> Result<(), DeviceError> {
        if self.camera.poll(&mut self.seen)?.is_some() {
            self.show();
        }
        Ok(())
    }

    /// Shows what was seen last: a square in the middle. Before there is a picture it is grey.
    fn show(&mut self) {
        let (width, height) = (self.settings.width as usize, self.settings.height as usize);
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        self.shown.clear();
        self.shown.resize(3 * width * height, MARGIN);
        let seen = &self.seen;
        let (columns, rows) = (seen.width as usize, seen.height as usize);
        if seen.format == PixelFormat::Rgb8 && columns > 0 && seen.bytes.len() == 3 * columns * rows {
            for y in 0..side {
                let line = &seen.bytes[3 * columns * (y * rows / side)..][..3 * columns];
                let out = &mut self.shown[3 * ((top + y) * width + left)..][..3 * side];
                for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
                    pixel.copy_from_slice(&line[3 * (x * columns / side)..][..3]);
                }
            }
        }
        let bytes = match self.settings.format {
            Format::Yuyv => yuyv(&self.shown),
            _ => jpeg(&self.shown, self.settings.width, self.settings.height),
        };
        self.fake.show(vec![bytes]);
    }
}

/// BT.601 with Y from 16 to 235, as webcams deliver it (ITU-R BT.601-7, section 2.5), the colour of two pixels in common.
fn yuyv(rgb: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rgb.len() / 3 * 2);
    for pair in rgb.chunks_exact(6) {
        let level = |pixel: &[u8]| {
            16 + ((66 * u32::from(pixel[0]) + 129 * u32::from(pixel[1]) + 25 * u32::from(pixel[2]) + 128)
                >> 8)
        };
        let mean = |channel: usize| (i32::from(pair[channel]) + i32::from(pair[channel + 3])) / 2;
        let (red, green, blue) = (mean(0), mean(1), mean(2));
        let colour = |sum: i32| (((sum + 128) >> 8) + 128).clamp(0, 255) as u8;
        bytes.extend([
            level(&pair[..3]) as u8,
            colour(-38 * red - 74 * green + 112 * blue),
            level(&pair[3..]) as u8,
            colour(112 * red - 94 * green - 18 * blue),
        ]);
    }
    bytes
}

fn jpeg(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Into memory, of a size that was checked: it does not fail.
    let _ = JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode(
        rgb,
        width,
        height,
        image::ExtendedColorType::Rgb8,
    );
    bytes
}
