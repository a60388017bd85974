//! One log made again.

use std::ops::ControlFlow;
use std::path::Path;

use controller::replay::recorded_config;
use episode::{Attachment, Episode, EpisodeInfo, EpisodeWriter, read_episode, read_pictures};
use robot::{Config, RewardRule};
use serde::Serialize;

use super::RelabelError;

/// What is to be made of which log.
pub(super) struct Job<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    pub(super) config: &'a Config,
    /// Where the robot file lies.
    pub(super) robot: &'a Path,
    pub(super) rule: &'a RewardRule,
}

/// Rewards before and after. The first row of an episode, which no action has caused, is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Compared {
    /// Rows.
    pub rows: usize,
    /// Rows without a new reward: the joints are not known.
    pub unknown: usize,
    /// Sum of the new rewards.
    pub after: f64,
    /// Rows that had a reward before and have one now.
    pub both: usize,
    /// Their sums: before, after, their squares, and their product.
    sums: [f64; 5],
}

impl Compared {
    fn add(&mut self, before: Option<f32>, after: Option<f32>) {
        self.rows += 1;
        let Some(after) = after else {
            self.unknown += 1;
            return;
        };
        let after = f64::from(after);
        self.after += after;
        if let Some(before) = before {
            let before = f64::from(before);
            self.both += 1;
            let terms = [before, after, before * before, after * after, before * after];
            for (sum, term) in self.sums.iter_mut().zip(terms) {
                *sum += term;
            }
        }
    }

    /// The same of several logs.
    pub fn and(mut self, other: &Self) -> Self {
        self.rows += other.rows;
        self.unknown += other.unknown;
        self.after += other.after;
        self.both += other.both;
        for (sum, term) in self.sums.iter_mut().zip(other.sums) {
            *sum += term;
        }
        self
    }

    /// Sum of the old rewards of rows that have both; `None` without any.
    pub fn before(&self) -> Option<f64> {
        (self.both > 0).then_some(self.sums[0])
    }

    /// Pearson's correlation of old and new rewards; `None` where one of them never changes.
    pub fn correlation(&self) -> Option<f64> {
        let n = self.both as f64;
        let [x, y, xx, yy, xy] = self.sums;
        let (spread_x, spread_y) = (n * xx - x * x, n * yy - y * y);
        // Sums of equal numbers differ from their product by rounding alone.
        let varies = spread_x > 1e-9 * n * xx && spread_y > 1e-9 * n * yy;
        varies.then(|| (n * xy - x * y) / (spread_x * spread_y).sqrt())
    }
}

/// The rewards that a log had, as its successor keeps them.
#[derive(Serialize)]
struct Before<'a> {
    source: &'a str,
    /// Number of each row, and its reward.
    rewards: Vec<(u32, Option<f32>)>,
}

/// Makes one log. Returns what was wrong with the old one.
pub(super) fn remake(job: &Job<'_>) -> Result<(Compared, Option<String>), RelabelError> {
    let log = read_episode(job.from)?;
    same_arm(job, &recorded_config(job.from, &log)?)?;
    let info = EpisodeInfo {
        reward_source: job.rule.to_string(),
        software: format!(
            concat!("{}; relabel by armillary ", env!("CARGO_PKG_VERSION")),
            log.info.software
        ),
        ..log.info.clone()
    };
    let before = Before {
        source: &log.info.reward_source,
        rewards: log
            .ticks
            .iter()
            .map(|row| (row.tick, row.capture.reward))
            .collect(),
    };
    let before = serde_json::to_vec(&before).unwrap_or_default();
    // Those of before that, if it was made so itself.
    let earlier = log
        .attachments
        .iter()
        .filter(|(name, _)| name.starts_with("rewards-"));
    let name = format!("rewards-{}.json", earlier.count());
    let kept = log.attachments.iter().map(|(name, data)| {
        let media = if name.ends_with(".json") {
            "application/json"
        } else {
            "text/plain"
        };
        (name.as_str(), media, data.as_slice())
    });
    let mut attachments: Vec<Attachment<'_>> = kept.collect();
    attachments.push((&name, "application/json", &before));
    let mut making = Making {
        job,
        log: &log,
        writer: EpisodeWriter::create(job.to, &info, &attachments)?,
        next: 0,
        compared: Compared::default(),
    };
    let mut result = Ok(());
    read_pictures(job.from, |tick, jpeg| {
        result = making
            .up_to(tick, None)
            .and_then(|()| making.up_to(tick + 1, Some(jpeg)));
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    result?;
    making.up_to(u32::MAX, None)?;
    let Making { writer, compared, .. } = making;
    // A log that is not whole stays without an end, so that nobody takes it for one.
    if log.complete {
        writer.finish()?;
    } else {
        let mut writer = writer;
        writer.flush()?;
    }
    Ok((compared, log.problem))
}

/// A log in the making.
struct Making<'a> {
    job: &'a Job<'a>,
    log: &'a Episode,
    writer: EpisodeWriter,
    /// Index of the next row.
    next: usize,
    compared: Compared,
}

impl Making<'_> {
    /// Writes the rows before `tick` that hang together; the first of them with the camera's own picture, if it is given.
    fn up_to(&mut self, tick: u32, mut jpeg: Option<&[u8]>) -> Result<(), RelabelError> {
        while self.next < self.log.intact && self.log.ticks[self.next].tick < tick {
            let mut row = self.log.ticks[self.next].clone();
            let chain = self.job.config.envelope.chain();
            let distance = self.job.rule.distance(chain, &row.capture.position_rad);
            let before = row.capture.reward;
            row.capture.reward = distance.map(|distance| self.job.rule.reward(distance));
            if self.next > 0 {
                self.compared.add(before, row.capture.reward);
            }
            let info = &self.log.info;
            let period_ns = (f64::from(info.period_s) * 1e9) as u64;
            let time_ns = info
                .started_unix_ns
                .saturating_add(u64::from(row.tick).saturating_mul(period_ns));
            let frame = self.log.frames[self.next].as_ref();
            self.writer
                .write_tick_with_picture(&row, frame, jpeg.take(), time_ns)?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Refuses a robot file by which the joints of the log would mean something else.
fn same_arm(job: &Job<'_>, recorded: &Config) -> Result<(), RelabelError> {
    let (here, there) = (&job.config.envelope, &recorded.envelope);
    let names = |config: &Config| -> Vec<String> {
        let joints = config.envelope.joints().iter();
        joints.map(|joint| joint.name.clone()).collect()
    };
    let differs = |field| {
        Err(RelabelError::OtherArm {
            robot: job.robot.to_owned(),
            log: job.from.to_owned(),
            field,
        })
    };
    if names(job.config) != names(recorded) {
        return differs("joints");
    }
    if here.chain() != there.chain() {
        return differs("links");
    }
    Ok(())
}
