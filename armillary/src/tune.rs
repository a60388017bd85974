//! Which planner makes the most of the time that this machine has for a plan.
//!
//! Every combination of method, candidates, horizon and back end gets as many iterations as fit the deadline here. How good
//! its plans are is judged by the model itself: from recorded situations it is let go a few steps in imagination, and what
//! the model expects it to earn is compared with the paper's full budget, which has all the time it takes, and with random
//! actions. The best ones are judged again more thoroughly, and the winner must keep the deadline at the 99.9th percentile.

use std::time::{Duration, Instant};

use robot::config::{Method, Planner as Budget, RolloutBackend};
use robot::{Clock, Envelope, SystemClock};
use serde::Serialize;
use world_model::{Belief, Bundle, BundleError, Filter};

use controller::beliefs::Situation;
use controller::plan::{ColouredNoise, Limit, Plan, Planner, PlannerError, Policy};

/// Candidates tried.
const CANDIDATES: [usize; 4] = [64, 128, 256, 512];
/// Horizons tried.
const HORIZONS: [usize; 3] = [6, 8, 12];
/// Methods tried, and whether they start from the last plan.
const METHODS: [(Method, bool); 4] = [
    (Method::Planet, false),
    (Method::Planet, true),
    (Method::Icem { beta: 2.0 }, true),
    (Method::Mppi { temperature: 0.5 }, true),
];
/// More iterations than these are not worth their time.
const ITERATIONS_MAX: usize = 20;
/// Plans from which the number of iterations is found.
const TRIED: usize = 20;
/// Plans that the winner's percentile is taken of.
pub const VERIFIED: usize = 1000;

/// What to plan for.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The model.
    pub bundle: &'a Bundle,
    /// The arm's.
    pub envelope: &'a Envelope,
    /// The robot file's planner; what is not tuned stays.
    pub base: &'a Budget,
    /// Recorded situations.
    pub situations: &'a [Situation],
    /// Time for a plan.
    pub deadline: Duration,
}

/// A planner that fits the deadline.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// Its settings.
    #[serde(skip)]
    pub budget: Budget,
    /// `planet`, `icem`, `mppi`, and whether it starts warm.
    pub method: String,
    /// Its back end.
    pub backend: RolloutBackend,
    /// I, J, H, K.
    pub settings: [usize; 4],
    /// Return a step that the model expects, over the situations it was judged on.
    pub imagined_reward: f32,
    /// Of what the full budget gains over random actions, the share that it gains.
    pub kept: f32,
}

/// Times of the winner's plans.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Times {
    /// Middle one.
    pub median_ms: f64,
    /// One in a thousand takes longer.
    pub p999_ms: f64,
    /// Longest.
    pub worst_ms: f64,
    /// How many were timed.
    pub plans: usize,
}

/// Returns of the two that others are compared with.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scale {
    /// Reward a step that the model expects of random actions.
    pub random: f32,
    /// Likewise of the paper's full budget.
    pub full: f32,
}

/// All combinations, without iterations yet.
pub fn grid(base: &Budget, backends: &[RolloutBackend]) -> Vec<Budget> {
    let mut all = Vec::new();
    for (method, warm_start) in METHODS {
        for &backend in backends {
            for candidates in CANDIDATES {
                for horizon in HORIZONS {
                    all.push(Budget {
                        method,
                        warm_start,
                        backend,
                        candidates,
                        horizon,
                        elites: (candidates / 10).max(4),
                        iterations: ITERATIONS_MAX,
                        ..base.clone()
                    });
                }
            }
        }
    }
    all
}

