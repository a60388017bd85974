//! The quantities that the trust monitor watches, read from logs, and what is counted of them.

use std::path::Path;

use anyhow::bail;
use controller::beliefs::Recollection;
use episode::{ArmState, Episode, Reason, TickRecord};
use robot::Frame;
use world_model::Bundle;

use super::{Threshold, is_good};

/// What a log says of each quantity, in the order of its ticks. Ticks that say nothing of one are left out, as the guard leaves its counts
/// as they are.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Ticks of the log.
    pub ticks: usize,
    /// Innovation, in nats.
    pub nats: Vec<f32>,
    /// Largest distance of a joint from where its firmware leads it, in radians.
    pub track_rad: Vec<f32>,
    /// Change of the mean brightness since the picture before, as a share of that picture's.
    pub light: Vec<f32>,
    /// Distance of the predicted reward from the one that came.
    pub reward_error: Vec<f32>,
}

/// Reads a log of a good run.
///
/// # Errors
/// A log that cannot be read, of a run that was not good, or of another robot than the bundle's.
pub fn figures(path: &Path, bundle: Option<&Bundle>) -> anyhow::Result<Figures> {
    let log = episode::read_episode(path)?;
    let last = log.ticks.last().map(|row| row.guard.reason);
    if !is_good(log.complete, last) {
        let why = last.map_or("it holds no tick", Reason::advice);
        bail!(
            "{}: is no log of a good run ({}); leave it out",
            path.display(),
            log.problem.as_deref().unwrap_or(why)
        );
    }
    let mut recollection = match bundle {
        Some(bundle) => Some(Recollection::of(path, &log, bundle)?),
        None => None,
    };
    let modelled = bundle.is_some() || log.info.bundle_sha256.is_some();
    let mut figures = Figures {
        ticks: log.ticks.len(),
        ..Figures::default()
    };
    let mut mean: Option<f32> = None;
    for (row, frame) in log.ticks.iter().zip(&log.frames) {
        let mut filter = row.filter;
        if let Some(recollection) = &mut recollection {
            filter = recollection.see(row, frame.as_ref(), &mut |_| {});
            recollection.carry_out(row);
        }
        if modelled && row.capture.fresh && !filter.prior_only {
            figures.nats.push(filter.kl_nats);
        }
        if let Some(reward) = row.capture.reward.filter(|_| modelled) {
            figures
                .reward_error
                .push((filter.reward_predicted - reward).abs());
        }
        figures.track_rad.extend(track_rad(row));
        if let Some(frame) = frame.as_ref().filter(|_| row.capture.fresh) {
            let now = brightness(frame);
            figures.light.extend(
                mean.map(|before| (now - before).abs() / before.max(controller::capture::DARK_LEVEL)),
            );
            mean = Some(now);
        }
    }
    check_finite(path, &log, &figures)?;
    Ok(figures)
}

/// Numbers that are none teach nothing.
fn check_finite(path: &Path, log: &Episode, figures: &Figures) -> anyhow::Result<()> {
    for (what, values) in [
        ("innovation", &figures.nats),
        ("joint positions", &figures.track_rad),
        ("predicted rewards", &figures.reward_error),
    ] {
        if values.iter().any(|value| !value.is_finite()) {
            bail!(
                "{}: among the {what} of its {} ticks is one that is no number; leave this log out",
                path.display(),
                log.ticks.len()
            );
        }
    }
    Ok(())
}

fn track_rad(row: &TickRecord) -> Option<f32> {
    let capture = &row.capture;
    if capture.arm == ArmState::Unheard || capture.arm_set_point_rad.is_empty() {
        return None;
    }
    let pairs = capture.position_rad.iter().zip(&capture.arm_set_point_rad);
    Some(pairs.map(|(is, led)| (is - led).abs()).fold(0.0, f32::max))
}

fn brightness(frame: &Frame) -> f32 {
    let sum: u64 = frame.rgb().iter().map(|level| u64::from(*level)).sum();
    sum as f32 / frame.rgb().len() as f32
}

/// The values in rising order.
pub(super) fn sorted<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.copied().collect();
    values.sort_by(f32::total_cmp);
    values
}

/// The largest value that so many ticks in a row have reached; `None` if no log has so many.
pub(super) fn largest_of_rows(logs: &[&[f32]], row: usize) -> Option<f32> {
    let rows = logs.iter().flat_map(|values| values.windows(row));
    rows.map(|values| values.iter().copied().fold(f32::INFINITY, f32::min))
        .max_by(f32::total_cmp)
}

/// How often the guard would have raised an alarm: each time that more ticks in a row than are let pass are above the threshold.
pub(super) fn alarms(values: &[f32], threshold: Threshold) -> u64 {
    let (mut alarms, mut row) = (0, 0);
    for value in values {
        row = if *value > threshold.above { row + 1 } else { 0 };
        alarms += u64::from(row == threshold.ticks + 1);
    }
    alarms
}

/// The next number upwards with three digits.
pub(super) fn round_up(value: f32) -> f32 {
    let step = 10_f32.powf(value.abs().max(1e-9).log10().floor() - 2.0);
    // What is a number of three digits already stays, whatever division makes of it.
    let rounded = (value / step - 1e-3).ceil() * step;
    // Without the digits that the multiplication adds.
    let decimals = (-step.log10()).round().clamp(0.0, 9.0) as usize;
    format!("{rounded:.decimals$}").parse().unwrap_or(rounded)
}

/// The largest mean of a Poisson distribution of which so few as `count` are seen in one of twenty cases: 3.0 for none.
pub(super) fn count_max_95(count: u64) -> f64 {
    let at_most = |mean: f64| {
        let mut term = (-mean).exp();
        let mut sum = term;
        for number in 1..=count {
            term *= mean / number as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 10.0 + 3.0 * count as f64);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if at_most(middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::{alarms, count_max_95, largest_of_rows, round_up};
    use crate::trust::Threshold;

    #[test]
    fn the_bound_on_a_rate_is_the_published_one() {
        // Exact limits of Poisson means, one-sided at 95 %.
        for (count, bound) in [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)] {
            assert!((count_max_95(count) - bound).abs() < 1e-3, "{count}");
        }
    }

    #[test]
    fn rows_and_alarms_are_counted_as_the_guard_counts_them() {
        let values = [1.0, 5.0, 5.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0];
        let largest = |row| largest_of_rows(&[&values, &[4.0]], row);
        assert_eq!([1, 2, 4].map(largest), [Some(5.0), Some(5.0), Some(3.0)]);
        assert_eq!((largest(5), largest(10)), (Some(1.0), None));
        let counted = |above, ticks| alarms(&values, Threshold { above, ticks });
        assert_eq!((counted(2.0, 0), counted(2.0, 1), counted(2.0, 3)), (2, 2, 1));
        assert_eq!((counted(2.0, 4), counted(4.0, 1), counted(5.0, 0)), (0, 1, 0));
    }

    #[test]
    fn thresholds_are_rounded_upwards() {
        for (value, rounded) in [
            (37.21, 37.3),
            (0.05, 0.05),
            (0.0213, 0.0213),
            (0.02131, 0.0214),
            (4321.0, 4330.0),
            (23.26, 23.3),
        ] {
            assert_eq!(round_up(value), rounded);
        }
    }
}
