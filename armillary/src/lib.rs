//! What the `armillary` command does beside driving: reports, pictures, benches, evaluation, and the simulated arms that stand in for
//! one that is plugged in. The control loop is the crate `controller`.

pub mod bench;
pub mod doctor;
pub mod eval;
pub mod jobs;
pub mod oracle;
pub mod picture;
pub mod recrop;
pub mod report;
pub mod signature;
pub mod simulation;
pub mod tune;
