//! Integration tests over the whole loop, with the shipped model: determinism, replay, bad bundles, time alignment,
//! rollout parity, and an arm on a real pty in real time.

mod alignment;
mod background;
mod bad_bundle;
mod beliefs;
mod controls;
mod deadline;
mod determinism;
mod envelope;
mod executors;
mod guard;
mod live;
mod planning;
mod rollouts;
mod tune;

use std::path::{Path, PathBuf};

use controller::session::{PolicyChoice, Session};
use robot::config::Pipeline;

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// The shipped planar bundle.
fn bundle() -> PathBuf {
    root().join("models/reach-planar")
}

/// A session with the shipped robot file.
fn session(policy: PolicyChoice, pipeline: Pipeline) -> Session {
    Session::new(
        &root().join("configs/sim-planar.ron"),
        Some(&bundle()),
        policy,
        Some(pipeline),
    )
    .expect("the shipped bundle fits the shipped robot file")
}

/// Records one lockstep episode and returns its log.
fn record(session: &Session, dir: &Path, seed: u64, ticks: u32) -> PathBuf {
    let log = |seed: u64| dir.join(format!("{seed}.mcap"));
    std::fs::create_dir_all(dir).expect("a temporary folder can be made");
    session
        .run_simulated(&[seed], ticks, 1, &log, &|_| {})
        .expect("the episode runs");
    log(seed)
}
