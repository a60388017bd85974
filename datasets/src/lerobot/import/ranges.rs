//! The range of goals that each joint has in the data, which becomes what actions of -1 and 1 mean.

use robot::config::made::Actuator;

/// The most extreme goals of a side that are kept, to see whether a few rows alone stretch a range.
const KEPT: usize = 8;

/// A joint that moves by less than this part of the size of its goals rests: what is left is its encoder's noise.
const REST: f32 = 1e-3;

/// Rows of a joint whose goals stretch its range.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outliers {
    /// Where the rows are, and the goal in each: (episode, frame, goal).
    pub(super) rows: Vec<(i64, i64, f32)>,
    /// The range without them.
    pub(super) rest: (f32, f32),
}

/// What is known of a joint's goals.
#[derive(Debug, Clone, Default)]
pub(super) struct Range {
    count: usize,
    /// The lowest goals, lowest first, and the highest, highest first.
    lowest: Vec<(i64, i64, f32)>,
    highest: Vec<(i64, i64, f32)>,
}

impl Range {
    /// Takes note of a goal.
    pub(super) fn add(&mut self, episode: i64, frame: i64, goal: f32) {
        self.count += 1;
        let row = (episode, frame, goal);
        insert(&mut self.lowest, row, |a, b| a < b);
        insert(&mut self.highest, row, |a, b| a > b);
    }

    /// The lowest and the highest goal.
    pub(super) fn ends(&self) -> (f32, f32) {
        let end = |rows: &[(i64, i64, f32)]| rows.first().map_or(0.0, |row| row.2);
        (end(&self.lowest), end(&self.highest))
    }

    /// Whether the joint rests.
    pub(super) fn rests(&self) -> bool {
        let (low, high) = self.ends();
        high - low < REST * low.abs().max(high.abs()).max(1.0)
    }

    /// The joint with its range. One that rests has a range around its place in which its noise is small.
    pub(super) fn actuator(&self, name: String) -> Actuator {
        let (low, high) = self.ends();
        if !self.rests() {
            return Actuator { name, low, high };
        }
        let middle = 0.5 * low + 0.5 * high;
        let half = 0.5 * middle.abs().max(1.0);
        Actuator {
            name,
            low: middle - half,
            high: middle + half,
        }
    }

    /// The rows without which the range would be less than half as wide: one, or one in a thousand.
    pub(super) fn outliers(&self) -> Option<Outliers> {
        let (low, high) = self.ends();
        let width = high - low;
        let most = (self.count / 1000).clamp(1, KEPT - 1);
        for few in 1..=most.min(self.count.saturating_sub(2)) {
            let (next_low, next_high) = (self.lowest.get(few)?.2, self.highest.get(few)?.2);
            for (rows, rest) in [
                (&self.highest[..few], (low, next_high)),
                (&self.lowest[..few], (next_low, high)),
            ] {
                if rest.1 - rest.0 < 0.5 * width && !self.rests() {
                    return Some(Outliers {
                        rows: rows.to_vec(),
                        rest,
                    });
                }
            }
        }
        None
    }
}

fn insert(rows: &mut Vec<(i64, i64, f32)>, row: (i64, i64, f32), before: impl Fn(f32, f32) -> bool) {
    let at = rows
        .iter()
        .position(|other| before(row.2, other.2))
        .unwrap_or(rows.len());
    if at < KEPT {
        rows.insert(at, row);
        rows.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(goals: impl IntoIterator<Item = f32>) -> Range {
        let mut range = Range::default();
        for (frame, goal) in goals.into_iter().enumerate() {
            range.add(0, frame as i64, goal);
        }
        range
    }

    #[test]
    fn a_joint_that_rests_has_small_actions() {
        for (goals, rests) in [
            (vec![0.3, 0.3, 0.3], true),
            (vec![0.3, 0.3001, 0.2999], true),
            (vec![90.0, 90.05, 89.98], true),
            (vec![0.0, 0.01, 0.02], false),
            (vec![2048.0, 2049.0, 2048.0], true),
            (vec![-1.0, 1.0, 0.0], false),
        ] {
            let found = range(goals.clone());
            assert_eq!(found.rests(), rests, "{goals:?}");
            let actuator = found.actuator(String::new());
            assert!(actuator.low < actuator.high, "{goals:?}");
            if rests {
                let action =
                    (goals[1] - 0.5 * (actuator.low + actuator.high)) / (actuator.high - actuator.low);
                assert!(action.abs() < 0.01, "{goals:?}: {action}");
            }
        }
    }

    #[test]
    fn rows_that_alone_stretch_a_range_are_found() {
        let smooth = |rows: usize| (0..rows).map(|row| (row as f32 * 0.1).sin());
        assert_eq!(range(smooth(500)).outliers(), None);
        let one = range(smooth(500).chain([65535.0]));
        assert_eq!(
            one.outliers().map(|found| found.rows),
            Some(vec![(0, 500, 65535.0)])
        );
        let low = range(smooth(500).chain([-300.0])).outliers();
        assert_eq!(low.map(|found| found.rows[0].2), Some(-300.0));
        // Three readings of four thousand.
        let three = range(smooth(4000).chain([65535.0; 3])).outliers();
        assert_eq!(three.map(|found| found.rows.len()), Some(3));
        // Half of the rows are no outliers.
        assert_eq!(range([0.0, 0.0, 1.0, 1.0]).outliers(), None);
        assert_eq!(range([0.0]).outliers(), None);
        assert_eq!(range([]).outliers(), None);
    }
}
