//! CEM on the true simulator: the paper's upper bound. It sees the state, not the camera, and the world waits for it.

use robot::config::{Latents, Method, Pipeline, Planner as Budget, RolloutBackend};
use robot::{Config, Plant, SetPoint};
use simulator::{Simulator, SimulatorError, Task};
use world_model::NoiseKey;

use crate::plan::{Cem, Evaluate, Proposals};

/// The paper's budget: H 12, I 10, J 1000, K 100, no warm start.
pub const PAPER: Budget = Budget {
    horizon: 12,
    iterations: 10,
    candidates: 1000,
    elites: 100,
    initial_std: 1.0,
    warm_start: false,
    method: Method::Planet,
    threads: 1,
    latents: Latents::Mean,
    backend: RolloutBackend::Scalar,
    pipeline: Pipeline::Immediate,
    deadline_fraction: 0.95,
};

/// Runs one episode of `ticks` periods and returns its return.
///
/// # Errors
/// A task that cannot be simulated.
pub fn run(
    config: &Config,
    task: Task,
    budget: &Budget,
    seed: u64,
    ticks: u32,
) -> Result<f32, SimulatorError> {
    let substeps = config
        .simulator
        .as_ref()
        .map_or(5, |simulator| simulator.substeps);
    let period = Period {
        substeps,
        dt_s: config.period_s / substeps as f32,
    };
    let mut world = Simulator::new(task)?;
    let mut imagined = TrueFuture {
        present: world.clone(),
        world: world.clone(),
        period,
    };
    world.reset(seed);
    let mut set_point = SetPoint::at_rest(world.joints().position_rad);
    let mut cem = Cem::new(budget, config.joint_count());
    let mut total = 0.0;
    for tick in 0..ticks {
        imagined.present.copy_state_from(&world);
        cem.begin();
        for iteration in 0..budget.iterations as u32 {
            let key = NoiseKey {
                seed,
                tick,
                iteration,
                sampled: false,
            };
            let _ = cem.refine(key, &set_point, &config.envelope, &mut imagined);
        }
        let next = config.envelope.clamp(&set_point, &cem.first_action()).set_point;
        period.run(&mut world, &set_point, &next);
        set_point = next;
        total += world.reward();
    }
    Ok(total)
}

/// How the firmware moves through a control period: set points interpolated linearly over its own steps.
#[derive(Debug, Clone, Copy)]
struct Period {
    substeps: u32,
    dt_s: f32,
}

impl Period {
    fn run(&self, world: &mut Simulator, from: &SetPoint, to: &SetPoint) {
        let mut between = to.position_rad.clone();
        for step in 1..=self.substeps {
            let fraction = step as f32 / self.substeps as f32;
            for (index, value) in between.iter_mut().enumerate() {
                let start = from.position_rad[index];
                *value = start + (to.position_rad[index] - start) * fraction;
            }
            world.step(&between, true, self.dt_s);
        }
    }
}

struct TrueFuture {
    present: Simulator,
    world: Simulator,
    period: Period,
}

impl Evaluate for TrueFuture {
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool {
        proposals.write(0, actions);
        for (sequence, total) in actions.chunks_exact(proposals.stride()).zip(returns) {
            self.world.copy_state_from(&self.present);
            let mut set_point = proposals.from.clone();
            *total = 0.0;
            for action in sequence.chunks_exact(proposals.width) {
                // Clamped already: this only turns the action into where it leads.
                let next = proposals.envelope.clamp(&set_point, action).set_point;
                self.period.run(&mut self.world, &set_point, &next);
                *total += self.world.reward();
                set_point = next;
            }
        }
        true
    }
}
