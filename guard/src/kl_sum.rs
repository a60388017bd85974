//! The innovation of the last pictures together. A model that is surprised by something new soon believes it, so that no later picture is as
//! surprising as the first: a threshold for each picture that good runs never exceed misses most of what happens, and their sum does not.

use robot::config::{KL_SUM_SETTLING, KL_SUM_TICKS};

/// The innovation of the last pictures of an episode, and the threshold of their sum.
#[derive(Debug, Clone)]
pub struct KlSum {
    /// None: nothing exceeds it.
    above_nats: Option<f32>,
    last_nats: [f32; KL_SUM_TICKS],
    /// Pictures so far.
    pictures: u32,
}

impl KlSum {
    /// With `trust.kl_sum_nats` of a robot file.
    pub fn new(above_nats: Option<f32>) -> Self {
        Self {
            above_nats,
            last_nats: [0.0; KL_SUM_TICKS],
            pictures: 0,
        }
    }

    /// A new episode.
    pub fn reset(&mut self) {
        (self.last_nats, self.pictures) = ([0.0; KL_SUM_TICKS], 0);
    }

    /// Takes the innovation of the next picture. Whether the sum exceeds the threshold now.
    pub fn exceeds(&mut self, nats: f32) -> bool {
        let Some(above_nats) = self.above_nats else {
            return false;
        };
        self.pictures = self.pictures.saturating_add(1);
        if self.pictures <= KL_SUM_SETTLING {
            return false;
        }
        self.last_nats.rotate_left(1);
        // `min` also makes half of the threshold of what is no number.
        self.last_nats[KL_SUM_TICKS - 1] = nats.min(0.5 * above_nats);
        self.last_nats.iter().sum::<f32>() > above_nats
    }
}

#[cfg(test)]
mod tests {
    use super::KlSum;

    /// The picture, counted from 1, at which the sum is exceeded first.
    fn first(above_nats: Option<f32>, nats: impl IntoIterator<Item = f32>) -> Option<usize> {
        let mut sum = KlSum::new(above_nats);
        let at = nats.into_iter().position(|nats| sum.exceeds(nats));
        at.map(|index| index + 1)
    }

    #[test]
    fn several_pictures_exceed_it_and_one_alone_does_not() {
        let fours = [4.0; 20];
        assert_eq!(first(Some(19.9), fours), Some(8), "three settle, five are summed");
        assert_eq!(first(Some(20.0), fours), None);
        let with = |at: usize, more: &[f32]| {
            let mut nats = vec![0.5; 30];
            nats[at..at + more.len()].copy_from_slice(more);
            nats
        };
        assert_eq!(first(Some(20.0), with(10, &[1e9])), None, "one alone");
        assert_eq!(first(Some(20.0), with(10, &[1e9, 9.0])), Some(12));
        assert_eq!(first(Some(20.0), with(10, &[9.0, 7.0, 4.0])), Some(13));
        assert_eq!(
            first(Some(20.0), with(0, &[1e9, 1e9, 1e9])),
            None,
            "the belief settles"
        );
        assert_eq!(first(Some(20.0), with(10, &[f32::NAN, f32::NAN])), Some(12));
        assert_eq!(first(None, [f32::NAN; 30]), None);
    }
}
