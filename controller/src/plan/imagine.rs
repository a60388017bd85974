//! Scores candidates with the learned model, on as many threads as the robot file gives the planner.

use std::sync::{Mutex, PoisonError};

use robot::config::{Planner as Budget, RolloutBackend};
use world_model::kernel::Instructions;
use world_model::{Belief, Bundle, BundleError, Rollout};

use super::cem::Evaluate;
use super::proposals::Proposals;
use super::team::Team;

/// Candidates a thread takes at a time: the widest tile of any kernel.
pub const UNIT: usize = 32;

/// Why a planner cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// A graph that does not run, or a CPU without the chosen back end.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A thread.
    #[error("cannot start a planning thread: {0}; lower `planner.threads` in the robot file")]
    Thread(#[from] std::io::Error),
}

/// The learned model, once for each thread.
#[derive(Debug)]
pub struct Imagination {
    team: Team,
    unit: usize,
    /// One a member, which alone takes its lock.
    rollouts: Vec<Mutex<Box<dyn Rollout>>>,
}

/// What a robot file's back end is called where it runs.
fn rollout(bundle: &Bundle, backend: RolloutBackend) -> Result<Box<dyn Rollout>, BundleError> {
    let instructions = match backend {
        RolloutBackend::Scalar => return Ok(Box::new(bundle.scalar_rollout())),
        RolloutBackend::Tract => return Ok(Box::new(bundle.tract_rollout(UNIT)?)),
        RolloutBackend::Simd => Instructions::best_single(),
        RolloutBackend::Portable => Instructions::Portable,
        RolloutBackend::Avx2 => Instructions::Avx2,
        RolloutBackend::Avx512 => Instructions::Avx512,
        RolloutBackend::Bf16 => Instructions::Bf16,
    };
    Ok(Box::new(bundle.kernel_rollout(instructions)?))
}

impl Imagination {
    /// Starts the threads of `budget`, each with a back end of its own.
    ///
    /// # Errors
    /// [`PlannerError`].
    pub fn new(bundle: &Bundle, budget: &Budget) -> Result<Self, PlannerError> {
        let mut rollouts = Vec::with_capacity(budget.threads);
        for _ in 0..budget.threads {
            rollouts.push(rollout(bundle, budget.backend)?);
        }
        Ok(Self::of(rollouts, UNIT)?)
    }

    /// Of back ends that are there already, one a thread, each of which takes `unit` candidates at a time.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn of(rollouts: Vec<Box<dyn Rollout>>, unit: usize) -> std::io::Result<Self> {
        Ok(Self {
            team: Team::start(rollouts.len())?,
            unit: unit.max(1),
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
        let units = Mutex::new((units, true));
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
                if rollout
                    .returns(actions, horizon, key, first as u32, returns)
                    .is_err()
                {
                    units.lock().unwrap_or_else(PoisonError::into_inner).1 = false;
                }
            }
        });
        units.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}
