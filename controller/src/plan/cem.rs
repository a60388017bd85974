//! The cross-entropy method: PlaNet's Algorithm 2, and two later ones as options of the same loop.
//!
//! | | `planet` | `icem` (Pinneri et al. 2020) | `mppi` (as in TD-MPC, Hansen et al. 2022) |
//! |---|---|---|---|
//! | noise | white | coloured, 1 / f^beta | white |
//! | candidates | J | J, then fewer by 1.25 an iteration, at least 2 K | J |
//! | first candidates | - | 0.3 of the last elites; the mean | - |
//! | refit | mean of the elites | with a tenth of the old mean | elites weighted by return |
//! | executes | the mean | the best candidate | the mean |

use robot::config::{Method, Planner as Budget};
use robot::{Envelope, JointVec, SetPoint};
use world_model::NoiseKey;

use super::proposals::{Proposals, colour};

/// Share of the elites that iCEM keeps for the next iteration and the next plan.
const KEPT: f32 = 0.3;

/// Factor by which iCEM's candidates become fewer.
const DECAY: f32 = 1.25;

/// Share of the old mean and standard deviation in iCEM's new ones.
const MOMENTUM: f32 = 0.1;

/// Scores candidate action sequences.
pub trait Evaluate {
    /// Writes the candidates (`[candidates][horizon][action]`, from [`Proposals::write`]) and the return of each.
    /// `false` if it could not.
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool;
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
    method: Method,
    horizon: usize,
    width: usize,
    elites: usize,
    initial_std: f32,
    warm_start: bool,
    /// `[horizon][action]`.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// `[horizon][horizon]` or nothing.
    colour: Vec<f32>,
    /// `[kept][horizon][action]`: the first candidates of the next iteration, and how many of them there are.
    kept: Vec<f32>,
    kept_count: usize,
    /// What is carried out, `[horizon][action]`: the mean, or the best candidate of the last iteration.
    executed: Vec<f32>,
    /// What a search was before its last iteration; see [`Self::undo`].
    before: Before,
    /// `[candidates][horizon][action]`, after the envelope.
    actions: Vec<f32>,
    returns: Vec<f32>,
    order: Vec<u32>,
    weights: Vec<f32>,
}

/// The state of a search.
#[derive(Debug, Default)]
struct Before {
    mean: Vec<f32>,
    std: Vec<f32>,
    kept: Vec<f32>,
    kept_count: usize,
    executed: Vec<f32>,
}

impl Cem {
    /// Sizes all buffers.
    pub fn new(budget: &Budget, width: usize) -> Self {
        let sequence = budget.horizon * width;
        let (colour, kept) = match budget.method {
            Method::Icem { beta } => (
                colour(budget.horizon, beta),
                ((KEPT * budget.elites as f32) as usize + 1).min(budget.candidates),
            ),
            Method::Planet | Method::Mppi { .. } => (Vec::new(), 0),
        };
        Self {
            method: budget.method,
            horizon: budget.horizon,
            width,
            elites: budget.elites,
            initial_std: budget.initial_std,
            warm_start: budget.warm_start,
            mean: vec![0.0; sequence],
            std: vec![0.0; sequence],
            colour,
            kept: vec![0.0; kept * sequence],
            kept_count: 0,
            executed: vec![0.0; sequence],
            before: Before {
                mean: vec![0.0; sequence],
                std: vec![0.0; sequence],
                kept: vec![0.0; kept * sequence],
                kept_count: 0,
                executed: vec![0.0; sequence],
            },
            actions: vec![0.0; budget.candidates * sequence],
            returns: vec![0.0; budget.candidates],
            order: vec![0; budget.candidates],
            weights: vec![0.0; budget.elites],
        }
    }

    /// Forgets the previous plan.
    pub fn reset(&mut self) {
        self.mean.fill(0.0);
        self.executed.fill(0.0);
        self.kept_count = 0;
    }

    /// Starts a plan. What is carried out is the previous plan, shifted by a step (its last action repeated as zero); the
    /// search starts from that, too, or from zero.
    pub fn begin(&mut self) {
        self.std.fill(self.initial_std);
        shift(&mut self.executed, self.width);
        if !self.warm_start {
            self.mean.fill(0.0);
            self.kept_count = 0;
            return;
        }
        shift(&mut self.mean, self.width);
        for kept in self
            .kept
            .chunks_exact_mut(self.horizon * self.width)
            .take(self.kept_count)
        {
            shift(kept, self.width);
        }
    }

    /// What is carried out at any time, `[horizon][action]`.
    pub fn executed(&self) -> &[f32] {
        &self.executed
    }

    /// The plan's proposal at any time: the first action of what is carried out.
    pub fn first_action(&self) -> JointVec {
        first_action(&self.executed, self.width)
    }

    /// Takes the last iteration back: the search is what it was when [`Self::refine`] was called last.
    pub fn undo(&mut self) {
        let before = &self.before;
        self.mean.copy_from_slice(&before.mean);
        self.std.copy_from_slice(&before.std);
        self.kept.copy_from_slice(&before.kept);
        self.kept_count = before.kept_count;
        self.executed.copy_from_slice(&before.executed);
    }

