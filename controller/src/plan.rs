//! Stage 4, plan: a proposal for the next action, from whichever policy drives.
//!
//! Planning is anytime: a valid proposal (the shifted previous plan) exists before the first iteration, each iteration
//! is one bounded quantum, and one is started only if its predicted time fits before the deadline.

mod background;
mod cem;
mod imagine;
mod predict;
mod proposals;
mod random;
#[cfg(feature = "libtorch")]
mod torch;
mod wiggle;

use episode::{PlanRow, PlanSource};
pub use hand_over::Team;
use robot::config::{Latents, Planner as Budget};
use robot::{Clock, Envelope, SetPoint, joint};
use world_model::noise::Purpose;
use world_model::{Belief, Bundle, NoiseKey};

pub use background::Background;
pub use cem::{Cem, Evaluate, IterationStatistics};
pub use imagine::{Imagination, PlannerError, Source, UNIT};
use predict::Predictor;
pub use proposals::Proposals;
pub use random::ColouredNoise;
#[cfg(feature = "libtorch")]
pub use torch::TorchRollout;
pub use wiggle::{WIGGLE, Wiggler};

/// Start of the name of a planner that explores; its noise's standard deviation follows.
pub const NOISY: &str = "planner+noise ";

/// Something that plans: [`Planner`] on the thread that asks, [`Background`] on threads of its own.
pub trait Plan: Send + std::fmt::Debug {
    /// Forgets the last episode and takes its new seed.
    fn reset(&mut self, seed: u64);

    /// A period passed without a plan.
    fn skip(&mut self);

    /// Plans the action of the period that starts at `from`, where the belief is `belief`.
    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        belief: &Belief,
        envelope: &Envelope,
        limit: Limit<'_>,
    ) -> PlanRow;
}

/// Who chooses actions.
pub enum Policy {
    /// CEM on the learned model.
    Planner(Explorer),
    /// Random actions, correlated over time.
    Random(ColouredNoise),
    /// One joint to and fro.
    Wiggle(Wiggler),
    /// Stay.
    Hold,
}

/// A planner, and the noise added to its actions.
#[derive(Debug)]
pub struct Explorer {
    planner: Box<dyn Plan>,
    std: f32,
    seed: u64,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Policy {
    /// A planner with exploration noise of this standard deviation added to its actions.
    pub fn planner(planner: impl Plan + 'static, std: f32) -> Self {
        Self::Planner(Explorer {
            planner: Box::new(planner),
            std,
            seed: 0,
        })
    }

    /// Name in logs; the trainer tells planned from random episodes by it.
    pub fn name(&self) -> String {
        match self {
            Self::Planner(Explorer { std: 0.0, .. }) => "planner".to_owned(),
            Self::Planner(Explorer { std, .. }) => format!("{NOISY}{std}"),
            Self::Random(_) => "random".to_owned(),
            Self::Wiggle(wiggler) => wiggler.name(),
            Self::Hold => "hold".to_owned(),
        }
    }

    /// A period passed without a plan.
    pub fn skip(&mut self) {
        if let Self::Planner(explorer) = self {
            explorer.planner.skip();
        }
    }

    /// Forgets the last episode and takes its new seed.
    pub fn reset(&mut self, seed: u64) {
        match self {
            Self::Planner(explorer) => {
                explorer.seed = seed;
                explorer.planner.reset(seed);
            }
            Self::Random(noise) => noise.reset(seed),
            Self::Wiggle(wiggler) => wiggler.reset(),
            Self::Hold => {}
        }
    }

    /// Proposes the action of the period that starts at `from`. `belief` is the belief at that moment; policies that
    /// need none ignore it. `limit` bounds the iterations: by time in a live loop, by count in a replay.
    pub fn propose(
        &mut self,
        tick: u32,
        from: &SetPoint,
        belief: Option<&Belief>,
        envelope: &Envelope,
        limit: Limit<'_>,
    ) -> PlanRow {
        let joints = envelope.joints().len();
        match self {
            Self::Planner(explorer) => {
                let Some(belief) = belief else { return hold(joints) };
                let mut row = explorer.planner.plan(tick, from, belief, envelope, limit);
                explorer.explore(tick, &mut row);
                row
            }
            Self::Random(noise) => PlanRow {
                source: PlanSource::Random,
                action: noise.next(tick, joints),
                ..PlanRow::default()
            },
            Self::Wiggle(wiggler) => PlanRow {
                source: PlanSource::Scripted,
                action: wiggler.next(tick, from, envelope),
                ..PlanRow::default()
            },
            Self::Hold => hold(joints),
        }
    }
}

impl Explorer {
    /// Adds exploration noise, then clips, as the paper's data collection does.
    fn explore(&self, tick: u32, row: &mut PlanRow) {
        // Only a plan is explored around: a tail or a hold is there for safety's sake.
        if self.std == 0.0 || row.source != PlanSource::Fresh {
            return;
        }
        let key = NoiseKey {
            seed: self.seed,
            tick,
            iteration: 0,
            sampled: true,
        };
        let mut noise = [0.0; robot::MAX_JOINTS];
        key.normals(Purpose::Exploration, 0, 0, &mut noise);
        for (action, noise) in row.action.iter_mut().zip(noise) {
            *action = (*action + self.std * noise).clamp(-1.0, 1.0);
        }
    }
}

/// No motion.
pub(crate) fn hold(joints: usize) -> PlanRow {
    PlanRow {
        source: PlanSource::Hold,
        action: joint::zeros(joints),
        ..PlanRow::default()
    }
}

/// What ends a plan before its budget does.
#[derive(Clone, Copy)]
pub enum Limit<'a> {
    /// Nothing: the world waits.
    None,
    /// A time on a clock.
    Deadline(&'a dyn Clock, u64),
    /// The number of iterations that ran when this was recorded.
    Iterations(u32),
}

/// CEM on the learned model.
#[derive(Debug)]
pub struct Planner {
    cem: Cem,
    imagination: Imagination,
    iterations: u32,
    seed: u64,
    sampled: bool,
    predictor: Predictor,
}

impl Planner {
    /// Sizes every buffer and starts the threads of `budget`.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn new(bundle: &Bundle, budget: &Budget) -> Result<Self, PlannerError> {
        let imagination = Imagination::new(Source::Bundle(bundle), budget)?;
        let mut planner = Self::with(imagination, bundle.dimensions().action, budget);
        planner.sampled &= bundle.manifest().sampled_latents;
        Ok(planner)
    }

