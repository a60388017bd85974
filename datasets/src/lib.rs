//! Run logs from and to the data sets of others: LeRobot's ([`lerobot`]) and the `.npz` episodes of PlaNet and Dreamer
//! ([`npz`]). Training reads run logs alone; this crate is how other people's data becomes some.
//!
//! # Time
//! A LeRobot frame holds an observation and the action that was taken **at** it, as a row of a run log does. An `.npz` episode
//! of Dreamer or later PlaNet holds in row t the action that **caused** observation t, one of earlier PlaNet or of
//! the third Dreamer that which was taken at it; the shift is made in [`npz`], with a test.

mod error;
mod folder;
pub mod lerobot;
pub mod npz;
mod picture;
mod recording;
mod report;

pub use error::DatasetError;
pub use recording::{Imported, LastReward, Recording, Source, Step};
pub use report::{Finding, Report};
