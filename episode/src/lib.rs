//! The run log, which is also the training data: one MCAP file an episode.
//!
//! [`EpisodeWriter`] takes one [`TickRecord`] a control tick, with the frame exactly as the model saw it.
//! [`read_episode`] gives them back bit by bit, also from a log that a crash cut off at any byte;
//! [`Episode::training`] lays them out for the trainer.
//!
//! # Format
//! A chunked, zstd-compressed MCAP with checksums throughout. First an `armillary.episode` metadata record
//! ([`EpisodeInfo`]), then attachments (robot file, bundle manifest), then the channels of [`Channel`], a message each
//! a tick, with the tick's number as sequence number. Frames and joints are Foxglove's protobuf messages, so that
//! Foxglove, Lichtblick and Rerun show them as they are; rows are JSON objects with a JSON Schema. A log may keep the camera's own
//! pictures, too, in a channel that others do not have; [`read_pictures`] reads them.
//!
//! JSON numbers are the shortest decimals that read back as the same `f32`. NaN and the infinities are the strings
//! `"nan"`, `"inf"` and `"-inf"`, hashes are hexadecimal strings. A reward that nobody gave is `null`.
//!
//! **Invariant**: everything that a clock decides is in `/record`. The channels of the [`decision_stream`] hold no
//! time, so that two lockstep runs can be compared byte by byte.

mod camera;
mod channel;
mod check;
mod error;
mod file;
mod info;
mod message;
mod number;
mod reader;
mod returns;
mod row;
mod runs;
mod sameness;
mod scan;
mod schema;
mod training;
mod variants;
mod writer;

pub use camera::read_pictures;
pub use channel::Channel;
pub use check::SKIPPED_TICKS_MAX;
pub use error::EpisodeError;
pub use file::LogFile;
pub use info::{EpisodeInfo, FORMAT_VERSION, INFO_RECORD, NO_REWARD};
pub use reader::{Episode, Rows, decision_stream, read_episode, read_episode_from, read_rows};
pub use returns::Returns;
pub use robot::device::ArmState;
pub use row::{
    ActuateRow, CaptureRow, EncodeRow, FilterRow, GuardRow, PlanRow, PlanSource, Reason, RecordRow,
    StageTimes, TickRecord,
};
pub use runs::{Episodes, first_attempt, list_episodes, list_runs};
pub use sameness::Pictures;
pub use training::TrainingEpisode;
pub use writer::{
    Attachment, CHUNK_BYTES, EpisodeSummary, EpisodeWriter, MAX_ATTACHMENT_BYTES, MAX_PICTURE_BYTES,
};
