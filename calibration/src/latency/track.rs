//! A joint's way over time.

/// Positions of a joint at some moments, joined by a natural cubic spline.
#[derive(Debug, Clone, Default)]
pub struct Track {
    times_s: Vec<f64>,
    positions_rad: Vec<f64>,
    /// Second derivatives at the moments; zero at both ends.
    bends: Vec<f64>,
    /// Straight lines in the place of the spline.
    straight: bool,
}

impl Track {
    /// Through positions that were measured: each a time in seconds, after the one before, and a position in radians.
    pub fn smooth(points: &[(f64, f64)]) -> Self {
        let mut track = Self::straight(points);
        track.straight = false;
        track.bends = bends(&track.times_s, &track.positions_rad);
        track
    }

    /// Along straight lines, as an arm is led from one set point to the next.
    pub fn straight(points: &[(f64, f64)]) -> Self {
        let mut track = Self {
            straight: true,
            ..Self::default()
        };
        for &(time_s, position_rad) in points {
            let later = track.times_s.last().is_none_or(|last| time_s > *last);
            if later && time_s.is_finite() && position_rad.is_finite() {
                track.times_s.push(time_s);
                track.positions_rad.push(position_rad);
            }
        }
        track
    }

    /// Moments.
    pub fn len(&self) -> usize {
        self.times_s.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times_s.is_empty()
    }

    /// Each moment, in seconds, and the position then, in radians.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.times_s
            .iter()
            .copied()
            .zip(self.positions_rad.iter().copied())
    }

    /// From the least position to the greatest, in radians.
    pub fn range_rad(&self) -> f64 {
        let (low, high) = self
            .positions_rad
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), position| {
                (low.min(*position), high.max(*position))
            });
        (high - low).max(0.0)
    }

    /// The first and the last moment, in seconds.
    pub(super) fn span_s(&self) -> Option<(f64, f64)> {
        Some((*self.times_s.first()?, *self.times_s.last()?))
    }

    /// The position at `time_s`, in radians; before the first moment and after the last it stays.
    pub fn at(&self, time_s: f64) -> f64 {
        let (times, positions) = (&self.times_s, &self.positions_rad);
        let next = times.partition_point(|time| *time <= time_s);
        if next == 0 || next == times.len() {
            let end = if next == 0 {
                positions.first()
            } else {
                positions.last()
            };
            return end.copied().unwrap_or(f64::NAN);
        }
        let width = times[next] - times[next - 1];
        let (left, right) = ((times[next] - time_s) / width, (time_s - times[next - 1]) / width);
        let line = left * positions[next - 1] + right * positions[next];
        if self.straight {
            return line;
        }
        let bend = (left.powi(3) - left) * self.bends[next - 1] + (right.powi(3) - right) * self.bends[next];
        line + bend * width * width / 6.0
    }
}

/// Second derivatives of the natural cubic spline, by the tridiagonal system that continuity of the first derivative gives.
fn bends(times: &[f64], positions: &[f64]) -> Vec<f64> {
    let count = times.len();
    let (mut bends, mut above) = (vec![0.0; count], vec![0.0; count]);
    for i in 1..count.saturating_sub(1) {
        let (before, after) = (times[i] - times[i - 1], times[i + 1] - times[i]);
        let share = before / (before + after);
        let pivot = share * above[i - 1] + 2.0;
        above[i] = (share - 1.0) / pivot;
        let slope = (positions[i + 1] - positions[i]) / after - (positions[i] - positions[i - 1]) / before;
        bends[i] = (6.0 * slope / (before + after) - share * bends[i - 1]) / pivot;
    }
    for i in (1..count.saturating_sub(1)).rev() {
        bends[i] += above[i] * bends[i + 1];
    }
    bends
}