    fn remember(&mut self) {
        let before = &mut self.before;
        before.mean.copy_from_slice(&self.mean);
        before.std.copy_from_slice(&self.std);
        before.kept.copy_from_slice(&self.kept);
        before.kept_count = self.kept_count;
        before.executed.copy_from_slice(&self.executed);
    }

    /// Candidates of an iteration.
    pub fn candidates(&self, iteration: u32) -> usize {
        let most = self.returns.len();
        match self.method {
            Method::Planet | Method::Mppi { .. } => most,
            Method::Icem { .. } => {
                let fewer = most as f32 / DECAY.powi(iteration as i32);
                (fewer as usize).max(2 * self.elites).min(most)
            }
        }
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
        self.remember();
        let sequence = self.horizon * self.width;
        let count = self.candidates(key.iteration);
        let proposals = Proposals {
            key,
            horizon: self.horizon,
            width: self.width,
            mean: &self.mean,
            std: &self.std,
            kept: &self.kept[..self.kept_count.min(count) * sequence],
            colour: &self.colour,
            from,
            envelope,
        };
        let (actions, returns) = (&mut self.actions[..count * sequence], &mut self.returns[..count]);
        if !evaluate.returns(&proposals, actions, returns) {
            return None;
        }
        let finite = select(&self.returns[..count], &mut self.order[..count], self.elites);
        let elites = &self.order[..finite];
        let first = *elites.first()?;
        let best_return = self.returns[first as usize];
        let scores = || elites.iter().map(|index| self.returns[*index as usize]);
        let elite_mean_return = scores().sum::<f32>() / finite as f32;
        for (weight, score) in self.weights.iter_mut().zip(scores()) {
            *weight = match self.method {
                Method::Planet | Method::Icem { .. } => 1.0,
                Method::Mppi { temperature } => world_model::exp((score - best_return) / temperature),
            };
        }
        self.refit(finite);
        let elite_std = self.std[..self.width].iter().sum::<f32>() / self.width as f32;
        Some(IterationStatistics {
            best_return,
            elite_mean_return,
            elite_std,
        })
    }

    /// The Gaussian of the first `count` elites with their weights; what iCEM keeps of them.
    fn refit(&mut self, count: usize) {
        let sequence = self.horizon * self.width;
        let elites = &self.order[..count];
        let weights = &self.weights[..count];
        let total = weights.iter().sum::<f32>();
        let momentum = match self.method {
            Method::Icem { .. } => MOMENTUM,
            Method::Planet | Method::Mppi { .. } => 0.0,
        };
        for element in 0..sequence {
            let values = || {
                elites
                    .iter()
                    .map(|i| self.actions[*i as usize * sequence + element])
            };
            let weighted = || values().zip(weights);
            let mean = weighted().map(|(value, weight)| value * weight).sum::<f32>() / total;
            let spread = weighted().map(|(value, weight)| (value - mean).powi(2) * weight);
            // PlaNet's planner keeps a little variance: std = sqrt(var + 1e-6).
            let std = (spread.sum::<f32>() / total + 1e-6).sqrt();
            self.mean[element] = momentum * self.mean[element] + (1.0 - momentum) * mean;
            self.std[element] = momentum * self.std[element] + (1.0 - momentum) * std;
        }
        match self.method {
            Method::Planet | Method::Mppi { .. } => self.executed.copy_from_slice(&self.mean),
            Method::Icem { .. } => {
                let candidate = |index: u32| &self.actions[index as usize * sequence..][..sequence];
                self.executed.copy_from_slice(candidate(elites[0]));
                let mut slots = self.kept.chunks_exact_mut(sequence);
                if let Some(slot) = slots.next() {
                    slot.copy_from_slice(&self.mean);
                }
                self.kept_count = 1;
                for (slot, index) in slots.zip(elites) {
                    slot.copy_from_slice(candidate(*index));
                    self.kept_count += 1;
                }
            }
        }
    }
}

/// A sequence a step later: its first action falls off, zero comes in at the end.
pub(super) fn shift(sequence: &mut [f32], width: usize) {
    let last = sequence.len() - width;
    sequence.copy_within(width.., 0);
    sequence[last..].fill(0.0);
}

/// The first action of a sequence, within [-1, 1].
pub(super) fn first_action(sequence: &[f32], width: usize) -> JointVec {
    sequence[..width]
        .iter()
        .map(|value| value.clamp(-1.0, 1.0))
        .collect()
}

/// Puts the indices of the best `elites` returns first in `order`, best before worse, in O(J), and says how many of them
/// are finite. NaN and infinities rank last; equal returns rank by index, so that the choice is the same everywhere.
fn select(returns: &[f32], order: &mut [u32], elites: usize) -> usize {
    let elites = elites.min(order.len());
    let score = |index: u32| {
        let value = returns[index as usize];
        if value.is_finite() {
            value
        } else {
            f32::NEG_INFINITY
        }
    };
    let better = |a: &u32, b: &u32| score(*b).total_cmp(&score(*a)).then(a.cmp(b));
    for (index, place) in order.iter_mut().enumerate() {
        *place = index as u32;
    }
    if elites < order.len() {
        order.select_nth_unstable_by(elites - 1, better);
    }
    let best = &mut order[..elites];
    best.sort_unstable_by(better);
    best.iter().take_while(|index| score(**index).is_finite()).count()
}
