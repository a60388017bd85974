//! LeRobotDataset v3: Parquet for numbers and pictures, JSON for what it is.
//!
//! ```text
//! meta/info.json                               features, rate, totals
//! meta/stats.json                              minimum, maximum, mean and deviation of each feature
//! meta/tasks.parquet                           task by number
//! meta/episodes/chunk-000/file-000.parquet     length and place of each episode
//! data/chunk-000/file-000.parquet              one row a control period
//! meta/armillary.json, meta/robot.ron          what LeRobot has no place for: its reader does not look here
//! meta/checksums.json                          SHA-256 of all other files
//! ```
//!
//! An export has LeRobot's own features (`observation.state`, `action` as goal positions, `next.reward`, `next.done`, the picture)
//! and beside them what they lose: the action in [-1, 1] as it was sent, the reward of the first frame, whether a command left.
//! Importing an export gives back the same training data, bit for bit.

pub mod checksums;
mod columns;
mod export;
mod footer;
mod import;
mod json;
mod layout;
mod stats;
mod video;

pub use export::{Exported, ExportedLog, export};
pub use import::{Dataset, Options};
