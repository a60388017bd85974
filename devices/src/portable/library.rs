//! The library itself.

use std::mem::ManuallyDrop;
use std::time::Duration;

use crossbeam::channel;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraInfo, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Buffer, Camera, NokhwaError};
use robot::device::{Picture, PixelFormat};

use super::{Agreed, GrabError, Grabber, Listed, Opener, Settings};
use crate::webcam::Format;

/// Opens cameras by the library.
pub(super) struct Library {
    settings: Settings,
}

impl Library {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }
}

/// The cameras that the library lists.
pub(super) fn list() -> Result<Vec<Listed>, GrabError> {
    Ok(query()?.iter().map(listed).collect())
}

fn query() -> Result<Vec<CameraInfo>, GrabError> {
    permit()?;
    nokhwa::query(ApiBackend::Auto).map_err(said)
}

fn listed(camera: &CameraInfo) -> Listed {
    Listed {
        number: camera.index().as_string(),
        name: camera.human_name(),
    }
}

/// Asks the user for permission, on systems where that is needed.
fn permit() -> Result<(), GrabError> {
    if nokhwa::nokhwa_check() {
        return Ok(());
    }
    let (sender, answer) = channel::bounded(1);
    nokhwa::nokhwa_initialize(move |permitted| {
        // Nobody waits for a second answer.
        let _ = sender.try_send(permitted);
    });
    match answer.recv() {
        Ok(true) => Ok(()),
        _ => Err(GrabError(
            "the system does not let this program use cameras; permit it in the settings of the system, under privacy".to_owned(),
        )),
    }
}

fn said(error: NokhwaError) -> GrabError {
    GrabError(error.to_string())
}

impl Opener for Library {
    fn open(&self) -> Result<Box<dyn Grabber>, GrabError> {
        let Settings {
            device,
            width,
            height,
            rate_hz,
            format,
            ..
        } = &self.settings;
        let camera = find(device, query()?)?;
        let format = frame_format(*format);
        let exact = CameraFormat::new(Resolution::new(*width, *height), format, *rate_hz);
        let formats = [format];
        let request = RequestedFormat::with_formats(RequestedFormatType::Exact(exact), &formats);
        let mut opened = Open(ManuallyDrop::new(
            Camera::new(camera.index().clone(), request)
                .map_err(|error| refused(&error, &camera, &self.settings))?,
        ));
        opened.0.open_stream().map_err(said)?;
        Ok(Box::new(opened))
    }
}

/// The camera of a name or number.
fn find(device: &str, cameras: Vec<CameraInfo>) -> Result<CameraInfo, GrabError> {
    let names: Vec<String> = cameras
        .iter()
        .map(listed)
        .map(|Listed { number, name }| format!("{name:?} (number {number:?})"))
        .collect();
    let mut found: Vec<CameraInfo> = cameras
        .into_iter()
        .filter(|camera| camera.human_name() == device || camera.index().as_string() == device)
        .collect();
    if found.len() == 1 {
        return Ok(found.remove(0));
    }
    let (problem, remedy) = match (found.is_empty(), names.is_empty()) {
        (_, true) => ("no camera is plugged in".to_owned(), "check the cable".to_owned()),
        (true, _) => (
            format!("no camera has the name or number {device:?}"),
            format!(
                "write one of these into field `camera.device`: {}",
                names.join(", ")
            ),
        ),
        (false, _) => (
            format!("{} cameras are called {device:?}", found.len()),
            format!("write a number into field `camera.device`: {}", names.join(", ")),
        ),
    };
    Err(GrabError(format!("{problem}; {remedy}")))
}

/// Why a camera does not take the settings, with what it offers.
fn refused(error: &NokhwaError, camera: &CameraInfo, settings: &Settings) -> GrabError {
    let Settings {
        width,
        height,
        rate_hz,
        format,
        ..
    } = settings;
    let mut text = format!(
        "{} does not deliver {} {width}x{height} at {rate_hz} ({error})",
        camera.human_name(),
        format.name()
    );
    let offers = offers(camera);
    if offers.is_empty() {
        text += "; close other programs that use it";
    } else {
        text += &format!("; write one of what it offers: {}", offers.join("; "));
    }
    GrabError(text)
}

