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
