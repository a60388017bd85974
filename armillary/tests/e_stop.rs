//! The emergency stop of a program that drives an arm: by key, by signal, by another program, while other things are stuck.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// Signals do what they do in any program, even where these tests run in the background of a script, or behind `nohup`.
fn usual_signals() -> std::io::Result<()> {
    for usual in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: no handler of ours is installed, only what the system does by itself.
        unsafe { signal(usual, SigHandler::SigDfl)? };
    }
    Ok(())
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not {what} within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A simulated arm in a process of its own, whose clock nobody is held to.
struct Sim {
    child: Child,
    dir: tempfile::TempDir,
}

impl Sim {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut robot = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("reads");
        for (from, to) in [
            ("max_age_s: 0.08, gap_ticks: 5", "max_age_s: 10.0, gap_ticks: 100"),
            (
                "watchdog_periods: 2.5, torque_grace_s: 1.0",
                "watchdog_periods: 100.0, torque_grace_s: 20.0",
            ),
        ] {
            assert!(robot.contains(from), "the shipped robot file has `{from}`");
            robot = robot.replacen(from, to, 1);
        }
        fs::write(dir.path().join("robot.ron"), robot).expect("writes");
        let mut child = Command::new(PROGRAM)
            .args([
                "sim",
                "--robot",
                "robot.ron",
                "--serial",
                "arm",
                "--frames",
                "camera",
            ])
            .arg("--watch-parent")
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut line = String::new();
        let said = child.stdout.take().expect("piped");
        BufReader::new(said).read_line(&mut line).expect("a line");
        assert!(line.contains("serial port"), "{line}");
        Self { child, dir }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// `armillary run` beside it. Its output goes to `stdout`.
    fn run(&self, stdout: Stdio) -> Run {
        let log = self.dir.path().join("logs/episode-000000.mcap");
        let mut command = Command::new(PROGRAM);
        // SAFETY: between fork and exec only `signal` is called, which is async-signal-safe.
        let child = unsafe { command.pre_exec(usual_signals) }
            .args([
                "run",
                "--policy",
                "random",
                "--robot",
                "robot.ron",
                "--port",
                "arm",
            ])
            .args(["--frames", "camera", "--out", "logs", "--ticks", "100000"])
            .current_dir(self.dir.path())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut run = Run { child };
        until("driving", || {
            assert_eq!(run.child.try_wait().expect("its state"), None, "it ended early");
            fs::metadata(&log).is_ok_and(|meta| meta.len() > 0)
        });
        run
    }

    /// Another command beside them.
    fn armillary(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }

    /// Whether the emergency stop is latched: only then there is something to clear, and a run is refused.
    fn is_latched(&self) -> bool {
        let output = self.armillary(&[
            "run",
            "--policy",
            "hold",
            "--robot",
            "robot.ron",
            "--port",
            "arm",
            "--frames",
            "camera",
            "--out",
            "after",
            "--ticks",
            "2",
        ]);
        !output.status.success() && said(&output).contains("emergency stop")
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGCONT);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that drives.
struct Run {
    child: Child,
}

impl Run {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// How it ended, and its messages.
    fn end(mut self) -> (Option<i32>, String) {
        let mut message = String::new();
        let mut errors = self.child.stderr.take().expect("piped");
        errors.read_to_string(&mut message).expect("reads");
        (self.child.wait().expect("ends").code(), message)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Where a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A pipe that is full and that nobody reads, as a terminal after Ctrl-S.
fn stuck() -> (OwnedFd, Stdio) {
    let (read, write) = nix::unistd::pipe().expect("a pipe");
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("its flags");
    let mut filled = fs::File::from(write.try_clone().expect("a descriptor"));
    while filled.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&write, FcntlArg::F_SETFL(OFlag::empty())).expect("its flags");
    (read, Stdio::from(write))
}

#[test]
fn the_key_latches_the_arm_and_the_program_says_so_whatever_was_pressed_before_and_after() {
    for keys in [
        &[Signal::SIGQUIT][..],
        &[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGINT],
        &[
            Signal::SIGQUIT,
            Signal::SIGINT,
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
        ],
        &[Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGQUIT],
    ] {
        let sim = Sim::start();
        let run = sim.run(Stdio::null());
        for key in keys {
            run.signal(*key);
        }
        let (code, message) = run.end();
        assert_eq!(code, Some(1), "{keys:?}: {message}");
        for part in ["emergency stop", "latched", "torque is off", "clear-e-stop"] {
            assert!(message.contains(part), "{keys:?}: no `{part}` in {message}");
        }
        assert!(sim.is_latched(), "{keys:?}");
    }
}

#[test]
fn a_closed_terminal_is_a_controlled_stop() {
    let sim = Sim::start();
    let run = sim.run(Stdio::null());
    run.signal(Signal::SIGHUP);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("interrupted; the arm was stopped"), "{message}");
    assert!(!sim.is_latched());
}

#[test]
fn a_second_interrupt_ends_the_program() {
    let sim = Sim::start();
    let (_read, full) = stuck();
    let run = sim.run(full);
    run.signal(Signal::SIGSTOP);
    run.signal(Signal::SIGINT);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGCONT);
    let (code, message) = run.end();
    // It may have come to its orderly end before.
    assert!(matches!(code, Some(130 | 1)), "{code:?}: {message}");
}

