//! CEM on the true simulator: the paper's upper bound. It sees the state, not the camera, and the world waits for it.

use devices::{ProcessError, ProcessPlant};
use robot::config::{Latents, Method, Pipeline, Planner as Budget, RolloutBackend};
use robot::device::{DeviceError, Joints, Plant, Task};
use robot::{Config, SetPoint};
use simulator::Simulator;
use world_model::NoiseKey;

use crate::simulation::{self, Simulation};
use controller::plan::{Cem, Evaluate, Proposals};

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

/// A world that can be looked ahead in.
#[derive(Debug)]
pub enum TrueWorld {
    /// A copy of it is moved.
    Embedded(Box<Embedded>),
    /// A process is asked.
    Process(Box<InProcess>),
}

impl TrueWorld {
    /// The world that `config` names.
    ///
    /// # Errors
    /// One that cannot be made.
    pub fn new(world: &Simulation, config: &Config) -> anyhow::Result<Self> {
        Ok(match world {
            Simulation::Embedded(task) => Self::Embedded(Box::new(Embedded::new(
                simulation::embedded(*task, config)?,
                config,
            ))),
            Simulation::Process(rig) => Self::Process(Box::new(InProcess {
                plant: simulation::process(rig, config)?,
                period_s: config.period_s,
                controls: Vec::new(),
                failed: None,
            })),
        })
    }

    fn reset(&mut self, seed: u64) -> Result<SetPoint, DeviceError> {
        let plant: &mut dyn Plant = match self {
            Self::Embedded(embedded) => &mut embedded.world,
            Self::Process(process) => &mut process.plant,
        };
        plant.reset(seed)?;
        Ok(SetPoint::at_rest(plant.joints().position_rad))
    }

    /// What can be seen from here.
    fn future(&mut self) -> &mut dyn Evaluate {
        match self {
            Self::Embedded(embedded) => {
                embedded.future.present.copy_state_from(&embedded.world);
                &mut embedded.future
            }
            Self::Process(process) => process.as_mut(),
        }
    }

    /// What went wrong while looking ahead.
    fn failed(&mut self) -> Option<ProcessError> {
        match self {
            Self::Embedded(_) => None,
            Self::Process(process) => process.failed.take(),
        }
    }

    /// Whether the episode has ended by itself.
    fn ended(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Process(process) => process.plant.ended(),
        }
    }

    /// Moves by one period; returns its reward.
    fn step(&mut self, from: &SetPoint, to: &SetPoint) -> Result<f32, DeviceError> {
        match self {
            Self::Embedded(embedded) => {
                let Embedded { world, future } = embedded.as_mut();
                future.period.run(world, from, to);
                Ok(world.reward())
            }
            Self::Process(process) => {
                process.plant.step(&to.position_rad, true, process.period_s)?;
                let refuse = || DeviceError::new("the environment gives no reward, by which an oracle plans");
                process.plant.reward().ok_or_else(refuse)
            }
        }
    }
}

/// Runs one episode of `ticks` periods and returns its return.
///
/// # Errors
/// The world's.
pub fn run(
    config: &Config,
    world: &mut TrueWorld,
    budget: &Budget,
    seed: u64,
    ticks: u32,
) -> Result<f32, DeviceError> {
    let mut set_point = world.reset(seed)?;
    let mut cem = Cem::new(budget, config.joint_count());
    let mut total = 0.0;
    for tick in 0..ticks {
        cem.begin();
        for iteration in 0..budget.iterations as u32 {
            let key = NoiseKey {
                seed,
                tick,
                iteration,
                sampled: false,
            };
            if cem
                .refine(key, &set_point, &config.envelope, world.future())
                .is_none()
                && let Some(error) = world.failed()
            {
                return Err(error.into());
            }
        }
        let next = config.envelope.clamp(&set_point, &cem.first_action()).set_point;
        total += world.step(&set_point, &next)?;
        set_point = next;
        if world.ended() {
            break;
        }
        if tick % 25 == 24 {
            log::debug!("period {} of {ticks}: return so far {total:.1}", tick + 1);
        }
    }
    Ok(total)
}

/// The arm of this program, and a copy to look ahead with.
#[derive(Debug)]
pub struct Embedded {
    world: Simulator,
    future: TrueFuture,
}

impl Embedded {
    fn new(world: Simulator, config: &Config) -> Self {
        let substeps = config
            .simulator
            .as_ref()
            .map_or(5, |simulator| simulator.substeps);
        let future = TrueFuture {
            present: world.clone(),
            world: world.clone(),
            period: Period {
                substeps,
                dt_s: config.period_s / substeps as f32,
            },
        };
        Self { world, future }
    }
}

/// An environment in a process, which rolls candidates out by itself.
#[derive(Debug)]
pub struct InProcess {
    plant: ProcessPlant,
    period_s: f32,
    controls: Vec<f32>,
    failed: Option<ProcessError>,
}

impl Evaluate for InProcess {
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool {
        proposals.write(0, actions);
        self.controls.clear();
        for sequence in actions.chunks_exact(proposals.stride()).take(returns.len()) {
            let mut set_point = proposals.from.clone();
            for action in sequence.chunks_exact(proposals.width).take(proposals.horizon) {
                // Clamped already: this only turns the action into where it leads.
                set_point = proposals.envelope.clamp(&set_point, action).set_point;
                self.controls.extend(&set_point.position_rad);
            }
        }
        let asked = self
            .plant
            .futures(returns.len(), proposals.horizon, &self.controls, returns);
        match asked {
            Ok(()) => true,
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }
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

/// Where candidates lead, on a copy of the present.
#[derive(Debug)]
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
