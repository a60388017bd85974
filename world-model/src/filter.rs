//! The belief and its update from one frame: `posterior(belief_{t-1}, action_t, embedding_t)`.

use std::sync::Arc;

use crate::error::BundleError;
use crate::manifest::Dimensions;
use crate::scalar::ScalarRollout;
use crate::tract::{Graph, GraphSource};
use crate::weights::LatentWeights;

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

/// Updates beliefs.
#[derive(Debug)]
pub struct Filter {
    graph: Graph,
    prior: ScalarRollout,
    std: Vec<f32>,
}

impl Filter {
    /// Prepares `filter.onnx`; the prior-only update uses the transition's weights directly.
    ///
    /// # Errors
    /// [`BundleError::Graph`].
    pub fn new(source: &GraphSource<'_>, weights: Arc<LatentWeights>) -> Result<Self, BundleError> {
        let d = weights.dimensions;
        let shapes = [
            vec![1, d.belief],
            vec![1, d.stochastic],
            vec![1, d.action],
            vec![1, d.embedding],
        ];
        Ok(Self {
            graph: Graph::new(source, &shapes)?,
            std: vec![0.0; d.stochastic],
            prior: ScalarRollout::new(weights),
        })
    }

    /// Takes a frame into account. `action` is the one that caused it.
    ///
    /// # Errors
    /// What the graph executor says; the belief is then unchanged.
    pub fn posterior(
        &mut self,
        belief: &mut Belief,
        action: &[f32],
        embedding: &[f32],
    ) -> Result<Innovation, String> {
        let outputs = self.graph.run(&[&belief.h, &belief.s, action, embedding])?;
        let part = |index: usize| {
            outputs
                .get(index)
                .map(Vec::as_slice)
                .ok_or("filter.onnx lacks an output")
        };
        let (h, mean, std) = (part(0)?, part(1)?, part(2)?);
        let (prior_mean, prior_std) = (part(3)?, part(4)?);
        belief.h.copy_from_slice(h);
        belief.s.copy_from_slice(mean);
        let kl_nats = (0..mean.len())
            .map(|i| {
                let ratio = (std[i] / prior_std[i]).powi(2);
                let distance = ((mean[i] - prior_mean[i]) / prior_std[i]).powi(2);
                0.5 * (ratio + distance - 1.0 - crate::math::ln(ratio))
            })
            .sum();
        Ok(Innovation { kl_nats })
    }

    /// No frame: the prior's mean stands in for the posterior.
    pub fn predict(&mut self, belief: &mut Belief, action: &[f32]) {
        self.prior.predict(belief, action, &mut self.std);
    }

    /// The reward the model believes the present state has.
    pub fn reward(&mut self, belief: &Belief) -> f32 {
        self.prior.reward(belief)
    }
}
