//! Scores candidates with the learned model, on as many threads as the robot file gives the planner.

use std::sync::{Arc, Mutex, PoisonError};

use hand_over::Team;
use robot::config::{Planner as Budget, RolloutBackend};
use world_model::kernel::Instructions;
use world_model::weights::LatentWeights;
use world_model::{Belief, Bundle, BundleError, KernelRollout, Rollout, ScalarRollout, parity};

use super::cem::Evaluate;
use super::proposals::Proposals;

/// Candidates a thread takes at a time: the widest tile of any kernel.
pub const UNIT: usize = 32;

/// Why a planner cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// A graph that does not run, or a CPU without the chosen back end.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A back end that is not to be had here, and what to do about it.
    #[error("`planner.backend`: {0}")]
    Backend(String),
    /// A thread.
    #[error("cannot start a planning thread: {0}; lower `planner.threads` in the robot file")]
    Thread(#[from] std::io::Error),
}

/// The learned model, once for each thread.
#[derive(Debug)]
pub struct Imagination {
    team: Team,
    unit: usize,
    failure: Option<String>,
    /// One a member, which alone takes its lock.
    rollouts: Vec<Mutex<Box<dyn Rollout>>>,
}

/// Where back ends come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A bundle: all of them.
    Bundle(&'a Bundle),
    /// Weights alone, for timing: not those that run graphs.
    Weights(&'a Arc<LatentWeights>),
}

impl Source<'_> {
    fn weights(&self) -> Arc<LatentWeights> {
        match self {
            Self::Bundle(bundle) => bundle.weights(),
            Self::Weights(weights) => Arc::clone(weights),
        }
    }

    fn kernel(&self, instructions: Instructions) -> Result<Box<dyn Rollout>, BundleError> {
        Ok(Box::new(match self {
            Self::Bundle(bundle) => bundle.kernel_rollout(instructions)?,
            Self::Weights(weights) => KernelRollout::new(weights, instructions)?,
        }))
    }

    /// One back end that takes `unit` candidates at a time.
    fn rollout(&self, budget: &Budget, unit: usize) -> Result<Box<dyn Rollout>, PlannerError> {
        let instructions = match budget.backend {
            RolloutBackend::Scalar => return Ok(Box::new(ScalarRollout::new(self.weights()))),
            RolloutBackend::Tract => {
                return match self {
                    Self::Bundle(bundle) => Ok(Box::new(bundle.tract_rollout(unit)?)),
                    Self::Weights(_) => Err(PlannerError::Backend(
                        "tract runs graphs: name a bundle".to_owned(),
                    )),
                };
            }
            RolloutBackend::Libtorch | RolloutBackend::LibtorchCuda => {
                let cuda = budget.backend == RolloutBackend::LibtorchCuda;
                let mut rollout = torch(&self.weights(), cuda, budget.threads)?;
                if let Self::Bundle(bundle) = self {
                    bundle.check_rollout(rollout.as_mut(), parity::TOLERANCE)?;
                }
                return Ok(rollout);
            }
            RolloutBackend::Simd => Instructions::best_single(),
            RolloutBackend::Portable => Instructions::Portable,
            RolloutBackend::Avx2 => Instructions::Avx2,
            RolloutBackend::Avx512 => Instructions::Avx512,
            RolloutBackend::Bf16 => Instructions::Bf16,
        };
        Ok(self.kernel(instructions)?)
    }
}

#[cfg(feature = "libtorch")]
fn torch(weights: &LatentWeights, cuda: bool, threads: usize) -> Result<Box<dyn Rollout>, PlannerError> {
    let rollout = super::torch::TorchRollout::new(weights, cuda, threads);
    Ok(Box::new(rollout.map_err(PlannerError::Backend)?))
}

#[cfg(not(feature = "libtorch"))]
fn torch(_weights: &LatentWeights, _cuda: bool, _threads: usize) -> Result<Box<dyn Rollout>, PlannerError> {
    Err(PlannerError::Backend(
        "this program was built without LibTorch; `cargo xtask setup`, then build with `--features libtorch`, or choose \
         another back end"
            .to_owned(),
    ))
}

impl Imagination {
    /// Starts the threads of `budget`, each with a back end of its own.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn new(source: Source<'_>, budget: &Budget) -> Result<Self, PlannerError> {
        let (threads, unit) = match budget.backend {
            // LibTorch has threads of its own, and wants all there is at once.
            RolloutBackend::Libtorch | RolloutBackend::LibtorchCuda => (1, budget.candidates),
            // A graph is at its best with as many candidates at a time as there are.
            RolloutBackend::Tract => (budget.threads, budget.candidates.div_ceil(budget.threads)),
            _ => (budget.threads, UNIT),
        };
        let mut rollouts = Vec::with_capacity(threads);
        for _ in 0..threads {
            rollouts.push(source.rollout(budget, unit)?);
        }
        Ok(Self::of(rollouts, unit)?)
    }

    /// Threads it works with.
    pub fn members(&self) -> usize {
        self.team.members()
    }

    /// What its back end said when it failed last, once.
    pub fn failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Name of its back end.
    pub fn name(&self) -> &'static str {
        let first = self.rollouts.first();
        first.map_or("none", |rollout| {
            rollout.lock().unwrap_or_else(PoisonError::into_inner).name()
        })
    }

    /// Of back ends that are there already, one a thread, each of which takes `unit` candidates at a time.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn of(rollouts: Vec<Box<dyn Rollout>>, unit: usize) -> std::io::Result<Self> {
        Ok(Self {
            team: Team::start(rollouts.len())?,
            unit: unit.max(1),
            failure: None,
            rollouts: rollouts.into_iter().map(Mutex::new).collect(),
        })
    }

    /// Takes the belief that all candidates start from.
    pub fn begin(&mut self, belief: &Belief) {
        let rollouts = &self.rollouts;
        self.team.run(&|member| {
            rollouts[member]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .begin(belief);
        });
    }
}

impl Evaluate for Imagination {
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool {
        let size = self.unit;
        let units = actions
            .chunks_mut(size * proposals.stride())
            .zip(returns.chunks_mut(size))
            .enumerate();
        // Taken for as long as it takes to cut off the next unit; whoever is faster does more of them.
        let units = Mutex::new((units, None));
        let rollouts = &self.rollouts;
        self.team.run(&|member| {
            let mut rollout = rollouts[member].lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let next = units.lock().unwrap_or_else(PoisonError::into_inner).0.next();
                let Some((unit, (actions, returns))) = next else {
                    return;
                };
                let first = unit * size;
                proposals.write(first, actions);
                let Proposals { horizon, key, .. } = *proposals;
                if let Err(problem) = rollout.returns(actions, horizon, key, first as u32, returns) {
                    units.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(problem);
                }
            }
        });
        self.failure = units.into_inner().unwrap_or_else(PoisonError::into_inner).1;
        self.failure.is_none()
    }
}
