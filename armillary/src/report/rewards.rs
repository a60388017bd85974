//! The chart of rewards: a line an episode, on an axis that covers what there is.

use std::fmt::Write as _;

use episode::Episode;

/// Size of the chart, in the units of its drawing.
const WIDTH: f32 = 900.0;
const HEIGHT: f32 = 220.0;

/// About so many marks on the axis.
const MARKS: f32 = 4.0;

/// Reward against time, a line an episode. Periods without a reward break the line.
pub(super) fn chart(page: &mut String, logs: &[Episode]) {
    page.push_str("<h2>Reward by control period</h2>");
    let given = || {
        let rows = logs.iter().flat_map(|log| &log.ticks);
        rows.filter_map(|row| row.capture.reward)
            .filter(|reward| reward.is_finite())
    };
    let Some(axis) = Axis::over(given()) else {
        page.push_str("<p>Nobody gave a reward in these episodes.");
        return;
    };
    let _ = write!(
        page,
        "<svg viewBox=\"-60 -8 {} {}\">",
        WIDTH + 70.0,
        HEIGHT + 30.0
    );
    for mark in axis.marks() {
        let y = axis.y(mark);
        let _ = write!(
            page,
            "<line x1=0 x2={WIDTH} y1={y:.1} y2={y:.1} stroke=#ddd /><text x=-6 y={:.1} text-anchor=end fill=#666>{mark}</text>",
            y + 4.0
        );
    }
    for (index, log) in logs.iter().enumerate() {
        let last = log.ticks.last().map_or(1, |row| row.tick).max(1) as f32;
        let hue = index * 360 / logs.len().max(1);
        let finite = |row: &&episode::TickRecord| row.capture.reward.is_some_and(f32::is_finite);
        for run in log.ticks.chunk_by(|a, b| finite(&a) == finite(&b)) {
            if !run.first().as_ref().is_some_and(finite) {
                continue;
            }
            let _ = write!(
                page,
                "<polyline fill=none stroke=\"hsl({hue} 60% 45%)\" stroke-width=1.2 points=\""
            );
            for row in run {
                let (x, y) = (
                    row.tick as f32 / last * WIDTH,
                    axis.y(row.capture.reward.unwrap_or_default()),
                );
                let _ = write!(page, "{x:.1},{y:.1} ");
            }
            page.push_str("\"/>");
        }
    }
    page.push_str("</svg>");
}

/// A vertical axis with round marks.
struct Axis {
    low: f32,
    high: f32,
    step: f32,
}

impl Axis {
    /// The axis that covers `values`; `None` if there are none.
    fn over(values: impl Iterator<Item = f32>) -> Option<Self> {
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return None;
        }
        // A line that never moves lies in the middle of its axis.
        let room = if low == high {
            0.5 * low.abs().max(1.0)
        } else {
            0.0
        };
        let (low, high) = (low - room, high + room);
        let rough = (high - low) / MARKS;
        let power = 10f32.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        Some(Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        })
    }

    fn marks(&self) -> impl Iterator<Item = f32> {
        let count = ((self.high - self.low) / self.step).round() as u32;
        // Rounded to the step's own digits, so that 0.6000001 reads 0.6.
        let digits = 10f32.powf((1.0 - self.step.log10().floor()).clamp(-30.0, 30.0));
        (0..=count).map(move |mark| ((self.low + mark as f32 * self.step) * digits).round() / digits)
    }

    fn y(&self, value: f32) -> f32 {
        HEIGHT * (self.high - value) / (self.high - self.low)
    }
}