#[test]
fn standard_output_that_nobody_reads_mutes_nothing() {
    let sim = Sim::start();
    let (_read, full) = stuck();
    let run = sim.run(full);
    run.signal(Signal::SIGQUIT);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("latched"), "{message}");
    assert!(sim.is_latched());
}

#[test]
fn standard_output_that_is_full_or_closed_changes_nothing() {
    for full in [true, false] {
        let sim = Sim::start();
        let stdout = if full {
            Stdio::from(fs::File::create("/dev/full").expect("Linux"))
        } else {
            let (read, write) = nix::unistd::pipe().expect("a pipe");
            drop(read);
            Stdio::from(write)
        };
        let output = Command::new(PROGRAM)
            .args([
                "run",
                "--policy",
                "random",
                "--robot",
                "robot.ron",
                "--port",
                "arm",
            ])
            .args([
                "--frames",
                "camera",
                "--out",
                "logs",
                "--ticks",
                "3",
                "--episodes",
                "2",
            ])
            .current_dir(sim.dir.path())
            .stdout(stdout)
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(sim.dir.path().join("logs/report.html").exists());
    }
}

#[test]
fn another_program_reaches_the_one_that_drives() {
    let sim = Sim::start();
    let run = sim.run(Stdio::null());
    // By any name of the port, without a robot file.
    let real = fs::canonicalize(sim.dir.path().join("arm")).expect("the pty");
    let output = sim.armillary(&["e-stop", "--port", &real.display().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("latched"), "{}", said(&output));
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("emergency stop: latched"), "{message}");
    assert!(sim.is_latched());
}

#[test]
fn without_a_running_program_the_port_is_enough() {
    let sim = Sim::start();
    fs::write(sim.dir.path().join("broken.ron"), "(name: ").expect("writes");
    for arguments in [
        &["e-stop", "--port", "arm"][..],
        &["e-stop", "--port", "arm", "--robot", "broken.ron"],
        &[
            "e-stop",
            "--port",
            "arm",
            "--robot",
            "missing.ron",
            "--baud",
            "115200",
        ],
    ] {
        let output = sim.armillary(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("latched"), "{}", said(&output));
        assert!(sim.is_latched());
    }
    let output = sim.armillary(&["e-stop", "--robot", "broken.ron"]);
    assert_eq!(output.status.code(), Some(1));
    for part in ["NOT confirmed", "cut the arm's power", "broken.ron", "--port"] {
        assert!(said(&output).contains(part), "no `{part}` in {}", said(&output));
    }
}

#[test]
fn an_arm_that_does_not_confirm_is_said_to_have_not() {
    let sim = Sim::start();
    let run = sim.run(Stdio::null());
    // The key is there before the program can notice anything else.
    run.signal(Signal::SIGSTOP);
    sim.signal(Signal::SIGSTOP);
    run.signal(Signal::SIGQUIT);
    run.signal(Signal::SIGCONT);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    for part in ["emergency stop NOT confirmed", "cut the arm's power"] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    assert!(!message.contains("latched"), "{message}");
}