/// What a camera offers, as far as it can be read here.
fn offers(camera: &CameraInfo) -> Vec<String> {
    let formats = [Format::Mjpeg, Format::Yuyv, Format::Nv12, Format::Rgb];
    let readable = formats.map(frame_format);
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &readable);
    let Ok(mut opened) =
        Camera::new(camera.index().clone(), any).map(|camera| Open(ManuallyDrop::new(camera)))
    else {
        return Vec::new();
    };
    let mut offered = opened.0.compatible_camera_formats().unwrap_or_default();
    offered.sort();
    offered.dedup();
    let name = |offer: &CameraFormat| {
        let format = formats
            .into_iter()
            .find(|format| frame_format(*format) == offer.format())?;
        Some(format!(
            "{} {}x{} at {}",
            format.name(),
            offer.width(),
            offer.height(),
            offer.frame_rate()
        ))
    };
    offered.iter().filter_map(name).collect()
}

fn frame_format(format: Format) -> FrameFormat {
    match format {
        Format::Mjpeg => FrameFormat::MJPEG,
        Format::Yuyv => FrameFormat::YUYV,
        Format::Nv12 => FrameFormat::NV12,
        Format::Rgb => FrameFormat::RAWRGB,
    }
}

/// An open camera.
struct Open(ManuallyDrop<Camera>);

impl Grabber for Open {
    fn agreed(&self) -> Agreed {
        let format = self.0.camera_format();
        Agreed {
            name: self.0.info().human_name(),
            width: format.width(),
            height: format.height(),
            rate_hz: format.frame_rate().max(1).into(),
        }
    }

    fn grab(&mut self, into: &mut Picture) -> Result<Option<Duration>, GrabError> {
        let buffer = self.0.frame().map_err(said)?;
        fill(&buffer, into)?;
        Ok(buffer.capture_timestamp())
    }
}

/// Copies a picture as it is.
fn fill(buffer: &Buffer, into: &mut Picture) -> Result<(), GrabError> {
    let format = match buffer.source_frame_format() {
        FrameFormat::MJPEG => PixelFormat::Jpeg,
        FrameFormat::YUYV => PixelFormat::Yuyv,
        FrameFormat::NV12 => PixelFormat::Nv12,
        FrameFormat::RAWRGB => PixelFormat::Rgb8,
        other @ (FrameFormat::GRAY | FrameFormat::RAWBGR) => {
            return Err(GrabError(format!("it delivers {other}, which nobody asked for")));
        }
    };
    let size = buffer.resolution();
    into.fill(size.width(), size.height(), format, buffer.buffer());
    Ok(())
}

impl Drop for Open {
    fn drop(&mut self) {
        // The library panics where a camera that it drops cannot be stopped, such as one that was unplugged. A second panic at once would
        // end the program. Better to leave such a camera open.
        if !std::thread::panicking() && self.0.stop_stream().is_ok() {
            // SAFETY: the camera is dropped here alone, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use nokhwa::utils::CameraIndex;

    use super::*;

    #[test]
    fn pictures_are_copied_as_they_are() {
        let formats = [
            (FrameFormat::MJPEG, PixelFormat::Jpeg),
            (FrameFormat::YUYV, PixelFormat::Yuyv),
            (FrameFormat::NV12, PixelFormat::Nv12),
            (FrameFormat::RAWRGB, PixelFormat::Rgb8),
        ];
        for (theirs, ours) in formats {
            let mut picture = Picture::default();
            fill(
                &Buffer::new(Resolution::new(4, 2), &[1, 2, 3], theirs),
                &mut picture,
            )
            .unwrap();
            let expected = Picture {
                width: 4,
                height: 2,
                format: ours,
                bytes: vec![1, 2, 3],
            };
            assert_eq!(picture, expected);
        }
        let grey = Buffer::new(Resolution::new(4, 2), &[1], FrameFormat::GRAY);
        assert!(fill(&grey, &mut Picture::default()).is_err());
    }

    #[test]
    fn a_camera_is_found_by_name_or_number_and_never_guessed() {
        let camera = |name: &str, index| CameraInfo::new(name, "", "", CameraIndex::Index(index));
        let all = || vec![camera("Wide", 0), camera("Twin", 1), camera("Twin", 2)];
        assert_eq!(find("Wide", all()).unwrap().index(), &CameraIndex::Index(0));
        assert_eq!(find("2", all()).unwrap().index(), &CameraIndex::Index(2));
        for (device, text) in [
            ("Twin", "2 cameras are called"),
            ("Tele", "no camera has the name"),
        ] {
            let error = find(device, all()).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("\"Wide\" (number \"0\")"),
                "{error}"
            );
        }
        assert!(
            find("0", Vec::new())
                .unwrap_err()
                .to_string()
                .contains("check the cable")
        );
    }
}
