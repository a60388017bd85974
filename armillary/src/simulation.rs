//! Simulations that a robot file can name, and the robot file of one that describes itself.

pub mod faults;
mod servos;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use controller::lockstep::{self, Labels, Outcome};
use controller::session::{PolicyChoice, Session};
use devices::process::Spec;
use devices::{Loopback, ProcessPlant};
use firmware_bridge::arm::ArmOptions;
use robot::config::Pipeline;
use robot::config::made::{Actuator, Made};
use robot::device::{Joints, Plant};
use robot::{ActionMode, Config};
use simulator::{Simulator, Task};

use crate::jobs;

pub use servos::{ServoFaults, ServoWorld};

/// What stands in for an arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simulation {
    /// An arm of this program.
    Embedded(Task),
    /// An environment in a Python process: `dmc:...`, `gym:...`, `py:...`.
    Process(String),
}

impl Simulation {
    /// The world that `config` names.
    ///
    /// # Errors
    /// If it names none, or one that does not exist, or an arm with another number of joints; or an environment of another program that
    /// nobody asked for on the command line.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let Some(simulator) = &config.simulator else {
            bail!(
                "field `simulator` of robot `{}`: there is none, and this command needs a simulated arm; an arm on a cable is \
                 driven, and its logs are recorded, by `armillary run`",
                config.name
            );
        };
        if simulator.is_program() {
            if !simulator.asked {
                bail!(
                    "field `simulator.task` of robot `{}`: `{1}` is code that runs in a Python process, and a file alone starts no program; \
                     if you trust that code, name it on the command line too: `--rig {1}`",
                    config.name,
                    simulator.task
                );
            }
            if simulator.camera_delay_s != 0.0 {
                bail!(
                    "field `simulator.camera_delay_s`: {} draws its own pictures; give it such a camera there, and write 0 here",
                    simulator.task
                );
            }
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
            Self::Embedded(task) => Box::new(embedded(*task, config)?),
            Self::Process(rig) => Box::new(process(rig, config)?),
        })
    }
}

/// The arm of this program that `config` describes, with the camera that it says.
///
/// # Errors
/// A scene that cannot be built.
pub fn embedded(task: Task, config: &Config) -> anyhow::Result<Simulator> {
    let delay_s = config
        .simulator
        .as_ref()
        .map_or(0.0, |simulator| simulator.camera_delay_s);
    Ok(Simulator::new(task)?.with_camera_delay(delay_s))
}

/// A process whose plant is the robot of `config`.
///
/// # Errors
/// One that does not start, that has other actuators or another period, or that cannot draw pictures of the robot's side.
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
    plant.check_side(config.frame_side)?;
    Ok(plant)
}

/// The robot file of a rig that describes itself, for a person to change where wanted.
///
/// # Errors
/// A process that does not start.
pub fn robot_file(rig: &str) -> anyhow::Result<Config> {
    let plant = ProcessPlant::start(rig)?;
    let path = PathBuf::from(format!("the robot file made for {rig}"));
    let mut config = Config::parse(&path, robot_text(rig, plant.spec()))
        .with_context(|| format!("rig `{rig}`: what its environment declares makes no robot file"))?;
    // By the person who named the rig.
    asked(&mut config);
    Ok(config)
}

