//! Thresholds of the trust monitor, learned from logs of runs in which nothing went wrong.
//!
//! Every other log is learned from; the rest is tried. A threshold lies above everything that the first half has, by a margin. Alarms are
//! then counted in the other half, as the guard counts them: what is stated of false alarms is of ticks that were not learned from.

mod numbers;

use std::path::Path;

use anyhow::bail;
use controller::guard::KlSum;
use episode::Reason;
use robot::config::{KL_SUM_SETTLING, KL_SUM_TICKS};
use world_model::Bundle;

pub use numbers::{Figures, figures};

/// Fewest ticks in each half. No alarm in so many bounds the rate of false alarms at 3 in a thousand.
pub const TICKS_MIN: usize = 1_000;

/// Ticks in a row that the monitor waits for. Single ticks of a good run may be far off, such as the first of an episode; rows of five are not.
const ROW: usize = 5;

/// How far above everything that was seen a threshold lies.
const MARGIN: f32 = 2.0;

/// Ranges that a robot file accepts and that make sense: nats, radians, and a share of the brightness.
const NATS: (f32, f32) = (1.0, 10_000.0);
const TRACK_RAD: (f32, f32) = (0.02, 1.6);
const LIGHT: (f32, f32) = (0.05, 0.9);

/// A quantity that must be large for some ticks in a row to be an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// What an alarm is above.
    pub above: f32,
    /// Ticks in a row that are let pass, as in a robot file.
    pub ticks: u32,
}

/// What was learned of one quantity, and what came of trying it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    /// The threshold.
    pub threshold: Threshold,
    /// The largest value that was learned from.
    pub largest: f32,
    /// Alarms in the logs that were not learned from.
    pub alarms: u64,
    /// Their ticks that have the quantity.
    pub tried_ticks: u64,
}

impl Learned {
    /// The largest rate of false alarms a tick that agrees with what was seen, at 95 % confidence.
    pub fn rate_max(&self) -> f64 {
        numbers::count_max_95(self.alarms) / self.tried_ticks.max(1) as f64
    }
}

/// What was learned of some logs.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Logs and ticks that were learned from.
    pub learned: (usize, usize),
    /// Logs and ticks that were tried.
    pub tried: (usize, usize),
    /// Innovation, in nats; `None` if no model took part.
    pub innovation: Option<Learned>,
    /// Innovation of the last pictures together, in nats; `None` likewise. Its threshold has no row.
    pub innovation_sum: Option<Learned>,
    /// Distance between where the arm is and where its firmware leads it, in radians; `None` if no arm said it.
    pub track: Option<Learned>,
    /// Change of the mean brightness from one picture to the next, as a share; `None` if there are no pictures.
    pub light: Option<Learned>,
    /// The distance of the predicted reward from the one that came, which no threshold is made of: that of one tick in a hundred is larger
    /// than the first number, and none is larger than the second.
    pub reward_error: Option<(f32, f32)>,
    /// Innovation of all ticks that were learned from, in nats.
    pub nats: Vec<f32>,
}

/// Whether nothing went wrong in an episode that ended so.
pub fn is_good(complete: bool, last: Option<Reason>) -> bool {
    complete && matches!(last, Some(Reason::EpisodeEnd | Reason::Operator))
}

