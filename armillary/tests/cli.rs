//! What a person sees who gets something wrong: a message that names file, field and remedy, and a non-zero exit.

mod beside;
mod typed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use beside::Sim;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

fn armillary(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
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
            &["robot.ron", "simulator.task", "juggle", "reach-planar"][..],
        ),
        (
            "another arm's task",
            "\"reach-planar\"",
            "\"reach\"",
            &["robot.ron", "simulator.task", "reach has 3 joints"][..],
        ),
        (
            "no physics",
            "substeps: 5",
            "substeps: 0",
            &["simulator.substeps", "outside 1 to 1000"][..],
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
    let neither = [
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
        &[&neither[..], &["--frames", &path("camera")]].concat(),
        &["arm", "no such port", "plug the arm in"],
    );
    refused(
        &[
            "record", "--policy", "planner", "--robot", robot, "--out", &out, "--noise", "nan",
        ],
        &["--noise", "from 0 on"],
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
fn tuning_for_nothing_is_refused() {
    for (arguments, parts) in [
        (&["--period", "0ms"][..], &["--period 0", "50ms"][..]),
        (&["--period", "soon"], &["--period"]),
        (&["--situations", "0"], &["--situations 0"]),
        (&["--threads", "0"], &["--threads 0", "between 1 and 64"]),
        (&["--log", "nowhere.mcap"], &["nowhere.mcap"]),
        (&["--backend", "tensorflow"], &["tensorflow", "simd"]),
    ] {
        let fixed = [
            "bench",
            "tune",
            "--robot",
            "configs/sim-planar.ron",
            "--bundle",
            "models/reach-planar",
        ];
        refused(&[&fixed, arguments].concat(), parts);
    }
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
fn pictures_that_show_nothing_are_told_of_at_recording() {
    for (policy, told) in [("hold", true), ("random", false)] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let out = dir.path().display().to_string();
        let output = armillary(&[
            "record",
            "--policy",
            policy,
            "--robot",
            "configs/sim-planar.ron",
            "--ticks",
            "5",
            "--episodes",
            "2",
            "--out",
            &out,
        ]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
        let warned = said.contains("all pictures are the same in 2 of 2 episodes")
            && said.contains("episode-000000.mcap");
        assert_eq!(warned, told, "{policy}: {said}");
        assert_eq!(said.contains("WARN"), told, "{policy}: {said}");
    }
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
    assert!(armillary(&arguments).status.success());
    assert!(
        !dir.path().join("episode-000001-3.mcap").exists(),
        "what was recorded again is whole, and not recorded once more"
    );
    let again = dir.path().join("episode-000001-2.mcap");
    // Latencies differ from run to run; decisions do not.
    fs::write(&second, &bytes).expect("puts the whole log back");
    let decisions = |path: &Path| episode::decision_stream(path).expect("a whole log");
    assert!(
        decisions(&again) == decisions(&second),
        "the same seed gives the same decisions"
    );
    let planned = dir.path().join("planned").display().to_string();
    let arguments_of_planner = [
        "record",
        "--policy",
        "planner",
        "--noise",
        "0.1",
        "--bundle",
        "models/reach-planar",
        "--robot",
        "configs/sim-planar.ron",
        "--ticks",
        "1",
        "--out",
        &planned,
        "--json",
    ];
    for (recorded, there) in [(1, 0), (0, 1)] {
        let output = armillary(&arguments_of_planner);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&said["recorded"], &said["there"]),
            (&recorded.into(), &there.into()),
            "{said}"
        );
    }
    // What is there, is said; what is there of something else is not taken for it.
    let output = armillary(&[&arguments[..], &["--json"]].concat());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&said["recorded"], &said["there"]),
        (&0.into(), &2.into()),
        "{said}"
    );
    assert_eq!(said["periods"], 10);
    let mut other = arguments;
    other[2] = "hold";
    refused(&other, &["episode-000000.mcap", "policy `random`", "--out"]);
    other = arguments;
    other[4] = "configs/sim-arm.ron";
    refused(&other, &["episode-000000.mcap", "robot `sim-planar`", "--out"]);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets permissions");
}

