//! A plant in another process: an environment of the Python package `bridges/python`, asked over a pipe.
//!
//! The table of requests and answers is in `bridges/python/armillary_bridge/server.py`, their other end.

mod conversation;
mod error;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use robot::device::{DeviceError, Joints, Task, View};
use robot::{Frame, JointState, JointVec, joint};
use serde::Deserialize;

use self::conversation::Conversation;
pub use self::error::ProcessError;

/// Where `cargo xtask rig` puts the Python that has the package: in the repository that this program was built from. It is looked for in
/// no other folder, since whatever lies there is run.
const OWN_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv-rig/bin/python");

/// Tells Python not to take modules from the folder in which it is started.
const SAFE_PATH: &str = "PYTHONSAFEPATH";

/// One element of an action.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Actuator {
    /// Its name.
    pub name: String,
    /// Smallest control, in the actuator's own unit.
    pub low: f32,
    /// Largest control.
    pub high: f32,
}

/// What a plant says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Spec {
    /// The rig's name.
    pub name: String,
    /// Its actuators.
    pub actuators: Vec<Actuator>,
    /// Control period: the environment's own step times the action repeat.
    pub period_s: f32,
    /// Steps of the environment in a control period; their rewards are summed.
    pub action_repeat: u32,
    /// Control periods in an episode.
    pub episode_ticks: u32,
    /// What simulates, with versions.
    pub software: String,
    /// Sentences about the environment that its user should read before it is driven.
    #[serde(default)]
    pub remarks: Vec<String>,
}

impl Spec {
    /// Why no arm can be made of this, if so. The package checks it first, in the words of its user's environment.
    fn problem(&self) -> Option<String> {
        let count = self.actuators.len();
        if count == 0 || count > robot::MAX_JOINTS {
            return Some(format!(
                "it has {count} actuators, which cannot be driven; 1 to {} can",
                robot::MAX_JOINTS
            ));
        }
        for Actuator { name, low, high } in &self.actuators {
            if !((high - low).is_finite() && low < high) {
                return Some(format!(
                    "its actuator `{name}` goes from {low} to {high}, which cannot be driven"
                ));
            }
        }
        (!(self.period_s.is_finite() && self.period_s > 0.0)).then(|| {
            format!(
                "its control period is {} s; a number above 0 is needed",
                self.period_s
            )
        })
    }
}

/// An environment in a process of its own. Its joints are its actuators: they report the control they were given.
#[derive(Debug)]
pub struct ProcessPlant {
    spec: Spec,
    conversation: Conversation,
    control: JointVec,
    reward: Option<f32>,
    ended: bool,
    outgoing: Vec<u8>,
    /// The last picture as it came: one that is half there is none.
    picture: Vec<u8>,
}

impl ProcessPlant {
    /// Starts the process and waits until its environment is made.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn start(rig: &str) -> Result<Self, ProcessError> {
        let Some(python) = python() else {
            return Err(ProcessError::NoPython { rig: rig.to_owned() });
        };
        let mut command = Command::new(python);
        command.args(["-m", "armillary_bridge", rig]);
        if rig.starts_with("dmc:") {
            // Others are, or may be, modules of the user's in that folder.
            command.env(SAFE_PATH, "1");
        }
        Self::spawn(rig, &mut command)
    }

    /// The same with any program at the other end of the pipe.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn spawn(rig: &str, command: &mut Command) -> Result<Self, ProcessError> {
        let mut conversation = Conversation::start(rig, command)?;
        let spec = conversation.greeting()?;
        remark(rig, &spec.remarks);
        Ok(Self {
            control: joint::zeros(spec.actuators.len()),
            spec,
            conversation,
            reward: None,
            ended: false,
            outgoing: Vec::new(),
            picture: Vec::new(),
        })
    }

    /// What it says of itself.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether it draws pictures of `side` x `side` pixels: any side, but for packages of before, which draw one.
    ///
    /// # Errors
    /// [`ProcessError::Side`].
    pub fn check_side(&self, side: usize) -> Result<(), ProcessError> {
        match self.conversation.only_side() {
            Some(only) if only != side => Err(ProcessError::Side {
                rig: self.spec.name.clone(),
                only,
                asked: side,
            }),
            _ => Ok(()),
        }
    }

    /// The sum of rewards that each of `controls` (`candidates` x `horizon` x actuators) would earn from the present state,
    /// which is kept.
    ///
    /// # Errors
    /// [`ProcessError`]; [`ProcessError::Environment`] from one that cannot be put back into a state.
    pub fn futures(
        &mut self,
        candidates: usize,
        horizon: usize,
        controls: &[f32],
        returns: &mut [f32],
    ) -> Result<(), ProcessError> {
        debug_assert_eq!(controls.len(), candidates * horizon * self.spec.actuators.len());
        self.outgoing.clear();
        self.outgoing.push(b'F');
        self.outgoing.extend((candidates as u32).to_le_bytes());
        self.outgoing.extend((horizon as u32).to_le_bytes());
        self.outgoing
            .extend(controls.iter().flat_map(|value| value.to_le_bytes()));
        let mut bytes = vec![0; 4 * candidates];
        self.conversation.ask("imagining", &self.outgoing, &mut bytes)?;
        for (value, bytes) in returns.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(())
    }
}

