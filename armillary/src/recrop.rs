//! New logs of old ones: the model's image of every row is made again, of the camera's own picture that the log kept, by the `capture`
//! of another robot file. Everything else of a row stays.

mod arm;
mod log;

use std::path::{Path, PathBuf};

use controller::replay::ReplayError;
use episode::EpisodeError;
use files::{NewFolder, OutputError};
use robot::Config;
use robot::device::DeviceError;

pub use crate::inputs::SameName;
use crate::inputs::{Input, InputError, inputs};
pub use arm::OtherArm;

/// Why no logs were made.
#[derive(Debug, thiserror::Error)]
pub enum RecropError {
    /// A log could not be read or written.
    #[error(transparent)]
    Log(#[from] EpisodeError),
    /// The robot file in a log.
    #[error(transparent)]
    Recorded(Box<ReplayError>),
    /// The new folder.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The robot file is of another arm than a log.
    #[error(transparent)]
    OtherArm(Box<OtherArm>),
    /// No image can be made of the pictures in a log as the robot file says.
    #[error("{log}: {problem}")]
    View {
        /// The log.
        log: PathBuf,
        /// The field of the robot file, and what is wrong with it.
        problem: DeviceError,
    },
    /// Two logs would get the same name.
    #[error(transparent)]
    SameName(#[from] SameName),
    /// No log has what it takes.
    #[error(
        "{log}: {why}; none of the {all} logs can be made again: record with `capture: (.., keep_pictures: true)` and a camera that \
         sends JPEG"
    )]
    Nothing {
        /// The first log.
        log: PathBuf,
        /// What it lacks.
        why: String,
        /// How many logs there are.
        all: usize,
    },
    /// Whoever watches asked to end.
    #[error("interrupted; nothing was made")]
    Interrupted,
}

impl From<ReplayError> for RecropError {
    fn from(error: ReplayError) -> Self {
        Self::Recorded(Box::new(error))
    }
}

impl From<InputError> for RecropError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Log(error) => Self::Log(error),
            InputError::SameName(error) => Self::SameName(error),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Logs that are done.
    pub logs: usize,
    /// All logs.
    pub all: usize,
    /// Rows that are done.
    pub rows: usize,
}

/// What became of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// The old log.
    pub from: PathBuf,
    /// The new one.
    pub to: PathBuf,
    /// Rows of the new one.
    pub rows: usize,
    /// Why it ends before the old one, or is not whole: by tick. It then has no end, as a log that was cut off.
    pub ended: Option<String>,
    /// Rows of the old log that are not in the new one.
    pub rows_left_out: usize,
}

/// A log of which none was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The log.
    pub log: PathBuf,
    /// Why.
    pub why: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recropped {
    /// Logs, in order.
    pub logs: Vec<Remade>,
    /// Logs without pictures.
    pub left_out: Vec<Left>,
}

/// Makes new logs in the folder `out`, which must not exist, of the logs in `runs` (logs, or folders of them), by the `capture` of
/// `config`, which was read from `robot`. A log that comes from a folder keeps its place below it; of several folders, each gets one of
/// its own. `watch` is told of every row and ends the work by `false`; nothing is kept then, nor after an error.
///
/// # Errors
/// [`RecropError`].
pub fn recrop(
    runs: &[PathBuf],
    config: &Config,
    robot: &Path,
    out: &Path,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<Recropped, RecropError> {
    let inputs = inputs(runs)?;
    let folder = NewFolder::begin(out)?;
    let mut made = Recropped::default();
    let mut progress = Progress {
        logs: 0,
        all: inputs.len(),
        rows: 0,
    };
    for Input { log: from, name } in inputs {
        let job = log::Job {
            from: &from,
            to: &folder.path().join(&name),
            config,
            robot,
        };
        let done = log::remake(&job, &mut || {
            progress.rows += 1;
            watch(progress)
        })?;
        match done {
            Ok(done) => made.logs.push(Remade {
                to: out.join(&name),
                from,
                rows: done.rows,
                ended: done.ended,
                rows_left_out: done.rows_left_out,
            }),
            Err(why) => made.left_out.push(Left { log: from, why }),
        }
        progress.logs += 1;
    }
    if let (true, Some(first)) = (made.logs.is_empty(), made.left_out.first()) {
        return Err(RecropError::Nothing {
            log: first.log.clone(),
            why: first.why.clone(),
            all: progress.all,
        });
    }
    folder.finish()?;
    Ok(made)
}
