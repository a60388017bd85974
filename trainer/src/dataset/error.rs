//! Why logs cannot be trained on.

use std::path::PathBuf;

use episode::EpisodeError;

use crate::side::Side;

/// Why a set of runs cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A log could not be read.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// Logs of different robots.
    #[error(
        "{path}: field `{field}` is {found}, but {first} has {expected}; train on the runs of one robot at a time, or give each \
         robot's its own --runs for one agent with several tasks (no folder inside another)"
    )]
    Mixed {
        /// The odd one out.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// Its value.
        found: String,
        /// The log it was compared with.
        first: PathBuf,
        /// That log's value.
        expected: String,
    },
    /// Pictures of a size that no encoder and decoder are built for.
    #[error(
        "{path}: its pictures are {side}x{side}, and a model that sees pictures is trained on {}: record with one of these as \
         `capture.side` in the robot file",
        Side::LIST
    )]
    Side {
        /// The log.
        path: PathBuf,
        /// Of its pictures, in pixels.
        side: usize,
    },
    /// Pictures of two sizes.
    #[error(
        "{path}: its pictures are {side}x{side}, and those of {first} are {expected}x{expected}; a model sees pictures of one size: leave \
         one of both out, or record it again with the other's `capture.side` in the robot file"
    )]
    Sides {
        /// The odd one out.
        path: PathBuf,
        /// Of its pictures, in pixels.
        side: usize,
        /// The log that it was compared with.
        first: PathBuf,
        /// Of that log's pictures, in pixels.
        expected: usize,
    },
    /// Nothing long enough.
    #[error(
        "{dir}: none of the {logs} logs holds {length} consecutive steps; record longer episodes or lower `optimiser.length`"
    )]
    TooShort {
        /// The folder.
        dir: PathBuf,
        /// How many logs there are.
        logs: usize,
        /// Chunk length wanted.
        length: i64,
    },
    /// Two folders with the same robot at the same task.
    #[error(
        "{first} and {second}: are both of robot {robot} at task {task:?}; put them below one folder, and name that as --runs"
    )]
    SameTask {
        /// A folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The robot.
        robot: String,
        /// The task.
        task: String,
    },
    /// Joints that a model is to see, and nobody measured.
    #[error(
        "{dir}: field `model.observation` of the preset names joints, but those of these logs only repeat what was asked of them \
         (actuators of a rig, data without a measured state); make it `pixels`"
    )]
    NotMeasured {
        /// The folder.
        dir: PathBuf,
    },
    /// A reward, an action or a joint that is not a number.
    #[error(
        "{path}: {field} at step {step} is {value}; run `armillary-train` on the other logs, or remove this one (joints matter only \
         to a `model.observation` that names them)"
    )]
    NotFinite {
        /// The log.
        path: PathBuf,
        /// `reward`, `action` or `joints`.
        field: &'static str,
        /// Step within the stretch.
        step: usize,
        /// The value.
        value: f32,
    },
    /// The cache.
    #[error(
        "{path}: {action} the cache of frames: {source}; free some space, or remove it and it is built again"
    )]
    Cache {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the cache's name that this program did not make.
    #[error(transparent)]
    Output(#[from] files::OutputError),
    /// Two trainers in one folder.
    #[error("{path}: another program is training into this folder; wait for it, or name another --out")]
    CacheInUse {
        /// The file.
        path: PathBuf,
    },
    /// A decompressor.
    #[error("cannot decompress frames: {0}; free some memory")]
    Decompressor(std::io::Error),
    /// A loader's thread.
    #[error("a thread that loads batches has ended; its message is printed above")]
    LoaderLost,
}
