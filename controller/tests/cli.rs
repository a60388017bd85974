//! What a person sees who gets something wrong: a message that names file, field and remedy, and a non-zero exit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

fn armillary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_armillary"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the program starts")
}

/// Runs, expects failure, and checks that the message holds every one of `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = armillary(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn robot_files_are_refused_with_line_or_field() {
    let text = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    let dir = tempfile::tempdir().expect("temporary folder");
    for (name, from, to, parts) in [
        ("unknown field", "tip_m:", "tipp_m:", &["tipp_m", ":14:5"][..]),
        (
            "mistyped value",
            "period_s: 0.1",
            "period_s: \"fast\"",
            &[":4:", "Expected float"][..],
        ),
        (
            "limits upside down",
            "(-2.9, 2.9)",
            "(2.9, -2.9)",
            &["joints[0].position_rad", "lower"][..],
        ),
        (
            "home outside",
            "home_rad: 0.8",
            "home_rad: 9.0",
            &["joints[1].home_rad"][..],
        ),
        (
            "twice the same joint",
            "\"elbow\"",
            "\"shoulder\"",
            &["joints[1].name", "twice"][..],
        ),
        (
            "more elites than candidates",
            "elites: 6",
            "elites: 600",
            &["planner.elites", "600 elites of 64"][..],
        ),
        (
            "no budget",
            "iterations: 4",
            "iterations: 0",
            &["planner.iterations"][..],
        ),
        (
            "negative period",
            "period_s: 0.1",
            "period_s: -0.1",
            &["period_s"][..],
        ),
        (
            "a box around nothing",
            "min: (-1.0, -1.0, 0.0)",
            "min: (3.0, -1.0, 0.0)",
            &["workspace_m"][..],
        ),
        (
            "unknown task",
            "\"reach-planar\"",
            "\"juggle\"",
            &["juggle", "reach-planar"][..],
        ),
    ] {
        assert!(text.contains(from), "{name}: the shipped file holds {from}");
        let path = dir.path().join("robot.ron");
        fs::write(&path, text.replacen(from, to, 1)).expect("writes");
        let robot = path.display().to_string();
        let out = dir.path().join("logs").display().to_string();
        let arguments = [
            "record", "--policy", "random", "--robot", &robot, "--out", &out, "--ticks", "1",
        ];
        refused(&arguments, parts);
    }
    refused(
        &[
            "record",
            "--policy",
            "random",
            "--robot",
            "nowhere.ron",
            "--out",
            "x",
        ],
        &["nowhere.ron", "cannot read"],
    );
}

#[test]
fn missing_model_port_and_socket_say_what_to_do() {
    let robot = "configs/sim-planar.ron";
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let out = path("logs");
    refused(
        &["record", "--policy", "planner", "--robot", robot, "--out", &out],
        &["--bundle"],
    );
    refused(
        &[
            "record",
            "--policy",
            "planner",
            "--robot",
            robot,
            "--out",
            &out,
            "--bundle",
            &path("no-bundle"),
        ],
        &["manifest.ron", "cannot read", "--bundle"],
    );
    let no_camera = [
        "run",
        "--policy",
        "hold",
        "--robot",
        robot,
        "--out",
        &out,
        "--port",
        &path("arm"),
    ];
    refused(
        &[&no_camera[..], &["--frames", &path("camera")]].concat(),
        &["camera"],
    );
    // Reserved seeds cannot slip into training data.
    refused(
        &[
            "record",
            "--policy",
            "random",
            "--robot",
            robot,
            "--out",
            &out,
            "--seed",
            "1099511627776",
        ],
        &["evaluation"],
    );
}

#[test]
fn logs_that_are_none_are_refused_by_replay() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("noise.mcap");
    fs::write(&path, b"this is no log").expect("writes");
    refused(&["replay", &path.display().to_string()], &["noise.mcap"]);
    refused(
        &["replay", &dir.path().join("gone.mcap").display().to_string()],
        &["gone.mcap"],
    );
}

#[test]
fn recording_again_keeps_whole_logs_and_cut_ones() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = dir.path().display().to_string();
    let arguments = [
        "record",
        "--policy",
        "random",
        "--robot",
        "configs/sim-planar.ron",
        "--ticks",
        "5",
        "--episodes",
        "2",
        "--out",
        &out,
    ];
    assert!(armillary(&arguments).status.success());
    let (first, second) = (
        dir.path().join("episode-000000.mcap"),
        dir.path().join("episode-000001.mcap"),
    );
    let whole = fs::read(&first).expect("log");
    let bytes = fs::read(&second).expect("log");
    fs::write(&second, &bytes[..bytes.len() / 2]).expect("cuts");
    assert!(armillary(&arguments).status.success());
    assert_eq!(
        fs::read(&first).expect("log"),
        whole,
        "a whole log is not recorded again"
    );
    assert_eq!(
        fs::read(&second).expect("log").len(),
        bytes.len() / 2,
        "a cut log is kept"
    );
    let again = dir.path().join("episode-000001-2.mcap");
    // Latencies differ from run to run; decisions do not.
    fs::write(&second, &bytes).expect("puts the whole log back");
    let decisions = |path: &Path| episode::decision_stream(path).expect("a whole log");
    assert!(
        decisions(&again) == decisions(&second),
        "the same seed gives the same decisions"
    );
}
