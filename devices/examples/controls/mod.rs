//! What the camera examples have in common: controls of a driver that are set while pictures are taken, words, and figures.

use std::path::Path;
use std::time::{Duration, Instant};

use devices::webcam::abi::{Control, QueryControl, text};
use devices::webcam::kernel::{Call, System};
use devices::webcam::{Format, Linux, identity};
use robot::device::{FrameSource, FrameStamp, Picture};

/// Flag that asks for the control after the one given.
const NEXT_CONTROL: u32 = 0x8000_0000;

/// How often the camera is polled.
const POLL: Duration = Duration::from_micros(500);

/// Whatever went wrong.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// A control to set while pictures are taken.
pub(crate) struct Change {
    pub(crate) at_s: f64,
    pub(crate) name: String,
    pub(crate) value: i32,
}

/// `SECONDS,NAME,VALUE`.
pub(crate) fn change(text: &str) -> Result<Change, Failure> {
    let parts: Vec<&str> = text.split(',').collect();
    let [at_s, name, value] = parts[..] else {
        return Err("--set SECONDS,NAME,VALUE".into());
    };
    Ok(Change {
        at_s: at_s.parse()?,
        name: name.to_owned(),
        value: value.parse()?,
    })
}

/// A format by its name.
pub(crate) fn format_of(word: &str) -> Result<Format, Failure> {
    match word {
        "mjpeg" => Ok(Format::Mjpeg),
        "yuyv" => Ok(Format::Yuyv),
        "nv12" => Ok(Format::Nv12),
        "rgb" => Ok(Format::Rgb),
        _ => Err(format!("no format {word}: mjpeg, yuyv, nv12 or rgb").into()),
    }
}

/// Sets a control by a descriptor of its own, which is closed again at once.
fn set(device: &str, change: &Change) -> Result<(), Failure> {
    let mut system = Linux;
    let camera = identity::find(device, &system.cameras())?;
    let mut kernel = system.open(Path::new(&camera.node))?;
    let mut about = QueryControl {
        id: NEXT_CONTROL,
        ..QueryControl::default()
    };
    while kernel.call(Call::QueryControl(&mut about)).is_ok() {
        if text(&about.name) == change.name {
            let (id, value) = (about.id, change.value);
            return Ok(kernel.call(Call::SetControl(&mut Control { id, value }))?);
        }
        about.id |= NEXT_CONTROL;
    }
    Err("no such control".into())
}

/// Median and greatest.
pub(crate) fn summary(ages_ms: &mut [f64]) -> (f64, f64) {
    ages_ms.sort_by(f64::total_cmp);
    let middle = ages_ms.get(ages_ms.len() / 2).copied().unwrap_or(f64::NAN);
    (middle, ages_ms.last().copied().unwrap_or(f64::NAN))
}

/// What is done while pictures are taken.
pub(crate) struct Watch<'a> {
    /// Pictures to take.
    pub(crate) frames: usize,
    /// How long the camera may be without a picture.
    pub(crate) patience: Duration,
    /// The V4L2 device whose controls are set.
    pub(crate) device: &'a str,
    /// The controls to set.
    pub(crate) changes: Vec<Change>,
}

/// How the watching went.
pub(crate) struct Watched {
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// The longest poll, in milliseconds.
    pub(crate) poll_most_ms: f64,
    /// Age of each picture when it was handed over, in milliseconds.
    pub(crate) ages_ms: Vec<f64>,
}

/// Polls `camera` as the control loop does, and calls `taken` for each picture and `turn` after each poll, with the time in seconds.
pub(crate) fn watch<C: FrameSource>(
    camera: &mut C,
    mut watch: Watch<'_>,
    mut taken: impl FnMut(&Picture, FrameStamp),
    mut turn: impl FnMut(&C, f64),
) -> Watched {
    let begun = Instant::now();
    let mut heard = begun;
    let (mut picture, mut complaint) = (Picture::default(), String::new());
    let (mut ages_ms, mut poll_most_ms) = (Vec::new(), 0.0);
    while ages_ms.len() < watch.frames && heard.elapsed() < watch.patience {
        let asked = Instant::now();
        let answer = camera.poll(&mut picture);
        poll_most_ms = f64::max(poll_most_ms, 1e3 * asked.elapsed().as_secs_f64());
        match answer {
            Ok(Some(stamp)) => {
                ages_ms.push(stamp.age_ns as f64 / 1e6);
                taken(&picture, stamp);
                heard = Instant::now();
            }
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => {
                let error = robot::complaint(&error);
                if error != complaint {
                    println!("{:.3} s: {error}", begun.elapsed().as_secs_f64());
                    complaint = error;
                }
                std::thread::sleep(POLL);
            }
        }
        let now_s = begun.elapsed().as_secs_f64();
        while let Some(at) = watch.changes.iter().position(|change| change.at_s <= now_s) {
            let change = watch.changes.swap_remove(at);
            let outcome = set(watch.device, &change);
            println!("{now_s:.3} s: {} = {}: {outcome:?}", change.name, change.value);
        }
        turn(camera, now_s);
    }
    Watched {
        seconds: begun.elapsed().as_secs_f64(),
        poll_most_ms,
        ages_ms,
    }
}
