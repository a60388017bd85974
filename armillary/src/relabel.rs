//! New logs of old ones, with rewards that are computed again from the joints. Everything else of a row stays. The old rewards stay in the new log as an
//! attachment.

mod log;

use std::path::{Path, PathBuf};

use controller::replay::ReplayError;
use episode::EpisodeError;
use files::{NewFolder, OutputError};
use robot::{Config, RewardRule};

pub use crate::inputs::SameName;
use crate::inputs::{Input, InputError, inputs};
pub use log::Compared;

/// Why no logs were made.
#[derive(Debug, thiserror::Error)]
pub enum RelabelError {
    /// A log could not be read or written.
    #[error(transparent)]
    Log(#[from] EpisodeError),
    /// The robot file in a log.
    #[error(transparent)]
    Recorded(Box<ReplayError>),
    /// The new folder.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Two logs would get the same name.
    #[error(transparent)]
    SameName(#[from] SameName),
    /// The robot file names no reward that can be computed.
    #[error(
        "{}: field `reward`: names none that can be computed of a log; write `joint_goal(..)` or `tip_goal(..)`", robot.display()
    )]
    NoReward {
        /// The robot file.
        robot: PathBuf,
    },
    /// The robot file is of another arm than a log.
    #[error(
        "{}: field `{field}` is not as in the robot file that {} was recorded with; give a robot file of the same arm", robot.display(), log.display()
    )]
    OtherArm {
        /// The robot file.
        robot: PathBuf,
        /// The log.
        log: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// Whoever watches asked to end.
    #[error("interrupted; nothing was made")]
    Interrupted,
}

impl From<ReplayError> for RelabelError {
    fn from(error: ReplayError) -> Self {
        Self::Recorded(Box::new(error))
    }
}

impl From<InputError> for RelabelError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Log(error) => Self::Log(error),
            InputError::SameName(error) => Self::SameName(error),
        }
    }
}

/// A log made again.
#[derive(Debug, Clone, PartialEq)]
pub struct Relabelled {
    /// The old log.
    pub from: PathBuf,
    /// The new one.
    pub to: PathBuf,
    /// Rewards of both.
    pub compared: Compared,
    /// What is wrong with the old log, if anything: the new one then has what hangs together of it, and no end.
    pub problem: Option<String>,
}

/// Makes new logs in the folder `out`, which must not exist, of the logs in `runs` (logs, or folders of them), with the `reward` of `config`, which was
/// read from `robot`. `watch` is told how many logs are done of how many, and ends the work by `false`; nothing is kept then, nor after an error.
///
/// # Errors
/// [`RelabelError`].
pub fn relabel(
    runs: &[PathBuf],
    config: &Config,
    robot: &Path,
    out: &Path,
    watch: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<Relabelled>, RelabelError> {
    let rule: &RewardRule = config.reward.as_ref().ok_or_else(|| RelabelError::NoReward {
        robot: robot.to_owned(),
    })?;
    let inputs = inputs(runs)?;
    let folder = NewFolder::begin(out)?;
    let mut made = Vec::new();
    let all = inputs.len();
    for Input { log: from, name } in inputs {
        if !watch(made.len(), all) {
            return Err(RelabelError::Interrupted);
        }
        let job = log::Job {
            from: &from,
            to: &folder.path().join(&name),
            config,
            robot,
            rule,
        };
        let (compared, problem) = log::remake(&job)?;
        made.push(Relabelled {
            to: out.join(&name),
            from,
            compared,
            problem,
        });
    }
    folder.finish()?;
    Ok(made)
}
