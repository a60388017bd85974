//! Stage 3, filter: the belief after this frame, or without one.

use episode::{ArmState, FilterRow};
use world_model::{Belief, Bundle, BundleError, Dimensions, Filter, Observer};

use crate::capture::Captured;

/// The belief and what updates it.
#[derive(Debug)]
pub struct BeliefFilter {
    observer: Observer,
    filter: Filter,
    belief: Belief,
    ahead: Belief,
}

impl BeliefFilter {
    /// Prepares a bundle's filter with an initial belief.
    ///
    /// # Errors
    /// A graph that does not run.
    pub fn new(bundle: &Bundle) -> Result<Self, BundleError> {
        let dimensions: Dimensions = bundle.dimensions();
        let belief = Belief::initial(&dimensions);
        Ok(Self {
            observer: bundle.observer(),
            filter: bundle.filter()?,
            ahead: belief.clone(),
            belief,
        })
    }

    /// Forgets everything: a new episode.
    pub fn reset(&mut self) {
        self.belief.reset();
    }

    /// The belief.
    pub fn belief(&self) -> &Belief {
        &self.belief
    }

    /// Takes an observation into account: `caused_by` is the action that led to it. Without a fresh frame, or without
    /// fresh joints where the model sees them, the prior stands in for the posterior.
    pub fn update(&mut self, caused_by: &[f32], captured: &Captured, fresh: bool) -> FilterRow {
        let mut row = FilterRow::default();
        // Of an arm that was not heard in this tick they are those of before.
        let joints = (captured.arm != ArmState::Unheard).then_some(&captured.joints);
        let observed = fresh.then(|| self.observer.observe(&captured.embedding, joints));
        if let Some(observed) = observed.flatten() {
            let innovation = self.filter.posterior(&mut self.belief, caused_by, observed);
            row.kl_nats = innovation.kl_nats;
        } else {
            self.filter.predict(&mut self.belief, caused_by);
            row.prior_only = true;
        }
        row.reward_predicted = self.filter.reward(&self.belief);
        row
    }

    /// Moves the belief on by a period that nothing was observed of.
    pub fn advance(&mut self, caused_by: &[f32]) {
        self.filter.predict(&mut self.belief, caused_by);
    }

    /// The belief one period on, under `action`, without touching the present one.
    pub fn predict(&mut self, action: &[f32]) -> &Belief {
        self.ahead.copy_from(&self.belief);
        self.filter.predict(&mut self.ahead, action);
        &self.ahead
    }
}
