//! What the model knows at one moment, as filter, rollouts and planner share it.

use crate::manifest::Dimensions;

/// What the model knows: deterministic `h` and stochastic `s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    /// Deterministic state.
    pub h: Vec<f32>,
    /// Stochastic state: the posterior's mean (control is deterministic).
    pub s: Vec<f32>,
}

impl Belief {
    /// The state before an episode: zeros.
    pub fn initial(dimensions: &Dimensions) -> Self {
        Self {
            h: vec![0.0; dimensions.belief],
            s: vec![0.0; dimensions.stochastic],
        }
    }

    /// Overwrites with another of the same size, without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        self.h.copy_from_slice(&other.h);
        self.s.copy_from_slice(&other.s);
    }

    /// Back to zeros.
    pub fn reset(&mut self) {
        self.h.fill(0.0);
        self.s.fill(0.0);
    }
}
