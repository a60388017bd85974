//! The camera that a robot file names: what it agreed to, and what it really delivers.

use devices::webcam::kernel::System as _;
use devices::webcam::{Linux, Webcam, identity};
use devices::{Camera, OpenCamera};
use robot::device::FrameSource;
use robot::{Clock, Config};

use super::watch::{Watched, watch};
use super::{Examination, System, ports};

/// Longest wait for the first picture, in nanoseconds.
const FIRST_PICTURE_NS: u64 = 5_000_000_000;

/// Share of the rate that was agreed to that must come.
const RATE_SHARE: f64 = 0.9;

/// What a camera must do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Pictures that are awaited.
    pub pictures: usize,
    /// Longest time for that, in seconds.
    pub within_s: f64,
    /// Least rate, in pictures a second; that of the robot file if not given.
    pub rate_min_hz: Option<f64>,
    /// Greatest age of a picture when it comes, in seconds; that of the robot file if not given.
    pub age_max_s: Option<f64>,
}

impl Demand {
    /// Watching for `seconds`, by what the robot file says.
    pub fn of_seconds(seconds: f64) -> Self {
        Self {
            pictures: usize::MAX,
            within_s: seconds,
            rate_min_hz: None,
            age_max_s: None,
        }
    }
}

/// Opens `camera` for the robot `config`, and watches it.
pub fn examine(
    examination: &mut Examination<'_>,
    system: &System,
    config: &Config,
    mut camera: Camera,
    demand: &Demand,
    clock: &dyn Clock,
) {
    const OPEN: &str = "camera.open";
    let (about, agreed_hz) = match &camera {
        Camera::Webcam(settings) => (settings.device.clone(), Some(settings.rate_hz)),
        Camera::Folder(settings) => (settings.path.display().to_string(), Some(settings.rate_hz)),
        Camera::EmulatedWebcam(settings) => {
            let rate_hz = f64::from(settings.rate_hz);
            (settings.socket.display().to_string(), Some(rate_hz))
        }
        Camera::Portable(settings) => (settings.device.clone(), Some(f64::from(settings.rate_hz))),
        // Of others the rate is not known, such as of a bridge, which shows a picture a control period.
        _ => (format!("camera of {}", config.name), None),
    };
    // Pictures that are drawn have no noise: those of an arm that stands are alike.
    let frozen_after = match &camera {
        Camera::Webcam(settings) => settings.frozen_after,
        _ => 0,
    };
    let opened: Result<Box<dyn FrameSource>, _> = match &mut camera {
        Camera::Webcam(settings) => {
            if let Ok(camera) = identity::find(&settings.device, &Linux.cameras())
                && !ports::video_at(examination, system, &camera.node)
            {
                return;
            }
            let settings = settings.clone();
            Webcam::start(&settings, config.realtime.capture_priority)
                .map(|webcam| {
                    tell_agreed(examination, &about, &webcam);
                    Box::new(webcam) as _
                })
                .map_err(robot::device::DeviceError::new)
        }
        camera => camera.open(config).map(|OpenCamera { camera, .. }| camera),
    };
    let mut source = match opened {
        Ok(source) => source,
        Err(error) => return examination.fail_by(OPEN, &about, &error),
    };
    examination.ok(OPEN, &about, "opened");
    // The first picture of many cameras takes long, and says nothing of their rate.
    let first = watch(&mut *source, 1, FIRST_PICTURE_NS, 0, clock);
    if first.pictures == 0 {
        let seen = first
            .lost
            .unwrap_or_else(|| format!("no picture within {} s", FIRST_PICTURE_NS / 1_000_000_000));
        return examination.fail(
            "camera.pictures",
            &about,
            seen,
            "check the cable, and what serves the camera",
        );
    }
    let watched = watch(
        &mut *source,
        demand.pictures,
        (demand.within_s * 1e9) as u64,
        frozen_after,
        clock,
    );
    let seen = Seen {
        config,
        about: &about,
        agreed_hz,
        demand,
        watched: &watched,
    };
    tell(examination, &seen);
}

fn tell_agreed(examination: &mut Examination<'_>, about: &str, webcam: &Webcam) {
    const NAME: &str = "camera.format";
    let Some(agreed) = webcam.agreed() else { return };
    let seen = format!(
        "{}: {}x{} {:?} at {} Hz ({})",
        agreed.card, agreed.width, agreed.height, agreed.format, agreed.rate_hz, agreed.driver
    );
    if agreed.notes.is_empty() {
        examination.ok(NAME, about, seen);
    } else {
        examination.warn(
            NAME,
            about,
            format!("{seen}; {}", agreed.notes.join("; ")),
            "write what the camera takes into the robot file; `armillary find-cameras` lists it",
        );
    }
}

