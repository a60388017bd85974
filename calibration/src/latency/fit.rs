//! What a delay explains.

use super::{BLOCKS, Track};

/// Pictures, by the products of each with each: all that a fit needs to know of them.
pub(super) struct Pictures {
    times_s: Vec<f64>,
    /// Row-major, as many rows and columns as there are pictures; the mean picture is subtracted.
    products: Vec<f64>,
}

impl Pictures {
    pub(super) fn of(pictures: &[(f64, &[u8])]) -> Self {
        let count = pictures.len();
        let levels = pictures.first().map_or(0, |(_, levels)| levels.len());
        let mut mean = vec![0.0_f32; levels];
        for (_, picture) in pictures {
            for (sum, level) in mean.iter_mut().zip(*picture) {
                *sum += f32::from(*level) / count as f32;
            }
        }
        let centred: Vec<Vec<f32>> = pictures
            .iter()
            .map(|(_, picture)| {
                let levels = picture.iter().zip(&mean);
                levels.map(|(level, mean)| f32::from(*level) - mean).collect()
            })
            .collect();
        let mut products = vec![0.0; count * count];
        for row in 0..count {
            for column in 0..=row {
                let pairs = centred[row].chunks(1024).zip(centred[column].chunks(1024));
                // In parts, so that no sum is too long for its type.
                let product: f64 = pairs
                    .map(|(a, b)| f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()))
                    .sum();
                products[row * count + column] = product;
                products[column * count + row] = product;
            }
        }
        Self {
            times_s: pictures.iter().map(|(time_s, _)| *time_s).collect(),
            products,
        }
    }

    /// The sum of squares of the pictures of `rows`.
    fn total(&self, rows: &[usize]) -> f64 {
        let count = self.times_s.len();
        rows.iter().map(|row| self.products[row * count + row]).sum()
    }

    /// The first eigenvector of the products, by power iteration.
    pub(super) fn first_component(&self) -> Vec<f64> {
        let count = self.times_s.len();
        let mut vector: Vec<f64> = (0..count).map(|row| self.products[row * count]).collect();
        for _ in 0..50 {
            let mut next: Vec<f64> = (0..count)
                .map(|row| {
                    let line = &self.products[row * count..(row + 1) * count];
                    line.iter().zip(&vector).map(|(a, b)| a * b).sum()
                })
                .collect();
            let length = norm(&next);
            if length > 0.0 {
                next.iter_mut().for_each(|value| *value /= length);
            }
            vector = next;
        }
        vector
    }

    /// The share of the pictures' change that cubic polynomials of the joint's position explain, `delay_s` before each. Pictures for
    /// which any delay within `range_s` has no position are left out, and those of the part `without`.
    pub(super) fn explained(
        &self,
        joint: &Track,
        range_s: (f64, f64),
        delay_s: f64,
        without: Option<usize>,
    ) -> f64 {
        let rows = rows(joint, &self.times_s, range_s, without);
        let positions: Vec<f64> = rows
            .iter()
            .map(|row| joint.at(self.times_s[*row] - delay_s))
            .collect();
        let basis = orthonormal(&positions, 3);
        let count = self.times_s.len();
        // The mean of these rows is no change.
        let square = |vector: &[f64]| -> f64 {
            let mut sum = 0.0;
            for (a, row) in vector.iter().zip(&rows) {
                let line = &self.products[row * count..(row + 1) * count];
                sum += a * vector
                    .iter()
                    .zip(&rows)
                    .map(|(b, column)| b * line[*column])
                    .sum::<f64>();
            }
            sum
        };
        let Some((constant, rest)) = basis.split_first() else {
            return 0.0;
        };
        let change = self.total(&rows) - square(constant);
        let explained: f64 = rest.iter().map(|vector| square(vector)).sum();
        share(explained, change)
    }
}

/// The share of a joint's motion that a line of its command explains, `delay_s` before each position.
pub(super) fn line(
    joint: &Track,
    command: &Track,
    range_s: (f64, f64),
    delay_s: f64,
    without: Option<usize>,
) -> f64 {
    let (times, positions): (Vec<f64>, Vec<f64>) = joint.points().unzip();
    let rows = rows(command, &times, range_s, without);
    let commands: Vec<f64> = rows.iter().map(|row| command.at(times[*row] - delay_s)).collect();
    let basis = orthonormal(&commands, 1);
    let along = |vector: &[f64]| -> f64 {
        let pairs = vector.iter().zip(&rows);
        pairs.map(|(a, row)| a * positions[*row]).sum::<f64>().powi(2)
    };
    let Some((constant, rest)) = basis.split_first() else {
        return 0.0;
    };
    let total: f64 = rows.iter().map(|row| positions[*row].powi(2)).sum();
    share(
        rest.iter().map(|vector| along(vector)).sum(),
        total - along(constant),
    )
}

fn share(explained: f64, change: f64) -> f64 {
    if change > 0.0 { explained / change } else { 0.0 }
}

/// The moments that every delay of `range_s` has a position for, but for the part `without`.
fn rows(track: &Track, times_s: &[f64], range_s: (f64, f64), without: Option<usize>) -> Vec<usize> {
    let Some((first_s, last_s)) = track.span_s() else {
        return Vec::new();
    };
    // An arm at rest before the first moment was there before, too.
    let mut rows: Vec<usize> = (0..times_s.len())
        .filter(|row| times_s[*row] >= first_s && times_s[*row] - range_s.0 <= last_s)
        .collect();
    if let Some(block) = without {
        let count = rows.len();
        rows = rows
            .into_iter()
            .enumerate()
            .filter(|(index, _)| index * BLOCKS / count.max(1) != block)
            .map(|(_, row)| row)
            .collect();
    }
    rows
}

/// An orthonormal basis of the polynomials of `values` up to `degree`, by Gram and Schmidt, the constant first. A power that is none of its own is
/// left out.
fn orthonormal(values: &[f64], degree: usize) -> Vec<Vec<f64>> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scaled: Vec<f64> = values
        .iter()
        .map(|value| {
            if spread > 0.0 {
                (value - mean) / spread
            } else {
                0.0
            }
        })
        .collect();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(degree + 1);
    for power in 0..=degree {
        let mut vector: Vec<f64> = scaled.iter().map(|value| value.powi(power as i32)).collect();
        let before = norm(&vector);
        // Twice, for the digits.
        for _ in 0..2 {
            for other in &basis {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                for (a, b) in vector.iter_mut().zip(other) {
                    *a -= along * b;
                }
            }
        }
        let length = norm(&vector);
        if length > 1e-9 * before && length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
            basis.push(vector);
        }
    }
    basis
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}
