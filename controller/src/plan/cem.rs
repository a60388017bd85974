//! The cross-entropy method: PlaNet's Algorithm 2, with an optional warm start.

use robot::config::Planner as Budget;
use robot::{Envelope, JointVec, SetPoint};
use world_model::NoiseKey;
use world_model::rollout::Purpose;

/// Scores candidate action sequences.
pub trait Evaluate {
    /// Writes the return of each candidate; `actions` is `[candidates][horizon][action]`. `false` if it could not.
    fn returns(&mut self, actions: &[f32], horizon: usize, key: NoiseKey, returns: &mut [f32]) -> bool;
}

/// What one iteration found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IterationStatistics {
    /// Best return of this iteration's candidates.
    pub best_return: f32,
    /// Mean return of its elites.
    pub elite_mean_return: f32,
    /// Standard deviation of the refitted first action, averaged over joints.
    pub elite_std: f32,
}

/// A diagonal Gaussian over action sequences, refitted to the elites of its own samples. Every buffer is sized once.
#[derive(Debug)]
pub struct Cem {
    horizon: usize,
    width: usize,
    elites: usize,
    initial_std: f32,
    warm_start: bool,
    /// `[horizon][action]`.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// `[candidates][horizon][action]`, after the envelope.
    actions: Vec<f32>,
    returns: Vec<f32>,
    order: Vec<u32>,
}

impl Cem {
    /// Sizes all buffers.
    pub fn new(budget: &Budget, width: usize) -> Self {
        let sequence = budget.horizon * width;
        Self {
            horizon: budget.horizon,
            width,
            elites: budget.elites,
            initial_std: budget.initial_std,
            warm_start: budget.warm_start,
            mean: vec![0.0; sequence],
            std: vec![0.0; sequence],
            actions: vec![0.0; budget.candidates * sequence],
            returns: vec![0.0; budget.candidates],
            order: (0..budget.candidates as u32).collect(),
        }
    }

    /// Forgets the previous plan.
    pub fn reset(&mut self) {
        self.mean.fill(0.0);
    }

    /// Starts a plan: the previous one shifted by a step (its last action repeated as zero), or zero.
    pub fn begin(&mut self) {
        if self.warm_start {
            self.mean.copy_within(self.width.., 0);
            let last = self.mean.len() - self.width;
            self.mean[last..].fill(0.0);
        } else {
            self.mean.fill(0.0);
        }
        self.std.fill(self.initial_std);
    }

    /// The mean's first action: the plan's proposal at any time.
    pub fn first_action(&self) -> JointVec {
        self.mean[..self.width]
            .iter()
            .map(|value| value.clamp(-1.0, 1.0))
            .collect()
    }

    /// One iteration: sample, clip, clamp by the envelope, score, refit to the best K. `None`, and the mean as it
    /// was, if no candidate has a finite return.
    pub fn refine(
        &mut self,
        key: NoiseKey,
        from: &SetPoint,
        envelope: &Envelope,
        evaluate: &mut dyn Evaluate,
    ) -> Option<IterationStatistics> {
        self.sample(key, from, envelope);
        if !evaluate.returns(&self.actions, self.horizon, key, &mut self.returns) {
            return None;
        }
        let returns = &self.returns;
        // NaN and infinities rank last; equal returns rank by index, so that the choice is the same everywhere.
        let score = |index: u32| {
            let value = returns[index as usize];
            if value.is_finite() {
                value
            } else {
                f32::NEG_INFINITY
            }
        };
        let better = |a: &u32, b: &u32| score(*b).total_cmp(&score(*a)).then(a.cmp(b));
        if self.elites < self.order.len() {
            self.order.select_nth_unstable_by(self.elites - 1, better);
        }
        self.order[..self.elites].sort_unstable_by(better);
        let finite = self.order[..self.elites]
            .iter()
            .take_while(|i| score(**i).is_finite())
            .count();
        if finite == 0 {
            return None;
        }
        let best_return = score(self.order[0]);
        let elites = &self.order[..finite];
        let elite_mean_return = elites.iter().map(|i| score(*i)).sum::<f32>() / finite as f32;
        let sequence = self.horizon * self.width;
        for element in 0..sequence {
            let value = |i: &u32| self.actions[*i as usize * sequence + element];
            let mean = elites.iter().map(value).sum::<f32>() / finite as f32;
            let variance = elites.iter().map(|i| (value(i) - mean).powi(2)).sum::<f32>() / finite as f32;
            self.mean[element] = mean;
            // PlaNet's planner keeps a little variance: std = sqrt(var + 1e-6).
            self.std[element] = (variance + 1e-6).sqrt();
        }
        let elite_std = self.std[..self.width].iter().sum::<f32>() / self.width as f32;
        Some(IterationStatistics {
            best_return,
            elite_mean_return,
            elite_std,
        })
    }

    fn sample(&mut self, key: NoiseKey, from: &SetPoint, envelope: &Envelope) {
        let mut noise = [0.0; robot::MAX_JOINTS];
        for (candidate, sequence) in self
            .actions
            .chunks_exact_mut(self.horizon * self.width)
            .enumerate()
        {
            let mut set_point = from.clone();
            for (step, action) in sequence.chunks_exact_mut(self.width).enumerate() {
                key.normals(
                    Purpose::Action,
                    candidate as u32,
                    step as u32,
                    &mut noise[..self.width],
                );
                for joint in 0..self.width {
                    let at = step * self.width + joint;
                    // Clipped before it is scored, and clamped by what the guard would make of it.
                    action[joint] = self.std[at].mul_add(noise[joint], self.mean[at]).clamp(-1.0, 1.0);
                }
                let clamped = envelope.clamp(&set_point, action);
                action.copy_from_slice(&clamped.action);
                set_point = clamped.set_point;
            }
        }
    }
}