/// A camera that was watched, and what it has to do.
struct Seen<'a> {
    config: &'a Config,
    about: &'a str,
    /// The rate that was agreed to, in pictures a second.
    agreed_hz: Option<f64>,
    demand: &'a Demand,
    watched: &'a Watched,
}

fn tell(examination: &mut Examination<'_>, seen: &Seen<'_>) {
    let Seen {
        about,
        demand,
        watched,
        ..
    } = *seen;
    if let Some(lost) = &watched.lost {
        examination.fail(
            "camera.lost",
            about,
            lost.clone(),
            "check the cable, and what serves the camera",
        );
    }
    let size = watched.size.map_or_else(String::new, |(width, height, format)| {
        format!(" of {width}x{height} {format:?}")
    });
    let pictures = format!("{} pictures{size}", watched.pictures);
    if demand.pictures != usize::MAX && watched.pictures < demand.pictures && watched.lost.is_none() {
        examination.fail(
            "camera.pictures",
            about,
            format!(
                "{pictures} within {} s instead of {}",
                demand.within_s, demand.pictures
            ),
            "check the cable; more light lets a camera take more pictures",
        );
    }
    rate(examination, seen, &pictures);
    age(examination, seen);
    let bad: Vec<String> = [
        (watched.black, "black"),
        (watched.frozen, "frozen"),
        (watched.torn, "torn or of one colour in their lower part"),
        (watched.undecoded, "not decodable"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, kind)| format!("{count} {kind}"))
    .collect();
    let seen = if bad.is_empty() {
        pictures
    } else {
        format!("{pictures}, of which {}", bad.join(", "))
    };
    let count = watched.black + watched.frozen + watched.torn + watched.undecoded;
    match count {
        0 => examination.ok("camera.picture", about, seen),
        _ if 10 * count > watched.pictures => examination.fail(
            "camera.picture",
            about,
            seen,
            "take the cap off the lens, switch a lamp on, and check the cable",
        ),
        _ => examination.warn(
            "camera.picture",
            about,
            seen,
            "check the cable; use a shorter one, or another socket",
        ),
    }
}

fn rate(examination: &mut Examination<'_>, seen: &Seen<'_>, pictures: &str) {
    const NAME: &str = "camera.rate";
    let Seen {
        config,
        about,
        agreed_hz,
        demand,
        watched,
    } = *seen;
    let Some(rate_hz) = watched.rate_hz() else {
        return examination.fail(
            NAME,
            about,
            format!("{pictures}: too few to tell the rate"),
            "check the cable, and what serves the camera",
        );
    };
    let period_hz = 1.0 / f64::from(config.period_s);
    let least_hz = demand
        .rate_min_hz
        .unwrap_or_else(|| RATE_SHARE * agreed_hz.unwrap_or(period_hz));
    let agreed = agreed_hz.map_or_else(String::new, |agreed| format!(", {agreed} Hz were agreed"));
    let seen = format!(
        "{rate_hz:.2} Hz by the times at which they were taken{agreed}; {} left out",
        watched.left_out
    );
    if rate_hz >= least_hz {
        return examination.ok(NAME, about, seen);
    }
    let remedy = "a camera takes fewer pictures in the dark: more light, or a fixed `exposure_us`; other devices on the same USB bus, or \
                  `format: yuyv`, take bandwidth away";
    if rate_hz < RATE_SHARE * period_hz {
        examination.fail(
            NAME,
            about,
            format!("{seen}; the control loop needs {period_hz:.2}"),
            remedy,
        );
    } else {
        examination.warn(NAME, about, seen, remedy);
    }
}

fn age(examination: &mut Examination<'_>, seen: &Seen<'_>) {
    const NAME: &str = "camera.age";
    let Seen {
        config,
        about,
        demand,
        watched,
        ..
    } = *seen;
    let Some((middle_ms, most_ms)) = watched.ages_ms() else {
        return;
    };
    let seen = format!("{middle_ms:.1} ms old in the middle when they came, {most_ms:.1} ms at most");
    let age_max_s = demand.age_max_s.unwrap_or(f64::from(config.frame_max_age_s));
    if most_ms <= 1e3 * age_max_s {
        return examination.ok(NAME, about, seen);
    }
    let seen = format!("{seen}; {:.1} ms are allowed", 1e3 * age_max_s);
    let remedy = "close what else runs; a camera on a hub of its own, a shorter exposure, or a longer `capture.max_age_s`";
    if middle_ms > 1e3 * age_max_s {
        examination.fail(NAME, about, seen, remedy);
    } else {
        examination.warn(NAME, about, seen, remedy);
    }
}