/// Learns from `logs`. With a bundle, innovation and predicted rewards are those of its model; without one, those that the logs have.
///
/// # Errors
/// A log that cannot be read or is of another robot than the bundle's, and too few ticks.
pub fn learn(logs: &[&Path], bundle: Option<&Bundle>) -> anyhow::Result<Lesson> {
    let mut halves = [Vec::new(), Vec::new()];
    for (index, path) in logs.iter().enumerate() {
        halves[index % 2].push(figures(path, bundle)?);
    }
    let [learned, tried] = &halves;
    let ticks = |half: &[Figures]| half.iter().map(|log| log.ticks).sum::<usize>();
    for half in &halves {
        if ticks(half) < TICKS_MIN {
            bail!(
                "{} logs with {} ticks: too few to learn from; every other log is learned from and the rest is tried, and each half needs \
                 {TICKS_MIN} ticks; record more good runs",
                logs.len(),
                ticks(learned) + ticks(tried)
            );
        }
    }
    let persistent = |of: &dyn Fn(&Figures) -> &[f32], range| {
        let (seen, new) = (
            learned.iter().map(of).collect::<Vec<_>>(),
            tried.iter().map(of).collect::<Vec<_>>(),
        );
        of_rows(&seen, &new, range)
    };
    let errors = numbers::sorted(learned.iter().flat_map(|log| &log.reward_error));
    Ok(Lesson {
        learned: (learned.len(), ticks(learned)),
        tried: (tried.len(), ticks(tried)),
        innovation: persistent(&|log| &log.nats, NATS),
        innovation_sum: of_sums(learned, tried),
        track: persistent(&|log| &log.track_rad, TRACK_RAD),
        light: of_singles(learned, tried),
        reward_error: errors.last().map(|most| (errors[errors.len() * 99 / 100], *most)),
        nats: learned.iter().flat_map(|log| &log.nats).copied().collect(),
    })
}

/// A threshold for a quantity that must be large for some ticks in a row.
fn of_rows(learned: &[&[f32]], tried: &[&[f32]], range: (f32, f32)) -> Option<Learned> {
    let largest = numbers::largest_of_rows(learned, 1)?;
    let above = (MARGIN * numbers::largest_of_rows(learned, ROW)?).clamp(range.0, range.1);
    let threshold = Threshold {
        above: numbers::round_up(above).min(range.1),
        ticks: ROW as u32 - 1,
    };
    Some(Learned {
        threshold,
        largest,
        alarms: tried
            .iter()
            .map(|values| numbers::alarms(values, threshold))
            .sum(),
        tried_ticks: tried.iter().map(|values| values.len() as u64).sum(),
    })
}

/// A threshold for the innovation of the last pictures together.
fn of_sums(learned: &[Figures], tried: &[Figures]) -> Option<Learned> {
    let sums = |log: &Figures| -> Vec<f32> {
        let settled = log.nats.get(KL_SUM_SETTLING as usize..).unwrap_or_default();
        let windows = settled.windows(KL_SUM_TICKS);
        windows.map(|last| last.iter().sum()).collect()
    };
    let largest = learned.iter().flat_map(sums).max_by(f32::total_cmp)?;
    let above = numbers::round_up((MARGIN * largest).clamp(NATS.0, NATS.1)).min(NATS.1);
    let alarms = |log: &Figures| {
        let mut sum = KlSum::new(Some(above));
        let mut before = false;
        let begins = |nats: &f32| !std::mem::replace(&mut before, sum.exceeds(*nats)) && before;
        log.nats.iter().map(begins).filter(|begins| *begins).count() as u64
    };
    Some(Learned {
        threshold: Threshold { above, ticks: 0 },
        largest,
        alarms: tried.iter().map(alarms).sum(),
        tried_ticks: tried.iter().map(|log| log.nats.len() as u64).sum(),
    })
}

/// A threshold for the change of the light, where a single picture counts.
fn of_singles(learned: &[Figures], tried: &[Figures]) -> Option<Learned> {
    let seen: Vec<&[f32]> = learned.iter().map(|log| log.light.as_slice()).collect();
    let largest = numbers::largest_of_rows(&seen, 1)?;
    let threshold = Threshold {
        above: numbers::round_up((MARGIN * largest).clamp(LIGHT.0, LIGHT.1)).min(LIGHT.1),
        ticks: 0,
    };
    let new = || tried.iter().map(|log| &log.light);
    Some(Learned {
        threshold,
        largest,
        alarms: new().map(|values| numbers::alarms(values, threshold)).sum(),
        tried_ticks: new().map(|values| values.len() as u64).sum(),
    })
}