impl Joints for ProcessPlant {
    fn joint_count(&self) -> usize {
        self.spec.actuators.len()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        if (dt_s - self.spec.period_s).abs() > 1e-3 * self.spec.period_s {
            return Err(ProcessError::Period {
                rig: self.spec.name.clone(),
                period_s: self.spec.period_s,
                asked_s: dt_s,
            }
            .into());
        }
        self.control = if torque_on {
            set_point_rad.iter().copied().collect()
        } else {
            at_rest(&self.spec.actuators)
        };
        self.outgoing.clear();
        self.outgoing.push(b'S');
        self.outgoing
            .extend(self.control.iter().flat_map(|value| value.to_le_bytes()));
        let mut answer = [0; 5];
        self.conversation.ask("stepping", &self.outgoing, &mut answer)?;
        let [a, b, c, d, ended] = answer;
        let reward = f32::from_le_bytes([a, b, c, d]);
        if !reward.is_finite() {
            return Err(ProcessError::Protocol {
                rig: self.spec.name.clone(),
                problem: format!("it sent a reward of {reward}, which is no finite number"),
            }
            .into());
        }
        self.reward = Some(reward);
        self.ended = ended != 0;
        Ok(())
    }

    fn joints(&self) -> JointState {
        JointState {
            position_rad: self.control.clone(),
            velocity_rad_s: joint::zeros(self.control.len()),
        }
    }
}

impl View for ProcessPlant {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        let side = frame.side();
        self.check_side(side)?;
        self.outgoing.clear();
        self.outgoing.push(b'P');
        if self.conversation.only_side().is_none() {
            self.outgoing.extend((side as u32).to_le_bytes());
        }
        self.picture.resize(Frame::bytes(side), 0);
        self.conversation
            .ask("drawing", &self.outgoing, &mut self.picture)?;
        frame.rgb_mut().copy_from_slice(&self.picture);
        Ok(())
    }
}

impl Task for ProcessPlant {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.outgoing.clear();
        self.outgoing.push(b'R');
        self.outgoing.extend(seed.to_le_bytes());
        self.conversation.ask("resetting", &self.outgoing, &mut [])?;
        (self.reward, self.ended) = (None, false);
        self.control = at_rest(&self.spec.actuators);
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        self.reward
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

/// What an action of 0 asks for.
fn at_rest(actuators: &[Actuator]) -> JointVec {
    actuators
        .iter()
        // Halves first: the sum of two large bounds is infinite.
        .map(|actuator| 0.5 * actuator.low + 0.5 * actuator.high)
        .collect()
}

/// Shows what is remarked of a rig once, however many processes of it are started.
fn remark(rig: &str, remarks: &[String]) {
    static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for text in remarks {
        let text = format!("rig `{rig}`: {text}");
        if !shown.contains(&text) {
            log::warn!("{text}");
            shown.insert(text);
        }
    }
}

/// A Python that has the package: that of an active environment, that of this program's own repository, or the one that the shell finds.
fn python() -> Option<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").map(|dir| PathBuf::from(dir).join("bin/python"));
    active
        .into_iter()
        .chain([PathBuf::from(OWN_PYTHON)])
        .filter(|python| python.exists())
        .chain([PathBuf::from("python3"), PathBuf::from("python")])
        .find(|python| has_package(python))
}

fn has_package(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import armillary_bridge"])
        .env(SAFE_PATH, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
