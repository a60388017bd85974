//! The commands that serve an arm, stop it, and look for it on a port.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// The robot file of the quick arm.
fn robot() -> PathBuf {
    root().join("configs/sim-planar.ron")
}

/// Runs `armillary` in `dir` and returns what it said.
fn armillary(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Checks that a command fails, and says every one of `parts`.
fn refused(dir: &Path, arguments: &[&str], parts: &[&str]) {
    let output = armillary(dir, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
    }
}

/// `armillary sim` in a folder, as `arm` and `camera`.
struct Sim {
    child: Child,
}

impl Sim {
    /// Starts it, with SIGHUP ignored as `nohup` does, and waits until it can be opened. SIGINT is heard, even where these tests
    /// run in the background of a script, which ignores it.
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(["sim", "--serial", "arm", "--frames", "camera", "--robot"])
            .arg(robot())
            .current_dir(dir)
            .stdout(Stdio::piped());
        let signals = || {
            // SAFETY: no handler of ours is installed, only what the system does by itself.
            unsafe {
                signal(Signal::SIGHUP, SigHandler::SigIgn)?;
                signal(Signal::SIGINT, SigHandler::SigDfl)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only `signal` is called, which is async-signal-safe.
        let mut child = unsafe { command.pre_exec(signals) }.spawn().expect("it starts");
        let mut line = String::new();
        let said = child.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("a line");
        assert!(line.contains("serial port arm"), "{line}");
        Self { child }
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Where a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn sim_takes_its_names_with_it_and_nothing_else() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("arm.new"), "precious").expect("writes");
        let sim = Sim::start(dir.path());
        assert_eq!(names(dir.path()), ["arm", "arm.new", "camera"]);
        let status = fs::read_to_string(format!("/proc/{}/status", sim.child.id())).expect("Linux");
        let ignored = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .expect("a mask");
        assert_eq!(ignored & 1, 1, "SIGHUP goes on being ignored");
        assert_eq!(sim.end(signal), Some(0), "{signal}");
        assert_eq!(names(dir.path()), ["arm.new"], "{signal}");
        assert_eq!(
            fs::read_to_string(dir.path().join("arm.new")).expect("reads"),
            "precious"
        );
    }
}

/// An arm whose file would not be driven is stopped all the same.
#[test]
fn an_emergency_stop_goes_by_a_file_whose_units_are_in_doubt() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let text = fs::read_to_string(robot()).expect("robot file");
    let degrees = text.replacen("(-2.9, 2.9)", "(-166.0, 166.0)", 1);
    assert_ne!(degrees, text);
    fs::write(dir.path().join("degrees.ron"), degrees).expect("writes");
    let driven = [
        "record",
        "--robot",
        "degrees.ron",
        "--policy",
        "random",
        "--out",
        "logs",
    ];
    refused(dir.path(), &driven, &["degrees.ron", "write radians"]);
    assert!(!dir.path().join("logs").exists());

    let sim = Sim::start(dir.path());
    let stopped = armillary(dir.path(), &["e-stop", "--robot", "degrees.ron", "--port", "arm"]);
    let said = String::from_utf8_lossy(&stopped.stdout);
    assert!(
        stopped.status.success() && said.contains("latched"),
        "{stopped:?}"
    );
    assert_eq!(sim.end(Signal::SIGTERM), Some(0));
}

#[test]
fn ports_and_sockets_that_are_none_are_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("file"), "precious").expect("writes");
    let robot = robot().display().to_string();
    for command in ["e-stop", "run"] {
        let sim = Sim::start(dir.path());
        for (port, found) in [
            ("file", "is not a serial port but a file"),
            (".", "is not a serial port but a folder"),
            ("camera", "is not a serial port but a socket"),
            ("/dev/null", "is not a serial port but a device"),
        ] {
            let mut arguments = vec![command, "--robot", &robot, "--port", port];
            if command == "run" {
                arguments.extend(["--policy", "hold", "--frames", "camera", "--out", "logs"]);
            }
            refused(dir.path(), &arguments, &[port, found]);
        }
        assert_eq!(sim.end(Signal::SIGTERM), Some(0));
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("file")).expect("reads"),
        "precious"
    );
    let long = "c".repeat(114);
    let serve = ["sim", "--robot", &robot, "--serial", "arm", "--frames", &long];
    refused(dir.path(), &serve, &["114 bytes", "give a shorter path"]);
    let drive = [
        "run", "--robot", &robot, "--policy", "hold", "--port", "arm", "--out", "logs", "--frames", &long,
    ];
    // The arm is opened first.
    let sim = Sim::start(dir.path());
    refused(dir.path(), &drive, &["114 bytes", "give a shorter path"]);
    assert_eq!(sim.end(Signal::SIGTERM), Some(0));
}
