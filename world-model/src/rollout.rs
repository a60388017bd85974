//! Imagined returns of candidate action sequences: one trait, several back ends, one parity suite.

use crate::belief::Belief;
use crate::noise::NoiseKey;

/// Something that imagines.
pub trait Rollout: Send + std::fmt::Debug {
    /// Name in reports and logs.
    fn name(&self) -> &'static str;

    /// Takes the belief that all candidates start from, until the next call.
    fn begin(&mut self, start: &Belief);

    /// Return (sum of predicted rewards over the horizon, no discount) of each candidate.
    ///
    /// `actions` is `[candidates][horizon][action]`, `returns` is `[candidates]`. Candidate j's noise is keyed by
    /// `first_candidate + j`, so a budget may be split over calls without changing any number.
    ///
    /// # Errors
    /// Back ends that run a graph may fail; the message says why. The arm is then stopped.
    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String>;
}
