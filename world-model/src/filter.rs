//! The belief's update from one frame: `posterior(belief_{t-1}, action_t, embedding_t)`.

use std::sync::Arc;

use crate::belief::Belief;
use crate::kernel::{Beliefs, Gaussian, Instructions, Unsupported, beliefs};
use crate::weights::{Dense, LatentWeights};

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
