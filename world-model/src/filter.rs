//! The belief and its update from one frame: `posterior(belief_{t-1}, action_t, embedding_t)`.

use std::sync::Arc;

use crate::kernel::{Beliefs, Gaussian, Instructions, Unsupported, beliefs};
use crate::manifest::Dimensions;
use crate::weights::{Dense, LatentWeights};

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

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.h.iter().chain(&self.s).all(|value| value.is_finite())
    }
}

/// How a frame changed the belief.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Innovation {
    /// KL divergence of the prior from the posterior, in nats: how much the frame surprised the model.
    pub kl_nats: f32,
}

/// Updates beliefs. Allocates nothing once it is made; the same bits on every CPU.
pub struct Filter {
    beliefs: Box<dyn Beliefs>,
    prior: Gaussian,
    posterior: Gaussian,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Packs the transition's and the posterior's weights, and sizes all buffers.
    ///
    /// # Errors
    /// [`Unsupported`] on a CPU without these instructions, and for `bf16`.
    pub fn new(
        weights: &Arc<LatentWeights>,
        posterior: &[Dense; 2],
        instructions: Instructions,
    ) -> Result<Self, Unsupported> {
        let stochastic = weights.dimensions.stochastic;
        let gaussian = Gaussian {
            mean: vec![0.0; stochastic],
            std: vec![0.0; stochastic],
        };
        Ok(Self {
            beliefs: beliefs(weights, posterior, instructions)?,
            posterior: gaussian.clone(),
            prior: gaussian,
        })
    }

    /// Takes a frame into account. `action` is the one that caused it.
    pub fn posterior(&mut self, belief: &mut Belief, action: &[f32], embedding: &[f32]) -> Innovation {
        let Self {
            beliefs,
            prior,
            posterior,
        } = self;
        beliefs.observe(belief, action, embedding, prior, posterior);
        let kl_nats = (0..prior.mean.len())
            .map(|i| {
                let ratio = (posterior.std[i] / prior.std[i]).powi(2);
                let distance = ((posterior.mean[i] - prior.mean[i]) / prior.std[i]).powi(2);
                0.5 * (ratio + distance - 1.0 - crate::math::ln(ratio))
            })
            .sum();
        Innovation { kl_nats }
    }

    /// No frame: the prior's mean stands in for the posterior.
    pub fn predict(&mut self, belief: &mut Belief, action: &[f32]) {
        self.beliefs.predict(belief, action, &mut self.prior);
    }

    /// The reward the model believes the present state has.
    pub fn reward(&mut self, belief: &Belief) -> f32 {
        self.beliefs.reward(belief)
    }

    /// The Gaussians of the last update, for the parity check: posterior mean and standard deviation, then the prior's.
    pub(crate) fn gaussians(&self) -> [&[f32]; 4] {
        let (q, p) = (&self.posterior, &self.prior);
        [&q.mean, &q.std, &p.mean, &p.std]
    }
}
