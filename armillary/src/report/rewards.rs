//! The chart of rewards: a line an episode, on an axis that covers what there is.

use std::fmt::Write as _;

use episode::TickRecord;

/// Size of the chart, in the units of its drawing.
const WIDTH: f32 = 900.0;
const HEIGHT: f32 = 220.0;

/// About so many marks on the axis.
const MARKS: f32 = 4.0;

/// Points that are kept of all lines together, and the most lines. Beyond that, every second point of each line is left out, again and
/// again.
const POINTS_MAX: usize = 1 << 16;
const LINES_MAX: usize = 1 << 12;

/// Rewards of some episodes, thinned so that their number is bounded.
#[derive(Debug, Default)]
pub(super) struct Rewards {
    lines: Vec<Line>,
    points: usize,
    /// Every so many rows of a line are kept, less one in the exponent of two.
    thinned: u32,
    /// The least and the most of all rewards, kept or not.
    range: Option<(f32, f32)>,
    /// Episodes that are not drawn.
    left_out: u64,
    /// Whether the episode at hand is drawn.
    drawn: bool,
}

/// An episode: tick and reward of the rows that are kept.
#[derive(Debug, Default)]
struct Line {
    points: Vec<(u32, Option<f32>)>,
    rows: u64,
    last_tick: u32,
}

impl Rewards {
    /// The next episode begins.
    pub(super) fn begin(&mut self) {
        self.drawn = self.lines.len() < LINES_MAX;
        if self.drawn {
            self.lines.push(Line::default());
        } else {
            self.left_out += 1;
        }
    }

    /// The next row of the episode.
    pub(super) fn add(&mut self, row: &TickRecord) {
        let reward = row.capture.reward.filter(|reward| reward.is_finite());
        if let Some(reward) = reward {
            let (low, high) = self.range.unwrap_or((reward, reward));
            self.range = Some((low.min(reward), high.max(reward)));
        }
        let Some(line) = self.lines.last_mut().filter(|_| self.drawn) else {
            return;
        };
        line.last_tick = row.tick;
        if line.rows.is_multiple_of(1 << self.thinned) {
            line.points.push((row.tick, reward));
            self.points += 1;
        }
        line.rows += 1;
        if self.points > POINTS_MAX {
            self.thin();
        }
    }

    /// Points that are kept.
    #[cfg(test)]
    fn points(&self) -> usize {
        self.lines.iter().map(|line| line.points.len()).sum()
    }

    fn thin(&mut self) {
        self.thinned += 1;
        for line in &mut self.lines {
            let mut index = 0;
            line.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            line.points.shrink_to_fit();
        }
        self.points = self.lines.iter().map(|line| line.points.len()).sum();
    }

    /// Reward against time, a line an episode. Periods without a reward break the line.
    pub(super) fn chart(&self, page: &mut String) {
        page.push_str("<h2>Reward by control period</h2>");
        let Some(axis) = self.range.map(|(low, high)| Axis::over(low, high)) else {
            page.push_str("<p>Nobody gave a reward in these episodes.");
            return;
        };
        if self.left_out > 0 {
            let _ = write!(
                page,
                "<p>The first {} episodes; {} more are not drawn.",
                self.lines.len(),
                self.left_out
            );
        }
        if self.thinned > 0 {
            let _ = write!(
                page,
                "<p>One control period in {} is drawn.",
                1_u64 << self.thinned
            );
        }
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
        for (index, line) in self.lines.iter().enumerate() {
            let last = line.last_tick.max(1) as f32;
            let hue = index * 360 / self.lines.len().max(1);
            for run in line.points.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
                if run.first().is_none_or(|(_, reward)| reward.is_none()) {
                    continue;
                }
                let _ = write!(
                    page,
                    "<polyline fill=none stroke=\"hsl({hue} 60% 45%)\" stroke-width=1.2 points=\""
                );
                for (tick, reward) in run {
                    let (x, y) = (*tick as f32 / last * WIDTH, axis.y(reward.unwrap_or_default()));
                    let _ = write!(page, "{x:.1},{y:.1} ");
                }
                page.push_str("\"/>");
            }
        }
        page.push_str("</svg>");
    }
}

/// A vertical axis with round marks.
struct Axis {
    low: f32,
    high: f32,
    step: f32,
}

impl Axis {
    /// The axis that covers everything from `low` to `high`.
    fn over(low: f32, high: f32) -> Self {
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
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
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

#[cfg(test)]
mod tests {
    use episode::TickRecord;

    use super::{LINES_MAX, POINTS_MAX, Rewards};

    #[test]
    fn what_is_kept_does_not_grow_with_the_run() {
        let mut rewards = Rewards::default();
        let mut row = TickRecord::default();
        for (episodes, ticks) in [(3, 100_000), (2 * LINES_MAX, 40)] {
            for _ in 0..episodes {
                rewards.begin();
                for tick in 0..ticks {
                    row.tick = tick;
                    row.capture.reward = Some(tick as f32);
                    rewards.add(&row);
                }
            }
        }
        assert!(rewards.points() <= POINTS_MAX && rewards.points() > POINTS_MAX / 4);
        assert_eq!(
            (rewards.lines.len(), rewards.range),
            (LINES_MAX, Some((0.0, 99_999.0)))
        );
        let mut page = String::new();
        rewards.chart(&mut page);
        assert!(page.len() < 40 * POINTS_MAX && page.contains("more are not drawn"));
    }
}
