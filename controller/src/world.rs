//! The simulated worlds a robot file can name, and the robot file of one that describes itself.

use std::path::PathBuf;

use anyhow::{Context, bail};
use devices::ProcessPlant;
use devices::process::Spec;
use robot::config::made::{Actuator, Made};
use robot::device::{Joints, Plant};
use robot::{ActionMode, Config};
use simulator::{Simulator, Task};

/// What stands in for an arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum World {
    /// An arm of this program.
    Embedded(Task),
    /// An environment in a Python process: `dmc:...`, `gym:...`, `py:...`.
    Process(String),
}

impl World {
    /// The world that `config` names.
    ///
    /// # Errors
    /// If it names none, or one that does not exist, or an arm with another number of joints.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let Some(simulator) = &config.simulator else {
            bail!(
                "field `simulator` of robot `{}`: there is none, and this command needs a simulated arm; an arm on a cable is \
                 driven, and its logs are recorded, by `armillary run`",
                config.name
            );
        };
        if simulator.task.contains(':') {
            if simulator.substeps != 1 {
                bail!(
                    "field `simulator.substeps`: {} steps by control periods, not by parts of one; write 1",
                    simulator.task
                );
            }
            return Ok(Self::Process(simulator.task.clone()));
        }
        let task: Task = simulator.task.parse().context("field `simulator.task`")?;
        let joints = Simulator::new(task)?.joint_count();
        if joints != config.joint_count() {
            bail!(
                "field `simulator.task`: {task} has {joints} joints, `joints` lists {}; name the task that this arm is",
                config.joint_count()
            );
        }
        Ok(Self::Embedded(task))
    }

    /// The arm of this program, if it is one.
    ///
    /// # Errors
    /// For a process, which can neither be copied nor looked into.
    pub fn embedded(&self) -> anyhow::Result<Task> {
        match self {
            Self::Embedded(task) => Ok(*task),
            Self::Process(rig) => bail!("{rig}: this command needs an arm of this program, such as reach"),
        }
    }

    /// One to drive.
    ///
    /// # Errors
    /// A process that does not start, or that is not the robot of `config`.
    pub fn plant(&self, config: &Config) -> anyhow::Result<Box<dyn Plant>> {
        Ok(match self {
            Self::Embedded(task) => Box::new(Simulator::new(*task)?),
            Self::Process(rig) => Box::new(process(rig, config)?),
        })
    }
}

/// A process whose plant is the robot of `config`.
///
/// # Errors
/// One that does not start, or that has other actuators or another period.
pub fn process(rig: &str, config: &Config) -> anyhow::Result<ProcessPlant> {
    let plant = ProcessPlant::start(rig)?;
    let spec = plant.spec();
    let names = |names: Vec<&str>| names.join(", ");
    let here = names(
        config
            .envelope
            .joints()
            .iter()
            .map(|joint| joint.name.as_str())
            .collect(),
    );
    let there = names(
        spec.actuators
            .iter()
            .map(|actuator| actuator.name.as_str())
            .collect(),
    );
    if here != there {
        bail!(
            "robot `{}`: field `joints`: the actuators of {rig} are {there}, not {here}",
            config.name
        );
    }
    for (joint, actuator) in config.envelope.joints().iter().zip(&spec.actuators) {
        if joint.position_min_rad < actuator.low || joint.position_max_rad > actuator.high {
            bail!(
                "robot `{}`: field `position_rad` of {}: {rig} takes {} to {}",
                config.name,
                joint.name,
                actuator.low,
                actuator.high
            );
        }
    }
    if config.envelope.mode() != ActionMode::Absolute {
        bail!(
            "robot `{}`: field `action`: {rig} takes controls, not joint speeds; write `action: absolute`",
            config.name
        );
    }
    if (config.period_s - spec.period_s).abs() > 1e-3 * spec.period_s {
        bail!(
            "robot `{}`: field `period_s`: {rig} has a control period of {} s, not {}",
            config.name,
            spec.period_s,
            config.period_s
        );
    }
    Ok(plant)
}

/// The robot file of a rig that describes itself, for a person to change where wanted.
///
/// # Errors
/// A process that does not start.
pub fn robot_file(rig: &str) -> anyhow::Result<Config> {
    let plant = ProcessPlant::start(rig)?;
    let path = PathBuf::from(format!("the robot file made for {rig}"));
    Config::parse(&path, robot_text(rig, plant.spec()))
        .with_context(|| format!("rig `{rig}`: what its environment declares makes no robot file"))
}

fn robot_text(rig: &str, spec: &Spec) -> String {
    let actuators: Vec<Actuator> = spec
        .actuators
        .iter()
        .map(|actuator| Actuator {
            name: actuator.name.clone(),
            low: actuator.low,
            high: actuator.high,
        })
        .collect();
    Made {
        comment: &format!(
            "{} by {}; rewards are summed over an action repeat of {}.",
            spec.name, spec.software, spec.action_repeat
        ),
        name: &spec.name,
        period_s: spec.period_s,
        episode_ticks: spec.episode_ticks,
        actuators: &actuators,
        // What starts it again, whatever it calls itself.
        simulator: Some(rig),
    }
    .text()
}