#[test]
fn a_port_one_may_not_open_names_the_group_to_join() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let sim = Sim::start(Path::new(PROGRAM), &root());
    // Someone else is to come here.
    set_mode(sim.dir.path(), 0o777);
    set_mode(&sim.dir.path().join("arm"), 0o000);
    set_mode(&sim.dir.path().join("camera"), 0o777);
    // Nobody may come where the program was built.
    fs::copy(PROGRAM, sim.dir.path().join("armillary")).expect("copies the program");
    let mut command = sim.run("./armillary", &[], "logs", "5");
    // Permissions do not hold for root: be nobody.
    if fs::metadata("/proc/self").expect("procfs").uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = loop {
        match command.output() {
            // A test beside this one was starting a process while the copy was being written, and has it open still.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            result => break result.expect("runs"),
        }
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{message}");
    assert!(message.contains("permission denied"), "{message}");
    assert!(message.contains("dialout"), "{message}");
}

#[test]
fn a_log_that_can_no_longer_be_written_stops_the_arm_and_keeps_what_was_written() {
    let sim = Sim::start(Path::new(PROGRAM), &root());
    // A file of at most 16 KB stands for a disk that fills up within a few seconds of a run of hours.
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let output = sim
        .run("bash", &["-c", limited, PROGRAM], "logs", "100000")
        .output()
        .expect("runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{message}");
    for part in ["episode-000000.mcap", "cannot write the log", "free space"] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    let log = episode::read_episode(&sim.dir.path().join("logs/episode-000000.mcap")).expect("readable");
    assert!(!log.complete);
    assert!(!log.ticks.is_empty(), "whole ticks are kept");
}

#[test]
fn a_missing_port_and_a_pipeline_that_cannot_wait_are_refused() {
    let sim = Sim::start(Path::new(PROGRAM), &root());
    let missing = Command::new(PROGRAM)
        .args([
            "run",
            "--policy",
            "hold",
            "--robot",
            "robot.ron",
            "--frames",
            "camera",
        ])
        .args(["--out", "logs", "--port", "nowhere"])
        .current_dir(sim.dir.path())
        .output()
        .expect("runs");
    let message = String::from_utf8_lossy(&missing.stderr);
    assert!(!missing.status.success(), "{message}");
    assert!(message.contains("nowhere: no such port"), "{message}");
    let robot = fs::read_to_string(sim.dir.path().join("robot.ron")).expect("robot file");
    fs::write(
        sim.dir.path().join("robot.ron"),
        robot.replace("next_tick", "immediate"),
    )
    .expect("writes");
    let output = sim.run(PROGRAM, &[], "logs", "5").output().expect("runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{message}");
    assert!(message.contains("planner.pipeline"), "{message}");
    // Another clock than the arm's.
    fs::write(
        sim.dir.path().join("robot.ron"),
        robot.replace("period_s: 0.1", "period_s: 0.05"),
    )
    .expect("writes");
    let output = sim.run(PROGRAM, &[], "logs", "5").output().expect("runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{message}");
    assert!(
        message.contains("100 ms") && message.contains("period_s"),
        "{message}"
    );
}

#[test]
fn an_emergency_stop_holds_until_a_person_types_yes() {
    let sim = Sim::start(Path::new(PROGRAM), &root());
    let verb = |verb: &str, words: &str, at_a_terminal: bool| {
        let mut command = Command::new(PROGRAM);
        command
            .args([verb, "--robot", "robot.ron", "--port", "arm"])
            .current_dir(sim.dir.path());
        let output = if at_a_terminal {
            typed::typed(&mut command, words)
        } else {
            command.stdin(std::process::Stdio::null()).output().expect("runs")
        };
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let run = || {
        let output = sim.run(PROGRAM, &[], "logs", "5").output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    assert!(run().0);
    let (latched, said) = verb("e-stop", "", false);
    assert!(latched && said.contains("torque is off"), "{said}");
    let (drove, said) = run();
    assert!(
        !drove && said.contains("emergency stop") && said.contains("clear-e-stop"),
        "{said}"
    );
    // Nobody is there who could look at the arm.
    let (cleared, said) = verb("clear-e-stop", "", false);
    assert!(!cleared && said.contains("on a terminal"), "{said}");
    assert!(!run().0);
    let (cleared, said) = verb("clear-e-stop", "y\n", true);
    assert!(!cleared && said.contains("stays latched"), "{said}");
    assert!(!run().0);
    let (cleared, said) = verb("clear-e-stop", "yes\n", true);
    assert!(cleared && said.contains("torque stays off"), "{said}");
    let (drove, said) = run();
    assert!(drove, "{said}");
    assert!(sim.dir.path().join("logs/report.html").exists());
}