    /// A planner over an imagination that is there already.
    pub fn with(imagination: Imagination, action: usize, budget: &Budget) -> Self {
        Self {
            cem: Cem::new(budget, action),
            imagination,
            iterations: budget.iterations as u32,
            seed: 0,
            sampled: budget.latents == Latents::Sampled,
            predictor: Predictor::default(),
        }
    }

    /// The search.
    pub fn cem(&self) -> &Cem {
        &self.cem
    }

    /// Plans once for nothing: every buffer is touched and every thread has run before it matters.
    pub fn warm_up(&mut self, belief: &Belief, envelope: &Envelope) {
        let limit = Limit::Iterations(1);
        self.refine(0, &envelope.home(), belief, envelope, limit, &mut |_, _| {});
        self.cem.reset();
    }

    /// Takes the last iteration back.
    fn undo(&mut self) {
        self.cem.undo();
    }

    /// Plans; `found` hears of every iteration as soon as it is done.
    fn refine(
        &mut self,
        tick: u32,
        from: &SetPoint,
        belief: &Belief,
        envelope: &Envelope,
        limit: Limit<'_>,
        found: &mut dyn FnMut(&PlanRow, &Cem),
    ) -> PlanRow {
        self.cem.begin();
        self.imagination.begin(belief);
        let mut row = PlanRow {
            source: PlanSource::Tail,
            ..PlanRow::default()
        };
        for iteration in 0..self.iterations {
            let started = match limit {
                Limit::Deadline(clock, deadline_ns) => {
                    let now = clock.now_ns();
                    let candidates = self.cem.candidates(iteration);
                    if now >= deadline_ns || now + self.predictor.predict_ns(candidates) > deadline_ns {
                        if iteration == 0 {
                            self.predictor.doubt();
                        }
                        break;
                    }
                    Some((clock, now))
                }
                Limit::Iterations(recorded) if iteration >= recorded => break,
                Limit::Iterations(_) | Limit::None => None,
            };
            let key = NoiseKey {
                seed: self.seed,
                tick,
                iteration,
                sampled: self.sampled,
            };
            let refined = self.cem.refine(key, from, envelope, &mut self.imagination);
            if let Some(problem) = self.imagination.failure() {
                log::error!("planning: {problem}");
                row.source = PlanSource::Lost;
                break;
            }
            let Some(statistics) = refined else {
                // No finite return: the model has lost its mind, and nothing it said before is a plan.
                row.source = PlanSource::None;
                break;
            };
            row.source = PlanSource::Fresh;
            row.iterations = iteration + 1;
            row.best_return = statistics.best_return;
            row.elite_mean_return = statistics.elite_mean_return;
            row.elite_std = statistics.elite_std;
            row.action = self.cem.first_action();
            if let Some((clock, before)) = started {
                let took = clock.now_ns().saturating_sub(before);
                self.predictor.learn(self.cem.candidates(iteration), took);
            }
            found(&row, &self.cem);
        }
        row.action = self.cem.first_action();
        row
    }
}

impl Plan for Planner {
    fn reset(&mut self, seed: u64) {
        self.seed = seed;
        self.cem.reset();
    }

    fn skip(&mut self) {
        self.cem.begin();
    }

    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        belief: &Belief,
        envelope: &Envelope,
        limit: Limit<'_>,
    ) -> PlanRow {
        self.refine(tick, from, belief, envelope, limit, &mut |_, _| {})
    }
}
