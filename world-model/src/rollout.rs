//! Imagined returns of candidate action sequences: one trait, several back ends, one parity suite.

use robot::philox::{open_unit, philox4x32};

use crate::filter::Belief;
use crate::math::normal_quantile;

/// Names the noise of one planning iteration. Every variate is a function of this, the candidate and the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey {
    /// Planner seed.
    pub seed: u64,
    /// Control tick.
    pub tick: u32,
    /// CEM iteration.
    pub iteration: u32,
    /// Whether stochastic states are sampled or follow their mean.
    pub sampled: bool,
}

/// What a variate is for; keeps streams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Candidate actions.
    Action = 0,
    /// Stochastic states within rollouts.
    Latent = 1,
    /// Exploration noise and random policies.
    Exploration = 2,
}

impl NoiseKey {
    /// Fills `out` with standard normal variates for (`candidate`, `step`).
    pub fn normals(&self, purpose: Purpose, candidate: u32, step: u32, out: &mut [f32]) {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        for (block, chunk) in out.chunks_mut(4).enumerate() {
            let counter = [
                block as u32 | ((purpose as u32) << 24),
                candidate,
                step | (self.iteration << 16),
                self.tick,
            ];
            let words = philox4x32(counter, key);
            for (value, word) in chunk.iter_mut().zip(words) {
                *value = normal_quantile(open_unit(word));
            }
        }
    }
}

/// Something that imagines.
pub trait Rollout: Send {
    /// Name in reports and logs.
    fn name(&self) -> &'static str;

    /// Return (sum of predicted rewards over the horizon, no discount) of each candidate.
    ///
    /// `actions` is `[candidates][horizon][action]`, `returns` is `[candidates]`. Candidate j's noise is keyed by
    /// `first_candidate + j`, so a budget may be split over calls without changing any number.
    ///
    /// # Errors
    /// Back ends that run a graph may fail; the message says why. The planner then falls down its ladder.
    fn returns(
        &mut self,
        start: &Belief,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String>;
}
