//! A plant in another process: an environment of the Python package `bridges/python`, asked over a pipe.
//!
//! The table of requests and answers is in `bridges/python/armillary_bridge/server.py`, their other end.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::{FRAME_BYTES, Frame, JointState, JointVec, Plant, PlantError, joint};
use serde::Deserialize;

/// What both ends speak.
const PROTOCOL_VERSION: u32 = 2;

/// How long any answer may take: importing a simulator takes seconds, a plan on one minutes at worst.
const ANSWER_TIMEOUT_MS: u16 = 60_000;

/// Waits of [`ANSWER_TIMEOUT_MS`] for one answer.
const ANSWER_WAITS: u32 = 10;

/// How long it may take to end when nothing more is asked of it.
const ENDING_TIMEOUT_MS: u16 = 2_000;

/// No spec is longer.
const TEXT_MAX_BYTES: u32 = 1 << 20;

/// Where `cargo xtask rig` puts the Python that has the package.
const OWN_PYTHON: &str = ".venv-rig/bin/python";

/// Why a plant in another process cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No interpreter.
    #[error(
        "rig `{rig}`: no Python with the package armillary-bridge was found; run `cargo xtask rig` in the repository, or \
         `pip install './bridges/python[dmc,gym]'` into an environment and start armillary with that one active"
    )]
    NoPython {
        /// What was to be started.
        rig: String,
    },
    /// The pipe broke or stalled.
    #[error("rig `{rig}`: {doing}: {source}; what it printed above may say why")]
    Pipe {
        /// The rig.
        rig: String,
        /// What was attempted.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The environment refused or failed.
    #[error("rig `{rig}`: {message}")]
    Environment {
        /// The rig.
        rig: String,
        /// In its own words.
        message: String,
    },
    /// The other end is not what it should be.
    #[error(
        "rig `{rig}`: {problem}; install the package of this release: `pip install --upgrade ./bridges/python`"
    )]
    Protocol {
        /// The rig.
        rig: String,
        /// What is wrong.
        problem: String,
    },
    /// It was asked to move by something else than a control period.
    #[error(
        "rig `{rig}` moves by control periods of {period_s} s and was asked for {asked_s} s; write `period_s: {period_s}` \
         and `substeps: 1` into the robot file"
    )]
    Period {
        /// The rig.
        rig: String,
        /// What it can.
        period_s: f32,
        /// What it was asked for.
        asked_s: f32,
    },
}

impl From<ProcessError> for PlantError {
    fn from(error: ProcessError) -> Self {
        Self::new(error)
    }
}

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
}

/// An environment in a process of its own. Its joints are its actuators: they report the control they were given.
#[derive(Debug)]
pub struct ProcessPlant {
    spec: Spec,
    child: Child,
    requests: Option<ChildStdin>,
    answers: ChildStdout,
    control: JointVec,
    reward: f32,
    ended: bool,
    outgoing: Vec<u8>,
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
        Self::spawn(rig, &mut command)
    }

    /// The same with any program at the other end of the pipe.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn spawn(rig: &str, command: &mut Command) -> Result<Self, ProcessError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| pipe(rig, "starting it", source))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(pipe(rig, "starting it", io::ErrorKind::BrokenPipe.into()));
        };
        let mut plant = Self {
            spec: Spec {
                name: rig.to_owned(),
                actuators: Vec::new(),
                period_s: 0.0,
                action_repeat: 1,
                episode_ticks: 0,
                software: String::new(),
            },
            child,
            requests: Some(requests),
            answers,
            control: JointVec::new(),
            reward: 0.0,
            ended: false,
            outgoing: Vec::new(),
        };
        plant.spec = plant.greeting()?;
        plant.control = joint::zeros(plant.spec.actuators.len());
        Ok(plant)
    }

    /// What it says of itself.
    pub fn spec(&self) -> &Spec {
        &self.spec
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
        self.ask("imagining", &mut bytes)?;
        for (value, bytes) in returns.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(())
    }

    fn greeting(&mut self) -> Result<Spec, ProcessError> {
        let rig = self.spec.name.clone();
        let mut head = [0; 12];
        self.read("waiting for its environment", &mut head)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (version, length) = (number(4), number(8));
        let protocol = |problem: String| ProcessError::Protocol {
            rig: rig.clone(),
            problem,
        };
        if head[..4] != *b"ARMP" || length > TEXT_MAX_BYTES {
            return Err(protocol("it does not greet as a plant does".to_owned()));
        }
        let mut text = vec![0; length as usize];
        self.read("reading its spec", &mut text)?;
        if version == 0 {
            let message = String::from_utf8_lossy(&text).into_owned();
            return Err(ProcessError::Environment { rig, message });
        }
        if version != PROTOCOL_VERSION {
            let problem =
                format!("it speaks version {version} of the protocol, this program {PROTOCOL_VERSION}");
            return Err(protocol(problem));
        }
        let spec: Spec = serde_json::from_slice(&text)
            .map_err(|error| protocol(format!("its spec cannot be read: {error}")))?;
        let usable = |actuator: &Actuator| {
            actuator.low.is_finite() && actuator.high.is_finite() && actuator.low < actuator.high
        };
        let count = spec.actuators.len();
        if count == 0 || count > robot::MAX_JOINTS || !spec.actuators.iter().all(usable) {
            return Err(protocol(format!(
                "it has {count} actuators that cannot be driven"
            )));
        }
        Ok(spec)
    }

    /// Sends what is in `outgoing` and fills `payload` with the answer.
    fn ask(&mut self, doing: &'static str, payload: &mut [u8]) -> Result<(), ProcessError> {
        let Some(requests) = &mut self.requests else {
            return Err(pipe(&self.spec.name, doing, io::ErrorKind::BrokenPipe.into()));
        };
        requests
            .write_all(&self.outgoing)
            .and_then(|()| requests.flush())
            .map_err(|source| pipe(&self.spec.name, doing, source))?;
        let mut status = [0];
        self.read(doing, &mut status)?;
        if status[0] == 0 {
            return self.read(doing, payload);
        }
        let mut length = [0; 4];
        self.read(doing, &mut length)?;
        let mut text = vec![0; u32::from_le_bytes(length).min(TEXT_MAX_BYTES) as usize];
        self.read(doing, &mut text)?;
        Err(ProcessError::Environment {
            rig: self.spec.name.clone(),
            message: format!("{doing}: {}", String::from_utf8_lossy(&text)),
        })
    }

    /// Fills `bytes`, waiting for a bounded time.
    fn read(&mut self, doing: &'static str, bytes: &mut [u8]) -> Result<(), ProcessError> {
        let fail = |rig: &str, source| Err(pipe(rig, doing, source));
        let (mut filled, mut waits) = (0, 0);
        while filled < bytes.len() {
            let mut fds = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(ANSWER_TIMEOUT_MS)) {
                Ok(0) if waits + 1 == ANSWER_WAITS => {
                    return fail(&self.spec.name, io::ErrorKind::TimedOut.into());
                }
                Ok(0) => {
                    waits += 1;
                    log::info!("rig `{}`: still {doing}", self.spec.name);
                    continue;
                }
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return fail(&self.spec.name, errno.into()),
                Ok(_) => {}
            }
            match self.answers.read(&mut bytes[filled..]) {
                Ok(0) => return fail(&self.spec.name, io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return fail(&self.spec.name, source),
            }
        }
        Ok(())
    }
}

