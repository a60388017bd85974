//! What a report draws of logs. Its size does not depend on how long they are.

use std::path::Path;

use episode::{Episode, EpisodeError, PlanSource, Reason, StageTimes, TickRecord, read_rows};

use super::devices::Devices;
use super::quantiles::Quantiles;
use super::rewards::Rewards;

/// The numbers that a report draws, gathered row by row.
#[derive(Debug, Default)]
pub struct Digest {
    pub(super) logs: u64,
    /// Logs without an end, or with damage.
    pub(super) cut_short: u64,
    pub(super) rewards: Rewards,
    pub(super) latency: Latency,
    pub(super) devices: Devices,
    pub(super) plans: Plans,
    pub(super) faults: Faults,
}

impl Digest {
    /// Reads a log row by row; its pictures are passed over.
    ///
    /// # Errors
    /// Those of [`read_rows`]. The rows before the fault stay in the digest.
    pub fn read(&mut self, path: &Path) -> Result<(), EpisodeError> {
        self.rewards.begin();
        let read = read_rows(path, |info, row| self.row(&info.joint_names, row))?;
        self.end(read.complete);
        Ok(())
    }

    /// Adds a log that is in memory.
    pub fn add(&mut self, log: &Episode) {
        self.rewards.begin();
        for row in &log.ticks {
            self.row(&log.info.joint_names, row);
        }
        self.end(log.complete);
    }

    /// How many logs it is of.
    pub fn logs(&self) -> u64 {
        self.logs
    }

    fn row(&mut self, joint_names: &[String], row: &TickRecord) {
        self.rewards.add(row);
        self.faults.add(row);
        self.plans.add(row);
        if row.guard.reason != Reason::EpisodeEnd {
            self.latency.add(row);
            self.devices.add(joint_names, row);
        }
    }

    fn end(&mut self, complete: bool) {
        self.logs += 1;
        self.cut_short += u64::from(!complete);
    }
}

/// Times of the stages.
#[derive(Debug, Default)]
pub(super) struct Latency {
    pub(super) stages: [Quantiles; 7],
    pub(super) lateness: Quantiles,
}

impl Latency {
    fn add(&mut self, row: &TickRecord) {
        for (stage, (_, ns)) in self.stages.iter_mut().zip(row.record.latency_ns.named()) {
            stage.add(ns);
        }
        self.lateness.add(row.record.lateness_ns);
    }

    /// Each row of the table.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &Quantiles)> {
        let names = StageTimes::default().named().map(|(name, _)| name);
        names
            .into_iter()
            .zip(&self.stages)
            .chain([("lateness of the edge", &self.lateness)])
    }
}

/// A sum and how many it is of.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1;
    }

    /// NaN of nothing.
    pub(super) fn value(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// What plans have in common.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) count: u64,
    pub(super) fewest_iterations: Option<u32>,
    pub(super) iterations: Mean,
    pub(super) elite_return: Mean,
    pub(super) elite_std: Mean,
    pub(super) innovation_nats: Mean,
    pub(super) reward_error: Mean,
}

impl Plans {
    fn add(&mut self, row: &TickRecord) {
        if row.plan.iterations == 0 {
            return;
        }
        self.count += 1;
        let fewest = self.fewest_iterations.get_or_insert(u32::MAX);
        *fewest = (*fewest).min(row.plan.iterations);
        self.iterations.add(row.plan.iterations as f32);
        self.elite_return.add(row.plan.elite_mean_return);
        self.elite_std.add(row.plan.elite_std);
        self.innovation_nats.add(row.filter.kl_nats);
        if let Some(reward) = row.capture.reward {
            self.reward_error
                .add((row.filter.reward_predicted - reward).abs());
        }
    }
}

/// Counts of what went wrong or was limited.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) ticks: u64,
    pub(super) deadlines_missed: u64,
    pub(super) host_stalls: u64,
    pub(super) without_frame: u64,
    pub(super) tails: u64,
    pub(super) limited: u64,
    pub(super) not_sent: u64,
    /// In the order in which they first came.
    pub(super) reasons: Vec<(Reason, u64)>,
}

impl Faults {
    fn add(&mut self, row: &TickRecord) {
        let reason = row.guard.reason;
        self.ticks += 1;
        self.deadlines_missed += u64::from(row.record.deadline_missed);
        self.host_stalls += u64::from(row.record.host_stall);
        self.without_frame += u64::from(!row.capture.fresh);
        self.tails += u64::from(row.plan.source == PlanSource::Tail);
        self.limited += u64::from(row.guard.hits != 0);
        self.not_sent += u64::from(!row.actuate.sent && reason != Reason::EpisodeEnd);
        if matches!(reason, Reason::Ok | Reason::EpisodeEnd) {
            return;
        }
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.reasons.push((reason, 1)),
        }
    }
}
