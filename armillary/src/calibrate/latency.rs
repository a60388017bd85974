//! `armillary calibrate latency`: how late pictures are, and how late the arm follows, from the log of a joint that moved to and fro.

mod drawing;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use calibration::latency::{self, Delay, Track};
use controller::plan::WIGGLE;
use episode::{ArmState, Episode};
use robot::Config;
use robot::config::edit;

pub use drawing::draw;

/// What a log tells.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The joint that moved.
    pub joint: String,
    /// How late pictures are at the edge at which they are used.
    pub pictures: Delay,
    /// How late the joint follows its command.
    pub follows: Delay,
    /// Where the joint was, and where it was led.
    pub tracks: [Track; 2],
    /// How much each picture has of what changes most, by the time of its edge in seconds: without unit.
    pub change: Vec<(f64, f64)>,
}

impl Measured {
    /// From the command to the picture that shows what it did, in seconds, with half of its interval.
    pub fn command_to_picture_s(&self) -> (f64, f64) {
        let (a, b) = (&self.pictures, &self.follows);
        (a.delay_s + b.delay_s, a.interval_s.hypot(b.interval_s))
    }

    /// What was found, a line each.
    pub fn lines(&self) -> Vec<String> {
        let line = |what: &str, (delay_s, half_s): (f64, f64)| {
            format!("{what:<34} {:>6.1} +- {:.1} ms", delay_s * 1e3, half_s * 1e3)
        };
        let mut lines = vec![format!(
            "the picture is late by{:>21}: {}",
            span(&self.pictures),
            self.pictures.verdict
        )];
        if self.follows.verdict.is_accepted() {
            lines.push(line(
                &format!("{} follows its command after", self.joint),
                (self.follows.delay_s, self.follows.interval_s),
            ));
            lines.push(line("from command to picture", self.command_to_picture_s()));
        } else {
            lines.push(format!(
                "{} and its command: {}",
                self.joint, self.follows.verdict
            ));
        }
        lines
    }
}

fn span(delay: &Delay) -> String {
    format!("{:.1} +- {:.1} ms", delay.delay_s * 1e3, delay.interval_s * 1e3)
}

/// Measures by the log at `path`, which was recorded by the policy that moves one joint to and fro.
///
/// # Errors
/// A log that cannot be read, or one of another policy.
pub fn of_log(path: &Path) -> anyhow::Result<Measured> {
    let log = episode::read_episode(path)?;
    if let Some(problem) = &log.problem {
        log::warn!(
            "{}: only its first {} ticks: {problem}",
            path.display(),
            log.intact
        );
    }
    let joint = log.info.policy.strip_prefix(WIGGLE).with_context(|| {
        format!(
            "{}: was recorded by {:?}, and delays are measured by one joint that moves to and fro: use a log of `armillary calibrate latency`",
            path.display(),
            log.info.policy
        )
    })?;
    let index = log.info.joint_names.iter().position(|name| name == joint);
    let index = index.with_context(|| format!("{}: names no joint {joint:?}", path.display()))?;
    Ok(measure(&log, joint, index))
}

fn measure(log: &Episode, joint: &str, index: usize) -> Measured {
    let rows = &log.ticks[..log.intact];
    let first_ns = rows.first().map_or(0, |row| row.edge_ns);
    let seconds = |edge_ns: u64| edge_ns.saturating_sub(first_ns) as f64 / 1e9;
    let at = |values: &[f32]| values.get(index).map_or(f64::NAN, |value| f64::from(*value));
    let heard = rows.iter().filter(|row| row.capture.arm != ArmState::Unheard);
    let positions: Vec<(f64, f64)> = heard
        .map(|row| (seconds(row.edge_ns), at(&row.capture.position_rad)))
        .collect();
    // A set point that is sent at an edge is reached at the next one.
    let period_s = f64::from(log.info.period_s);
    let mut led: Vec<(f64, f64)> = positions.first().copied().into_iter().collect();
    led.extend(
        rows.iter()
            .filter(|row| row.actuate.sent)
            .map(|row| (seconds(row.edge_ns) + period_s, at(&row.actuate.set_point_rad))),
    );
    let pictures: Vec<(f64, &[u8])> = rows
        .iter()
        .zip(&log.frames)
        .filter(|(row, _)| row.capture.fresh)
        .filter_map(|(row, frame)| Some((seconds(row.edge_ns), frame.as_ref()?.rgb())))
        .collect();
    let (joint_track, command) = (Track::smooth(&positions), Track::straight(&led));
    Measured {
        joint: joint.to_owned(),
        pictures: latency::pictures(&joint_track, &pictures),
        follows: latency::follows(&joint_track, &command),
        change: latency::change(&pictures),
        tracks: [joint_track, command],
    }
}

/// Writes the pictures' delay into the robot file at `path`. What is written, as the file has it.
///
/// # Errors
/// A delay that must not be used or that the robot file refuses, and a file that cannot be written.
pub fn keep(path: &Path, measured: &Measured) -> anyhow::Result<String> {
    if !measured.pictures.verdict.is_accepted() {
        bail!(
            "how late pictures are: {}; nothing was written",
            measured.pictures.verdict
        );
    }
    // Below the interval's own size there is none.
    let delay_s = format!("{:.4}", measured.pictures.delay_s.max(0.0));
    let text = robot::config::read(path)?;
    let text = edit::with_field(&text, &["capture", "delay_s"], &delay_s).with_context(|| {
        format!(
            "{}: this program cannot change the file; write `delay_s: {delay_s}` into `capture`",
            path.display()
        )
    })?;
    Config::parse(path, text.clone())?;
    files::replace(path, text.as_bytes())?;
    Ok(format!("capture: (delay_s: {delay_s})"))
}

/// Where the picture of a measurement goes: beside the robot file.
pub fn picture_path(robot: &Path) -> PathBuf {
    robot.with_extension("latency.svg")
}
