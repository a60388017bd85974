//! Integration tests over the whole loop, with the shipped model: determinism, replay, bad bundles, time alignment,
//! rollout parity, and an arm on a real pty in real time.

mod alignment;
mod background;
mod bad_bundle;
mod beliefs;
mod capture;
mod changes;
mod controls;
mod corpus;
mod deadline;
mod delay;
mod determinism;
mod envelope;
mod executors;
mod latency;
mod listening;
mod live;
mod log_lost;
mod park;
mod patient;
mod pauses;
mod pictures;
mod planning;
mod recrop;
mod relabel;
mod report;
mod rigs;
mod robot_files;
mod rollouts;
mod safety;
mod servos;
mod sides;
mod so101;
mod tapped;
mod tune;

use armillary::simulation::{self, Simulated as _};
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
    simulation::session(
        &root().join("configs/sim-planar.ron"),
        Some(&bundle()),
        policy,
        Some(pipeline),
    )
    .expect("the shipped bundle fits the shipped robot file")
}

/// The same with a robot file, in `dir`, that forgives the machine: what a test in real time asserts must not depend on how busy the
/// machine is. Pictures and plans that are late, periods without one and a silent host stop nothing, and a model whose periods were skipped
/// may be surprised.
fn patient_session(dir: &Path, policy: PolicyChoice, pipeline: Pipeline) -> Session {
    patient_session_of_side(dir, 64, policy, pipeline)
}

/// The same with pictures of `side` x `side` pixels.
fn patient_session_of_side(dir: &Path, side: usize, policy: PolicyChoice, pipeline: Pipeline) -> Session {
    let mut text =
        std::fs::read_to_string(root().join("configs/sim-planar.ron")).expect("the shipped robot file");
    let sized = format!("max_age_s: 10.0, gap_ticks: 100, side: {side}");
    for (from, to) in [
        ("max_age_s: 0.08, gap_ticks: 5", sized.as_str()),
        (
            "watchdog_periods: 2.5, torque_grace_s: 1.0",
            "watchdog_periods: 100.0, torque_grace_s: 20.0",
        ),
        ("kl_max_nats: 200.0", "tail_ticks: 100, kl_max_nats: 10000.0"),
    ] {
        assert!(text.contains(from), "the shipped robot file has `{from}`");
        text = text.replacen(from, to, 1);
    }
    let robot = dir.join("robot.ron");
    std::fs::write(&robot, text).expect("writes");
    simulation::session(&robot, Some(&bundle()), policy, Some(pipeline)).expect("they fit")
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
