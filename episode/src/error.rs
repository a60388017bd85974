//! What can go wrong with a run log, and what to do about it.

use std::path::PathBuf;

/// Why a run log could not be written or read. Every message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpisodeError {
    /// A log of that name exists; a run is never overwritten.
    #[error("{path}: a log of this name exists; choose another run name, or move the old one away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be created.
    #[error("{path}: cannot create the log: {source}; check that the directory exists and may be written to")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Writing failed part-way, as on a full disk. What was written before stays readable.
    #[error(
        "{path}: cannot write the log: {source}; free space on that disk, then record again; the ticks written so far can be read"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the compressor, said.
        source: std::io::Error,
    },
    /// The log that is being written is no longer what was written, or no longer at its path.
    #[error(
        "{path}: the log was lost while it was written: {problem}; leave the folder of a run alone until the run has ended, check its disk, \
         and run again"
    )]
    Gone {
        /// The file.
        path: PathBuf,
        /// What is found there.
        problem: String,
    },
    /// The disk does not answer any more.
    #[error(
        "{path}: the disk has not answered for {waited_s:.1} s, and the end of the log is not written; check that disk or its connection; the ticks that reached it can be read"
    )]
    Hung {
        /// The file.
        path: PathBuf,
        /// How long it was waited for, in seconds.
        waited_s: f64,
    },
    /// An attachment is larger than a reader accepts.
    #[error(
        "{path}: attachment `{name}` has {bytes} bytes, more than the {limit} a log may carry; store it beside the log"
    )]
    Attachment {
        /// The file.
        path: PathBuf,
        /// The attachment.
        name: String,
        /// Its size.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// The file or directory could not be read.
    #[error("{path}: cannot read: {source}; check the path and its permissions")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no run log, or it was cut off before its description was written.
    #[error("{path}: not a run log: {problem}; give a file that `armillary record` or `armillary run` wrote")]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        problem: String,
    },
    /// The log is in another version of the format.
    #[error(
        "{path}: log format {found}, but this program reads and writes format {expected}; use the version of armillary that matches the log"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The log's version.
        found: String,
        /// [`crate::FORMAT_VERSION`].
        expected: u32,
    },
    /// A picture that is no model's image, or of another size than the pictures before it.
    #[error(
        "{path}: tick {tick}: field `width`, `height` or `encoding` of its pictures: {found}, but {expected}; bring pictures to one \
         such size where they are recorded, or leave this log out"
    )]
    FrameSize {
        /// The file.
        path: PathBuf,
        /// The first tick with one.
        tick: u32,
        /// What it has.
        found: String,
        /// What it may have.
        expected: String,
    },
    /// A camera's own picture is larger than a log may keep.
    #[error(
        "{path}: tick {tick}: the camera's own picture has {bytes} bytes, more than the {limit} that a log keeps; set the camera to smaller \
         pictures, or remove `keep_pictures` from the robot file"
    )]
    LargePicture {
        /// The file.
        path: PathBuf,
        /// The tick.
        tick: u32,
        /// The picture's size.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// A whole log was needed and this one is cut off or damaged.
    #[error(
        "{path}: {problem}; record the run again, or read the ticks before the damage with `read_episode`"
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// The rows contradict each other or the log's description.
    #[error("{path}: tick {tick}: {problem}; leave this log out")]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// The tick at fault.
        tick: u32,
        /// What does not fit.
        problem: String,
    },
    /// The robot file in the log is another than the log's description names.
    #[error(
        "{path}: field `config_sha256` of its description is {said}, and the robot file it keeps has the SHA-256 {found}: one of them \
         was changed; leave this log out"
    )]
    RobotFile {
        /// The file.
        path: PathBuf,
        /// What the description says.
        said: String,
        /// The SHA-256 of the robot file in it, in hexadecimal.
        found: String,
    },
    /// A directory holds no logs.
    #[error(
        "{dir}: no run logs (*.mcap) here or below; record some with `armillary record`, or name another directory"
    )]
    NoRuns {
        /// The directory.
        dir: PathBuf,
    },
}

impl EpisodeError {
    /// With what else is known of a log whose rows contradict each other: that it is damaged may be the cause.
    pub(crate) fn about(mut self, damage: Option<&str>) -> Self {
        if let (Self::Inconsistent { problem, .. }, Some(damage)) = (&mut self, damage) {
            problem.push_str(&format!("; the log is damaged, too ({damage})"));
        }
        self
    }
}
