//! `armillary sim --faults`: what goes wrong with a simulated arm because a scenario says so, and scenarios that are refused.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_armillary"));
    command.current_dir(dir);
    command
}

fn sim(dir: &Path, robot: &str, scenario: &str, more: &[&str]) -> Command {
    std::fs::write(dir.join("faults.ron"), scenario).expect("writes");
    let mut command = command(dir);
    command
        .arg("sim")
        .arg("--robot")
        .arg(root().join("configs").join(robot))
        .args(["--serial", "arm", "--frames", "camera", "--faults", "faults.ron"])
        .args(["--watch-parent"])
        .args(more);
    command
}

/// A simulated arm that serves, and what it prints.
struct Serving {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Serving {
    fn start(dir: &Path, robot: &str, scenario: &str) -> Self {
        let mut child = sim(dir, robot, scenario, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut serving = Self { child, lines };
        serving.until("frame socket");
        serving
    }

    /// Reads until it says `words`.
    fn until(&mut self, words: &str) {
        let said = self.lines.by_ref().map(|line| line.expect("text"));
        let mut all = Vec::new();
        for line in said {
            if line.contains(words) {
                return;
            }
            all.push(line);
        }
        panic!("it ended without `{words}`: {all:?}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the port is there soon, or is gone soon.
fn comes_to(port: &Path, there: bool) -> bool {
    let begun = Instant::now();
    while port.symlink_metadata().is_ok() != there {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}

#[test]
fn a_cable_is_pulled_and_plugged_in_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let port = dir.path().join("arm");
    let cut =
        |for_s: &str| format!("(begin: at_once, faults: [(at_s: 0.1, for_s: {for_s}, fault: line_cut)])");
    {
        let mut sim = Serving::start(dir.path(), "sim-planar.ron", &cut("10000.0"));
        sim.until("fault line_cut begins");
        assert!(comes_to(&port, false), "the port stays");
    }
    let mut sim = Serving::start(dir.path(), "sim-planar.ron", &cut("0.3"));
    sim.until("fault line_cut ends");
    assert!(comes_to(&port, true), "the port does not come back");
}

#[test]
fn servos_whose_answers_are_lost_confirm_no_emergency_stop() {
    for (fault, confirmed) in [
        ("camera_noise(levels: 1)", true),
        ("line_mute", false),
        ("servo_silent(joint: 3)", false),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let scenario = format!("(begin: at_once, faults: [(at_s: 0.0, for_s: 10000.0, fault: {fault})])");
        let mut sim = Serving::start(dir.path(), "so101.ron", &scenario);
        sim.until("begins");
        let asked = command(dir.path())
            .args(["e-stop", "--robot"])
            .arg(root().join("configs/so101.ron"))
            .args(["--port", "arm"])
            .output()
            .expect("the program starts");
        assert_eq!(asked.status.success(), confirmed, "{fault}: {asked:?}");
    }
}

#[test]
fn scenarios_that_cannot_be_played_are_refused_with_file_and_field() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let one = |fault: &str| format!("(faults: [(at_s: 0.0, for_s: 1.0, fault: {fault})])");
    for (robot, scenario, more, words) in [
        (
            "sim-planar.ron",
            one("servo_silent(joint: 0)"),
            vec![],
            "servo_silent",
        ),
        ("so101.ron", one("telemetry_frozen"), vec![], "telemetry_frozen"),
        ("so101.ron", one("servo_silent(joint: 6)"), vec![], "up to 5"),
        (
            "sim-planar.ron",
            one("line_cut"),
            vec!["--mode", "lockstep"],
            "--mode lockstep",
        ),
        ("sim-planar.ron", one("line_kut"), vec![], "line_kut"),
        (
            "sim-planar.ron",
            "(faults: [])".to_owned(),
            vec![],
            "nothing would go wrong",
        ),
    ] {
        let refused = sim(dir.path(), robot, &scenario, &more).output().expect("starts");
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{scenario}: {message}");
        assert!(message.contains(words), "{scenario}: {message}");
        let of_a_file = more.is_empty();
        assert!(!of_a_file || message.contains("faults.ron"), "{message}");
        assert!(!dir.path().join("arm").exists(), "nothing is served");
    }
}

#[test]
fn the_shipped_scenarios_can_be_played() {
    for (robot, scenario) in [
        ("sim-planar.ron", "one-by-one.ron"),
        ("sim-planar.ron", "random.ron"),
        ("so101.ron", "servos.ron"),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let text = std::fs::read_to_string(root().join("configs/faults").join(scenario)).expect("reads");
        Serving::start(dir.path(), robot, &text);
    }
}