/// Notes that a person asked for the environment that `config` names.
fn asked(config: &mut Config) {
    if let Some(simulator) = &mut config.simulator {
        simulator.asked = true;
    }
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

/// A session, once the simulation that its robot file names, if it names one, is known to exist.
///
/// # Errors
/// The file, field and remedy.
pub fn session(
    robot: &Path,
    bundle: Option<&Path>,
    policy: PolicyChoice,
    pipeline: Option<Pipeline>,
) -> anyhow::Result<Session> {
    session_with(robot, None, bundle, policy, pipeline)
}

/// [`session`], with the environment of another program that a person named on the command line beside the robot file.
///
/// # Errors
/// The file, field and remedy; for a `rig` that is not the one that the robot file names.
pub fn session_with(
    robot: &Path,
    rig: Option<&str>,
    bundle: Option<&Path>,
    policy: PolicyChoice,
    pipeline: Option<Pipeline>,
) -> anyhow::Result<Session> {
    let mut config = Config::load(robot)?;
    let named = config.simulator.as_ref().filter(|named| named.is_program());
    match (rig, named) {
        (Some(rig), Some(named)) if rig == named.task => asked(&mut config),
        (Some(rig), Some(named)) => bail!(
            "{}: field `simulator.task` is `{}`, and --rig names `{rig}`; name the one that you want in both",
            robot.display(),
            named.task
        ),
        (Some(rig), None) => bail!(
            "{}: names no environment of another program, and --rig names `{rig}`; leave one of --robot and --rig out",
            robot.display()
        ),
        (None, _) => {}
    }
    if config.simulator.is_some() {
        Simulation::of(&config).with_context(|| robot.display().to_string())?;
    }
    Session::of(config, bundle, policy, pipeline)
}

/// What a session does with the simulation that its robot file names.
pub trait Simulated {
    /// The simulation.
    ///
    /// # Errors
    /// If the robot file names none, or one that does not exist.
    fn simulation(&self) -> anyhow::Result<Simulation>;

    /// The arm of this program that it is.
    ///
    /// # Errors
    /// If it is none, or another program's.
    fn task(&self) -> anyhow::Result<Task>;

    /// Timing and limits of that arm.
    ///
    /// # Errors
    /// Joints without usable limits.
    fn arm_options(&self) -> anyhow::Result<ArmOptions>;

    /// The simulated arm, reached in this process through firmware and wire codec.
    ///
    /// # Errors
    /// See [`Simulation::plant`].
    fn loopback(&self) -> anyhow::Result<Loopback<Box<dyn Plant>>>;

    /// Runs one lockstep episode per seed on `jobs` threads, each on a simulated arm of its own; the results do not
    /// depend on `jobs`. `log` names each episode's file, `done` hears of each one finished.
    ///
    /// # Errors
    /// The first that any episode ran into.
    fn run_simulated(
        &self,
        seeds: &[u64],
        ticks: u32,
        jobs: usize,
        log: &(dyn Fn(u64) -> PathBuf + Sync),
        done: &(dyn Fn(&Outcome) + Sync),
    ) -> anyhow::Result<Vec<Outcome>>;
}

impl Simulated for Session {
    fn simulation(&self) -> anyhow::Result<Simulation> {
        Simulation::of(&self.config)
    }

    fn task(&self) -> anyhow::Result<Task> {
        self.simulation()?.embedded()
    }

    fn arm_options(&self) -> anyhow::Result<ArmOptions> {
        ArmOptions::from_config(&self.config).context("the robot file's joints have no usable limits")
    }

    fn loopback(&self) -> anyhow::Result<Loopback<Box<dyn Plant>>> {
        let plant = self.simulation()?.plant(&self.config)?;
        Ok(Loopback::new(plant, &self.arm_options()?))
    }

    fn run_simulated(
        &self,
        seeds: &[u64],
        ticks: u32,
        jobs: usize,
        log: &(dyn Fn(u64) -> PathBuf + Sync),
        done: &(dyn Fn(&Outcome) + Sync),
    ) -> anyhow::Result<Vec<Outcome>> {
        let attachments = self.attachments();
        // Episodes side by side fill the machine by themselves.
        let jobs = if self.deadline.is_some() { 1 } else { jobs };
        let threads = if jobs > 1 { 1 } else { self.config.planner.threads };
        let outcomes = jobs::over(
            seeds,
            jobs,
            || Ok((self.assemble(threads, self.deadline.is_some())?, self.loopback()?)),
            |((controller, encoder), rig), &seed| {
                let path = log(seed);
                let info = self.info(controller, seed, 0);
                let labels = Labels {
                    log: &path,
                    info,
                    attachments: &attachments,
                };
                let outcome = lockstep::run(controller, encoder.as_mut(), rig, ticks, self.deadline, &labels)
                    .with_context(|| format!("episode {seed}"))?;
                done(&outcome);
                Ok(outcome)
            },
        )?;
        Outcome::tell_of_pictures(&outcomes);
        Ok(outcomes)
    }
}
