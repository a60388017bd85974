//! What a camera delivers by the portable library, second by second:
//! `portable NUMBER V4L2_NAME [--size 640x480] [--rate 30] [--format yuyv] [--frames 1000] [--set SECONDS,NAME,VALUE]...`.
//!
//! Polls every half millisecond, as the control loop does. The library's time stamp goes into the first bytes of each picture, so that
//! `taken_most_ms` says how old the oldest picture that was used really was, as long as nobody sets the clock. Ends with status 1 if a
//! picture has waited for too long after its arrival, or after 30 s without one.

mod controls;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use controls::{Change, Failure, Watch, change, format_of, summary};
use devices::portable::{Agreed, GrabError, Grabber, Opener, PortableCamera, Settings, opener};
use devices::webcam::Format;
use robot::device::{FrameSource as _, Picture};

/// How long the camera may be without a picture.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a picture that its time stamp takes.
const STAMP_BYTES: usize = 8;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "portable NUMBER V4L2_NAME [--size 640x480] [--rate 30] [--frames 1000] [--set SECONDS,NAME,VALUE]...";
    let (number, name) = arguments.next().zip(arguments.next()).ok_or(usage)?;
    let (mut size, mut frames, mut changes) = ("640x480".to_owned(), 1_000, Vec::new());
    let mut settings = Settings {
        format: Format::Yuyv,
        ..Settings::new(&number)
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or("a flag without its value")?;
        match flag.as_str() {
            "--size" => size = value,
            "--rate" => settings.rate_hz = value.parse()?,
            "--format" => settings.format = format_of(&value)?,
            "--frames" => frames = value.parse()?,
            "--set" => changes.push(change(&value)?),
            _ => return Err(usage.into()),
        }
    }
    let (width, height) = size.split_once('x').ok_or("--size 640x480")?;
    (settings.width, settings.height) = (width.parse()?, height.parse()?);
    watch(&settings, &name, frames, changes)
}

fn watch(settings: &Settings, name: &str, frames: usize, changes: Vec<Change>) -> Result<(), Failure> {
    let stamped = Arc::new(Stamped(opener(settings)?));
    let mut camera = PortableCamera::start(settings, stamped, 0)?;
    println!("{:?}", camera.agreed());
    let age_max_ms = 2e3 / f64::from(settings.rate_hz);
    let mut taken_ms = Vec::new();
    let watching = Watch {
        frames,
        patience: PATIENCE,
        device: name,
        changes,
    };
    let mut watched = controls::watch(
        &mut camera,
        watching,
        |picture, _| taken_ms.extend(taken_ago_ms(picture)),
        |_, _| {},
    );
    for (fact, text) in camera.facts() {
        println!("{fact}: {text}");
    }
    let (median, most) = summary(&mut watched.ages_ms);
    let (taken, taken_most) = summary(&mut taken_ms);
    let counts = camera.counts();
    println!(
        "figures: pictures {}, seconds {:.1}, age_median_ms {median:.1}, age_most_ms {most:.1}, age_limit_ms {age_max_ms:.1}, \
         taken_median_ms {taken:.1}, taken_most_ms {taken_most:.1}, poll_most_ms {:.1}, old {}, torn {}, black {}, \
         frozen {}, stamp_jumps {}, losses {}, openings {}, abandoned {}",
        watched.ages_ms.len(),
        watched.seconds,
        watched.poll_most_ms,
        counts.old,
        counts.torn,
        counts.black,
        counts.frozen,
        counts.stamp_jumps,
        counts.losses,
        counts.openings,
        counts.abandoned
    );
    if watched.ages_ms.len() < frames || most > age_max_ms {
        return Err("pictures are missing or too old".into());
    }
    Ok(())
}

/// How long ago a picture was taken by its stamp, in milliseconds, if it has one.
fn taken_ago_ms(picture: &Picture) -> Option<f64> {
    let bytes = picture.bytes.first_chunk::<STAMP_BYTES>()?;
    let taken_ns = u64::from_le_bytes(*bytes);
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
    (taken_ns > 0).then(|| (now_ns as f64 - taken_ns as f64) / 1e6)
}

/// Writes the library's time stamps into pictures.
struct Stamped<T>(T);

impl Opener for Stamped<Arc<dyn Opener>> {
    fn open(&self) -> Result<Box<dyn Grabber>, GrabError> {
        Ok(Box::new(Stamped(self.0.open()?)))
    }
}

impl Grabber for Stamped<Box<dyn Grabber>> {
    fn agreed(&self) -> Agreed {
        self.0.agreed()
    }

    fn grab(&mut self, into: &mut Picture) -> Result<Option<Duration>, GrabError> {
        let stamp = self.0.grab(into)?;
        if let Some(bytes) = into.bytes.first_chunk_mut::<STAMP_BYTES>() {
            let taken_ns = stamp.map_or(0, |stamp| stamp.as_nanos() as u64);
            *bytes = taken_ns.to_le_bytes();
        }
        Ok(stamp)
    }
}