impl Plant for ProcessPlant {
    fn joint_count(&self) -> usize {
        self.spec.actuators.len()
    }

    fn reset(&mut self, seed: u64) -> Result<(), PlantError> {
        self.outgoing.clear();
        self.outgoing.push(b'R');
        self.outgoing.extend(seed.to_le_bytes());
        self.ask("resetting", &mut [])?;
        (self.reward, self.ended) = (0.0, false);
        self.control = at_rest(&self.spec.actuators);
        Ok(())
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), PlantError> {
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
        self.ask("stepping", &mut answer)?;
        let [a, b, c, d, ended] = answer;
        self.reward = f32::from_le_bytes([a, b, c, d]);
        self.ended = ended != 0;
        Ok(())
    }

    fn joints(&self) -> JointState {
        JointState {
            position_rad: self.control.clone(),
            velocity_rad_s: joint::zeros(self.control.len()),
        }
    }

    fn render(&mut self, frame: &mut Frame) -> Result<(), PlantError> {
        self.outgoing.clear();
        self.outgoing.push(b'P');
        let mut pixels = [0; FRAME_BYTES];
        self.ask("drawing", &mut pixels)?;
        *frame.rgb_mut() = pixels;
        Ok(())
    }

    fn reward(&self) -> f32 {
        self.reward
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

impl Drop for ProcessPlant {
    fn drop(&mut self) {
        // Told to quit, or at the end of its input, it ends; one that hangs is ended.
        drop(self.requests.take());
        // Its end of the pipe closes with it; an answer that nobody waited for may still come before.
        let ended = loop {
            let mut fds = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::from(ENDING_TIMEOUT_MS)), Ok(1)) {
                break false;
            }
            if !matches!(self.answers.read(&mut [0; 4096]), Ok(1..)) {
                break true;
            }
        };
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What an action of 0 asks for.
fn at_rest(actuators: &[Actuator]) -> JointVec {
    actuators
        .iter()
        .map(|actuator| 0.5 * (actuator.low + actuator.high))
        .collect()
}

fn pipe(rig: &str, doing: &'static str, source: io::Error) -> ProcessError {
    ProcessError::Pipe {
        rig: rig.to_owned(),
        doing,
        source,
    }
}

/// A Python that has the package: the repository's own, in the working directory or above it, or the one that is active.
fn python() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let own = here.ancestors().map(|dir| dir.join(OWN_PYTHON));
    own.filter(|python| python.exists())
        .chain([PathBuf::from("python3"), PathBuf::from("python")])
        .find(|python| has_package(python))
}

fn has_package(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import armillary_bridge"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
