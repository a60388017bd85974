//! `armillary trust`: what it learns from logs, and which logs it does not learn from.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().expect("this crate has a parent").to_owned()
}

fn armillary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_armillary"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the program starts")
}

fn succeeds(arguments: &[&str]) -> String {
    let output = armillary(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str]) -> String {
    let output = armillary(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    String::from_utf8(output.stderr).expect("text")
}

/// Logs of random motion in the simulator.
fn record(out: &str, episodes: &str, ticks: &str) {
    let robot = "configs/sim-planar.ron";
    succeeds(&[
        "record",
        "--robot",
        robot,
        "--policy",
        "random",
        "--episodes",
        episodes,
        "--ticks",
        ticks,
        "--out",
        out,
    ]);
}

#[test]
fn thresholds_are_learned_tried_on_other_logs_and_written_into_a_robot_file() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let runs = dir.path().join("runs").display().to_string();
    record(&runs, "22", "100");
    let robot = dir.path().join("robot.ron");
    let text = std::fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    std::fs::write(&robot, &text).expect("writes");
    let name = robot.display().to_string();

    // Without a model nothing is said of innovation.
    let said = succeeds(&["trust", &runs, "--robot", &name]);
    for part in [
        "learned from 1111 ticks of 11 logs, and tried on 1111 ticks of 11 others",
        "innovation: these logs say nothing of it",
        "95 % confidence",
        "kl_max_nats: 200.0, kl_ticks: 10, frozen_ticks: 10",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    assert_eq!(
        std::fs::read_to_string(&robot).expect("reads"),
        text,
        "nothing is written"
    );

    let arguments = [
        "trust",
        &runs,
        "--robot",
        &name,
        "--bundle",
        "models/reach-planar",
        "--write",
    ];
    let said = succeeds(&arguments);
    assert!(said.contains("error of predicted rewards"), "{said}");
    assert!(!said.contains("say nothing"), "{said}");
    let learned = robot::Config::load(&robot).expect("a sound robot file").trust;
    let line = said.lines().last().expect("a line");
    assert!(
        line.contains(&format!("kl_max_nats: {:?}", learned.kl_max_nats)),
        "{said}"
    );
    // The shipped robot file's 200 nats are typed; what is learned is below, and acts within five ticks.
    assert!((1.0..200.0).contains(&learned.kl_max_nats), "{said}");
    assert_eq!((learned.kl_ticks, learned.track_ticks), (4, 4), "{said}");
    assert!((0.02..0.4).contains(&learned.track_max_rad), "{said}");
    assert_eq!((learned.frozen_ticks, learned.tail_ticks), (10, 1));
    // Five pictures together are less surprising than five times what one may be.
    let sum = learned.kl_sum_nats.expect("it is learned, too");
    assert!((1.0..100.0).contains(&sum), "{said}");
    assert!(line.contains(&format!("kl_sum_nats: Some({sum:?})")), "{said}");
    // All else of the file is as it was.
    let written = std::fs::read_to_string(&robot).expect("reads");
    let without = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("trust: ("));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without(&written), without(&text));
}

#[test]
fn too_few_ticks_other_robots_and_runs_that_were_cut_off_teach_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let runs = dir.path().join("runs").display().to_string();
    record(&runs, "2", "30");
    let message = refused(&["trust", &runs]);
    for part in ["62 ticks", "each half needs 1000", "record more"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let message = refused(&["trust", &runs, "--robot", "configs/sim-arm.ron"]);
    for part in ["episode-000000.mcap", "robot `sim-planar`", "--robot"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    // What was cut off is left out, and then nothing is left.
    for number in 0..2 {
        let log = dir.path().join(format!("runs/episode-{number:06}.mcap"));
        let bytes = std::fs::read(&log).expect("reads");
        std::fs::write(&log, &bytes[..bytes.len() / 2]).expect("writes");
    }
    let message = refused(&["trust", &runs]);
    assert!(
        message.contains("is left out") && message.contains("no log of a run that went well"),
        "{message}"
    );
}
