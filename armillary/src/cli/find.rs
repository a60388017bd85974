//! `armillary find-cameras` and `armillary find-port`: what is plugged in, and what to write into a robot file for it. Nothing is moved.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use armillary::console::To;
use calibration::picture::{PictureSettings, PictureTable, View};
use devices::portable;
use devices::serial::{Port, ports};
use devices::webcam::identity::Identity;
use devices::webcam::kernel::System;
use devices::webcam::{Linux, Settings, Webcam, device};
use image::RgbImage;
use robot::device::{FrameSource, Picture};
use robot::{Clock, SystemClock};

use super::say::{ask, say};

/// Longest wait for a camera's first picture, in nanoseconds.
const FIRST_PICTURE_NS: u64 = 5_000_000_000;

/// Width and height of the pictures that are written, in pixels.
const SIDE: u32 = 256;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct FindCameras {
    /// Folder for a picture of each camera, as the model would see it, but larger
    #[arg(long)]
    pictures: Option<PathBuf>,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct FindPort {
    /// Only list the ports, without asking for a cable to be pulled
    #[arg(long)]
    list: bool,
}

/// Lists cameras.
pub(crate) fn cameras(arguments: &FindCameras) -> anyhow::Result<()> {
    let mut system = Linux;
    let cameras = system.cameras();
    if cameras.is_empty() {
        // The camera library may know of others, in a program that has it.
        let listed = portable::list().unwrap_or_default();
        if !listed.is_empty() {
            list_portable(&listed);
            return Ok(());
        }
        bail!("no camera is plugged in, as far as /sys/class/video4linux tells: check the cable");
    }
    for camera in &cameras {
        say(&format!("{} ({})\n", camera.stable(), camera.name));
        say(&format!("  now {}, at {}\n", camera.node.display(), camera.port));
        let offers = match system.open(&camera.node) {
            Ok(mut kernel) => device::offers(&mut *kernel),
            Err(errno) => {
                say(&format!(
                    "  cannot be opened ({}): is another program using it?\n",
                    errno.desc()
                ));
                continue;
            }
        };
        for offer in &offers {
            say(&format!(
                "  {offer}{}\n",
                if offer.readable {
                    ""
                } else {
                    " (cannot be read here)"
                }
            ));
        }
        // The one that most cameras are used with, or the first that can be read.
        let readable = || offers.iter().filter(|offer| offer.readable);
        let Some(best) = readable()
            .find(|offer| offer.size == (640, 480))
            .or_else(|| readable().next())
        else {
            continue;
        };
        let line = format!(
            "(device: {:?}, width: {}, height: {}, rate_hz: {:?}, format: {})",
            camera.stable(),
            best.size.0,
            best.size.1,
            best.rates_hz.iter().copied().fold(1.0, f64::max).min(30.0),
            best.format
        );
        say(&format!("  write `camera: webcam{line},` into the robot file\n"));
        if let Some(folder) = &arguments.pictures {
            let settings: Settings = ron::from_str(&line).context("a description of the camera")?;
            match picture(&settings, camera, folder) {
                Ok(path) => say(&format!("  picture {}\n", path.display())),
                Err(error) => say(&format!("  no picture: {error:#}\n")),
            }
        }
    }
    Ok(())
}

/// Lists the cameras of the portable library.
fn list_portable(cameras: &[portable::Listed]) {
    for portable::Listed { number, name } in cameras {
        armillary::say!("{name} (number {number})");
        let Settings {
            width,
            height,
            rate_hz,
            ..
        } = Settings::new(name);
        armillary::say!(
            "  write `camera: portable(device: {name:?}, width: {width}, height: {height}, rate_hz: {rate_hz}),` into the robot file"
        );
    }
}

/// Writes the first picture of a camera.
fn picture(settings: &Settings, camera: &Identity, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut webcam = Webcam::start(settings, 0)?;
    let clock = SystemClock::default();
    let mut picture = Picture::default();
    while webcam.poll(&mut picture)?.is_none() {
        if clock.now_ns() > FIRST_PICTURE_NS {
            bail!("none came within {} s", FIRST_PICTURE_NS / 1_000_000_000);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let table = PictureTable::new(&PictureSettings {
        width_px: picture.width,
        height_px: picture.height,
        view: View::MiddleSquare,
        lens: None,
        side: SIDE,
    })?;
    let mut rgb = vec![0; table.image_bytes()];
    table.apply(&picture, &mut table.workspace(), &mut rgb)?;
    let image = RgbImage::from_raw(SIDE, SIDE, rgb).context("an image of another size")?;
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png)?;
    let name: String = camera
        .stable()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let path = folder.join(format!("{name}.png"));
    files::put(&path, &files::png(png.into_inner()), &files::is_marked)?;
    Ok(path)
}

/// Lists ports, and finds one by its cable.
pub(crate) fn port(arguments: &FindPort) -> anyhow::Result<()> {
    let before = ports::list(Path::new("/dev"));
    if before.is_empty() {
        bail!("no serial port of a USB device is plugged in: check the cable and the arm's power");
    }
    for Port { name, node } in &before {
        say(&format!("{} (now {})\n", name.display(), node.display()));
    }
    if arguments.list || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    ask(
        To::Out,
        "Take the arm's power away, unplug its USB cable, then press Enter: ",
    );
    std::io::stdin()
        .lock()
        .read_line(&mut String::new())
        .context("cannot read the answer")?;
    let after = ports::list(Path::new("/dev"));
    let gone: Vec<&Port> = before.iter().filter(|port| !after.contains(port)).collect();
    match gone[..] {
        [] => bail!("no port has gone: is the cable that of another device?"),
        [port] => {
            say(&format!(
                "the arm is at {}: write it into the robot file, as `port` of `arm`\n",
                port.name.display()
            ));
            Ok(())
        }
        _ => bail!("{} ports have gone: unplug the arm's cable alone", gone.len()),
    }
}