impl Subject<'_> {
    /// How far situations are imagined on, a plan a step.
    const STEPS: u32 = 10;

    /// Mean reward a step that the model expects where `policy` decides, from `count` of the situations on.
    ///
    /// # Errors
    /// A graph that does not run.
    pub fn judge(&self, policy: &mut Policy, count: usize) -> Result<f32, BundleError> {
        let mut filter: Filter = self.bundle.filter()?;
        let chosen = spread(self.situations, count);
        let mut total = 0.0;
        for (index, situation) in chosen.iter().enumerate() {
            policy.reset(index as u64);
            let mut belief: Belief = situation.belief.clone();
            let mut from = situation.from.clone();
            for step in 0..Self::STEPS {
                let row = policy.propose(step, &from, Some(&belief), self.envelope, Limit::None);
                let clamped = self.envelope.clamp(&from, &row.action);
                filter.predict(&mut belief, &clamped.action);
                total += filter.reward(&belief);
                from = clamped.set_point;
            }
        }
        Ok(total / (chosen.len() as f32 * Self::STEPS as f32))
    }

    /// What random actions and the full budget earn.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn scale(&self, count: usize) -> Result<Scale, PlannerError> {
        let full = Budget {
            backend: RolloutBackend::Simd,
            threads: self.base.threads,
            latents: self.base.latents,
            ..crate::oracle::PAPER
        };
        let planner = Planner::new(self.bundle, &full)?;
        Ok(Scale {
            random: self.judge(&mut Policy::Random(ColouredNoise::default()), count)?,
            full: self.judge(&mut Policy::planner(planner, 0.0), count)?,
        })
    }

    /// `budget` with as many iterations as fit the deadline in all but the unluckiest of a few plans, if any do.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn fit(&self, budget: &Budget) -> Result<Option<Budget>, PlannerError> {
        let mut planner = Planner::new(self.bundle, budget)?;
        let clock = SystemClock::default();
        let mut fitted = Vec::with_capacity(TRIED);
        for (tick, situation) in (0..).zip(self.situations.iter().cycle().take(TRIED)) {
            let limit = Limit::Deadline(&clock, clock.now_ns() + self.deadline.as_nanos() as u64);
            let row = planner.plan(tick, &situation.from, &situation.belief, self.envelope, limit);
            fitted.push(row.iterations as usize);
        }
        // The first meets cold caches, and predicts nothing yet.
        let mut fitted = fitted.split_off(1);
        fitted.sort_unstable();
        let iterations = fitted.get(1).copied().unwrap_or(0);
        Ok((iterations > 0).then(|| Budget {
            iterations,
            ..budget.clone()
        }))
    }

    /// Judges one planner by `count` situations.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn candidate(&self, budget: &Budget, scale: Scale, count: usize) -> Result<Candidate, PlannerError> {
        let planner = Planner::new(self.bundle, budget)?;
        let imagined_reward = self.judge(&mut Policy::planner(planner, 0.0), count)?;
        let method = match budget.method {
            Method::Planet => "planet",
            Method::Icem { .. } => "icem",
            Method::Mppi { .. } => "mppi",
        };
        let start = if budget.warm_start { "warm" } else { "cold" };
        Ok(Candidate {
            budget: budget.clone(),
            method: format!("{method} {start}"),
            backend: budget.backend,
            settings: [
                budget.iterations,
                budget.candidates,
                budget.horizon,
                budget.elites,
            ],
            imagined_reward,
            kept: (imagined_reward - scale.random) / (scale.full - scale.random),
        })
    }

    /// How long plans take; `done` hears of each.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn times(&self, budget: &Budget, plans: usize, done: &dyn Fn()) -> Result<Times, PlannerError> {
        let mut planner = Planner::new(self.bundle, budget)?;
        let mut times_ms = Vec::with_capacity(plans);
        // One more than counts.
        for (tick, situation) in (0..).zip(self.situations.iter().cycle().take(plans + 1)) {
            let begun = Instant::now();
            planner.plan(
                tick,
                &situation.from,
                &situation.belief,
                self.envelope,
                Limit::None,
            );
            if tick > 0 {
                times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
                done();
            }
        }
        times_ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * plans as f64).ceil() as usize;
            times_ms.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
        };
        Ok(Times {
            median_ms: at(0.5),
            p999_ms: at(0.999),
            worst_ms: at(1.0),
            plans,
        })
    }
}

/// `count` of `all`, evenly spread, or all if there are fewer.
fn spread<T>(all: &[T], count: usize) -> Vec<&T> {
    let count = count.min(all.len());
    (0..count).map(|index| &all[index * all.len() / count]).collect()
}
