//! What the `armillary` command does beside driving: reports, pictures, benches, evaluation, learned thresholds, and the simulated arms that stand in for
//! one that is plugged in. The control loop is the crate `controller`.

// Everything goes through `console`, which makes nobody wait while an arm is driven.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod calibrate;
pub mod console;
pub mod doctor;
pub mod e_stop;
pub mod eval;
mod inputs;
pub mod jobs;
pub mod oracle;
pub mod picture;
pub mod recrop;
pub mod relabel;
pub mod report;
pub mod signals;
pub mod signature;
pub mod simulation;
pub mod trust;
pub mod tune;
