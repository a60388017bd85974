//! The logs of one robot at one task: which chunks they hold, and the terms in which its joints are seen.

use std::path::PathBuf;

use robot::philox::Stream;
use world_model::JointScale;

use crate::checkpoint::TaskOfLogs;

/// A stretch that is long enough.
#[derive(Debug)]
pub(super) struct Usable {
    /// Its log, as the cache knows it.
    pub(super) log: PathBuf,
    /// Its number in it.
    pub(super) part: usize,
}

/// Stretches of planned, or of random, episodes, with the number of chunks up to and with each.
#[derive(Debug, Default)]
pub(super) struct Pool {
    stretches: Vec<Usable>,
    chunks: Vec<usize>,
}

impl Pool {
    pub(super) fn add(&mut self, stretch: Usable, chunks: usize) {
        self.stretches.push(stretch);
        self.chunks.push(self.total() + chunks);
    }

    fn total(&self) -> usize {
        self.chunks.last().copied().unwrap_or(0)
    }

    /// The stretch of chunk number `choice`, and where in it the chunk starts.
    fn find(&self, choice: usize) -> (&Usable, usize) {
        let index = self.chunks.partition_point(|&up_to| up_to <= choice);
        let before = if index == 0 { 0 } else { self.chunks[index - 1] };
        (&self.stretches[index], choice - before)
    }
}

/// What there is of one robot at one task.
#[derive(Debug)]
pub(super) struct Task {
    /// What it is called, and how its joints are seen.
    pub(super) name: TaskOfLogs,
    /// Planned episodes.
    pub(super) planned: Pool,
    /// All others.
    pub(super) random: Pool,
}

impl Task {
    /// A chunk for row `row` of a batch, of which `from_planned` rows are to be from planned episodes; all chunks alike if
    /// that is not given.
    pub(super) fn draw(
        &self,
        stream: &mut Stream,
        row: usize,
        from_planned: Option<usize>,
    ) -> (&Usable, usize) {
        let of_planned = match from_planned {
            None => stream.below(self.planned.total() + self.random.total()) < self.planned.total(),
            Some(_) if self.random.total() == 0 => true,
            Some(rows) => row < rows && self.planned.total() > 0,
        };
        let pool = if of_planned { &self.planned } else { &self.random };
        pool.find(stream.below(pool.total()))
    }
}

/// Less than this, in radians or radians a second, is noise of a joint that stands still, and not to be made large.
const LEAST_STD: f64 = 0.01;

/// Means and standard deviations of joints, from as many rows as there are.
#[derive(Debug, Default)]
pub(super) struct Moments {
    count: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Adds rows of `[q_0, q'_0, q_1, ...]`, for `joints` joints.
    pub(super) fn add(&mut self, rows: &[f32], joints: usize) {
        self.sums.resize(2 * joints, 0.0);
        self.squares.resize(2 * joints, 0.0);
        for row in rows.chunks_exact(2 * joints) {
            self.count += 1.0;
            for (index, &value) in row.iter().enumerate() {
                self.sums[index] += f64::from(value);
                self.squares[index] += f64::from(value).powi(2);
            }
        }
    }

    /// What they say of each joint.
    pub(super) fn scales(&self) -> Vec<JointScale> {
        let of = |index: usize| {
            let mean = self.sums[index] / self.count.max(1.0);
            let variance = self.squares[index] / self.count.max(1.0) - mean * mean;
            (mean as f32, variance.max(0.0).sqrt().max(LEAST_STD) as f32)
        };
        (0..self.sums.len() / 2)
            .map(|joint| {
                let (position, velocity) = (of(2 * joint), of(2 * joint + 1));
                JointScale {
                    position_mean_rad: position.0,
                    position_std_rad: position.1,
                    velocity_mean_rad_s: velocity.0,
                    velocity_std_rad_s: velocity.1,
                }
            })
            .collect()
    }
}
