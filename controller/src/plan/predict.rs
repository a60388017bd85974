//! How long the next iteration will take: the basis of every decision to begin one.

/// Iterations that count.
const WINDOW: usize = 16;

/// A prediction from the last iterations, which errs on the long side, yet forgives one outlier at once: a machine that
/// pauses now and then is no slow machine.
#[derive(Debug, Default)]
pub(super) struct Predictor {
    /// Nanoseconds a candidate, the newest overwriting the oldest.
    seen: [u64; WINDOW],
    count: usize,
    /// Times in a row that not even one iteration was dared.
    doubts: u32,
}

impl Predictor {
    /// Learns that an iteration of so many candidates took `took_ns`.
    pub(super) fn learn(&mut self, candidates: usize, took_ns: u64) {
        let each_ns = took_ns.div_ceil(candidates.max(1) as u64);
        let dared_ns = self.each_ns();
        if self.doubts > 0 && each_ns <= dared_ns {
            // The doubt was right: what took longer was an exception.
            for seen in &mut self.seen {
                *seen = (*seen).min(dared_ns);
            }
        }
        self.doubts = 0;
        self.seen[self.count % WINDOW] = each_ns;
        self.count += 1;
    }

    /// The time of one with so many. None before the first.
    pub(super) fn predict_ns(&self, candidates: usize) -> u64 {
        self.each_ns().saturating_mul(candidates as u64)
    }

    /// By the second longest of the last ones, the only one if there is one; half of it for each doubt.
    fn each_ns(&self) -> u64 {
        let (mut longest, mut second) = (0, 0);
        for &each in &self.seen {
            if each > longest {
                (longest, second) = (each, longest);
            } else {
                second = second.max(each);
            }
        }
        let each = if self.count == 1 { longest } else { second };
        each.checked_shr(self.doubts).unwrap_or(0)
    }

    /// Not even one iteration was dared. Only daring one tells whether that is still right.
    pub(super) fn doubt(&mut self) {
        self.doubts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Predictor;

    fn after(times_ns: &[u64]) -> Predictor {
        let mut predictor = Predictor::default();
        for &took_ns in times_ns {
            predictor.learn(10, took_ns);
        }
        predictor
    }

    #[test]
    fn predictions_err_on_the_long_side_and_forgive_one_outlier() {
        for (times_ns, candidates, predicted_ns) in [
            (&[][..], 10, 0),
            (&[100], 10, 100),
            (&[100], 20, 200),
            (&[100, 120, 110], 10, 110),
            (&[100, 9000, 110], 10, 110),
            (&[100, 9000, 8000, 110], 10, 8000),
        ] {
            assert_eq!(
                after(times_ns).predict_ns(candidates),
                predicted_ns,
                "{times_ns:?}"
            );
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_doubt_gives_up_on_the_longest() {
        let mut times = vec![9000, 9000];
        times.extend([100; 15]);
        assert_eq!(after(&times).predict_ns(10), 100);
        // Two stalls among many: a few doubts, and they are forgotten for good.
        let mut predictor = after(&[100, 100, 100, 9000, 9000]);
        for _ in 0..4 {
            predictor.doubt();
        }
        assert_eq!(predictor.predict_ns(10), 560);
        predictor.learn(10, 100);
        assert_eq!(predictor.predict_ns(10), 560);
        // A machine that became slow: an iteration is dared now and then, and it stays slow.
        let mut predictor = after(&[9000; 16]);
        predictor.doubt();
        assert_eq!(predictor.predict_ns(10), 4500);
        predictor.learn(10, 9000);
        assert_eq!(predictor.predict_ns(10), 9000);
    }
}
