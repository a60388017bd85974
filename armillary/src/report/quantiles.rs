//! Quantiles of any number of durations in bounded memory.

/// Buckets an octave: a quantile is told to within 1.6 %.
const STEPS: usize = 64;

/// Counts of durations, by their size. The largest is kept exactly.
#[derive(Debug, Clone)]
pub(super) struct Quantiles {
    /// One for each of 64 octaves' steps; none until there is a value.
    counts: Vec<u64>,
    total: u64,
    worst_ns: u64,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self {
            counts: vec![0; 64 * STEPS],
            total: 0,
            worst_ns: 0,
        }
    }
}

impl Quantiles {
    pub(super) fn add(&mut self, ns: u64) {
        self.counts[Self::bucket(ns)] += 1;
        self.total += 1;
        self.worst_ns = self.worst_ns.max(ns);
    }

    /// The duration below which the share `q` of all lie, in nanoseconds; `None` if there are none.
    pub(super) fn at(&self, q: f64) -> Option<u64> {
        let rank = ((self.total as f64 * q) as u64).min(self.total.checked_sub(1)?);
        if rank + 1 == self.total {
            return Some(self.worst_ns);
        }
        let mut so_far = 0;
        let bucket = self.counts.iter().position(|count| {
            so_far += count;
            so_far > rank
        })?;
        Some(Self::upper_ns(bucket).min(self.worst_ns))
    }

    /// The middle of each bucket that has any, in nanoseconds, and how many it has.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(bucket, count)| (Self::upper_ns(bucket), *count))
    }

    /// The octave and the step in it: the exponent and the first bits behind it.
    fn bucket(ns: u64) -> usize {
        let ns = ns.max(1);
        let octave = ns.ilog2() as usize;
        let steps = (u128::from(ns) * STEPS as u128) >> octave;
        octave * STEPS + steps as usize - STEPS
    }

    /// The largest duration of a bucket.
    fn upper_ns(bucket: usize) -> u64 {
        let (octave, step) = (bucket / STEPS, bucket % STEPS);
        let next = ((STEPS + step + 1) as u128) << octave;
        u64::try_from(next.div_ceil(STEPS as u128) - 1).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantiles;

    #[test]
    fn quantiles_are_those_of_the_sorted_values_to_within_two_percent() {
        let mut quantiles = Quantiles::default();
        assert_eq!(quantiles.at(0.5), None);
        // From 1 ns to some seconds, in an order that is none.
        let mut values: Vec<u64> = (0..10_000_u64)
            .map(|index| {
                let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                (mixed % 1_000 + 1) << (mixed >> 10 & 23)
            })
            .chain([u64::MAX])
            .collect();
        for value in &values {
            quantiles.add(*value);
        }
        values.sort_unstable();
        for q in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999] {
            let exact = values[(values.len() as f64 * q) as usize] as f64;
            let found = quantiles.at(q).unwrap_or_default() as f64;
            assert!((found - exact).abs() <= 0.02 * exact, "{q}: {found} and {exact}");
        }
        assert_eq!(quantiles.at(1.0), Some(u64::MAX));
        assert_eq!(quantiles.buckets().map(|(_, count)| count).sum::<u64>(), 10_001);
    }
}
