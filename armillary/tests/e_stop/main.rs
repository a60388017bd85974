//! The emergency stop of a program that drives an arm: by key, by signal, by another program, while other things are stuck.

#[path = "../beside/mod.rs"]
mod beside;
#[expect(dead_code, reason = "the fault table holds threads at files, too")]
#[path = "../../../tests/faults/hold.rs"]
mod hold;
mod opening;
mod parking;
mod second_channel;
#[path = "../stuck/mod.rs"]
mod stuck;

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use beside::Sim;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use robot::Config;
use robot::config::Realtime;
use stuck::stuck;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// That of the shipped planar arm.
fn realtime() -> Realtime {
    let path = root().join("configs/sim-planar.ron");
    Config::load(&path).expect("the shipped robot file").realtime
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not {what} within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start() -> Sim {
    Sim::start(Path::new(PROGRAM), &root())
}

fn send(to: &Child, signal: Signal) {
    kill(Pid::from_raw(to.id() as i32), signal).expect("it runs");
}

/// `armillary run` beside `sim`, once it drives. Its output goes to `stdout`.
fn drive(sim: &Sim, stdout: Stdio) -> Run {
    let log = sim.dir.path().join("logs/episode-000000.mcap");
    let child = sim
        .run(PROGRAM, &[], "logs", "100000")
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
fn armillary(sim: &Sim, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .current_dir(sim.dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Whether the emergency stop is latched: a run is refused then.
fn is_latched(sim: &Sim) -> bool {
    let output = sim.run(PROGRAM, &[], "after", "2").output().expect("runs");
    !output.status.success() && said(&output).contains("emergency stop")
}

/// A program that drives.
struct Run {
    child: Child,
}

impl Run {
    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
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
        let sim = start();
        let run = drive(&sim, Stdio::null());
        for key in keys {
            run.signal(*key);
        }
        let (code, message) = run.end();
        assert_eq!(code, Some(1), "{keys:?}: {message}");
        for part in ["emergency stop", "latched", "torque is off", "clear-e-stop"] {
            assert!(message.contains(part), "{keys:?}: no `{part}` in {message}");
        }
        assert!(is_latched(&sim), "{keys:?}");
    }
}

#[test]
fn a_closed_terminal_is_a_controlled_stop() {
    let sim = start();
    let run = drive(&sim, Stdio::null());
    run.signal(Signal::SIGHUP);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("interrupted; the arm was stopped"), "{message}");
    assert!(!is_latched(&sim));
}

#[test]
fn a_second_interrupt_ends_the_program() {
    let sim = start();
    let (_read, full) = stuck();
    let run = drive(&sim, full);
    run.signal(Signal::SIGSTOP);
    run.signal(Signal::SIGINT);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGCONT);
    let (code, message) = run.end();
    // It may have come to its orderly end before.
    assert!(matches!(code, Some(130 | 1)), "{code:?}: {message}");
}

/// The thread that drives does not come back, and the log is of no use to the person any more.
#[test]
fn two_interrupts_end_a_program_that_is_stuck_once_its_emergency_stop_is_confirmed() {
    let sim = start();
    let mut run = drive(&sim, Stdio::null());
    let held = hold::hold(run.child.id(), |name| name == "armillary").expect("it is held");
    run.signal(Signal::SIGQUIT);
    // Those that come before the arm has confirmed do nothing.
    until("over", || {
        run.signal(Signal::SIGINT);
        run.child.try_wait().expect("its state").is_some()
    });
    drop(held);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    for part in ["emergency stop: latched", "ended before its log was"] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    assert!(is_latched(&sim));
}

/// How many threads of `process` take signals that ask for a stop, and how many take none. There are no others.
fn threads_that_take_signals(process: u32) -> (u32, u32) {
    let (mut others, mut own) = (0, 0);
    for thread in fs::read_dir(format!("/proc/{process}/task")).expect("its threads") {
        let thread = thread.expect("a thread").path();
        // It may have ended.
        let Ok(status) = fs::read_to_string(thread.join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("Linux").trim().to_owned()
        };
        let blocked = u64::from_str_radix(&field("SigBlk:"), 16).expect("a mask");
        let stops = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
        let count = stops
            .into_iter()
            .filter(|signal| blocked >> (*signal as i32 - 1) & 1 == 1)
            .count();
        let name = field("Name:");
        if name == "e-stop" {
            own += 1;
            assert_eq!(count, 0, "{name}");
        } else {
            others += 1;
            assert_eq!(count, stops.len(), "{name}");
        }
    }
    (own, others)
}

/// The operating system hands a signal to any thread that takes it. One that waits for a disk that hangs would keep it for itself.
#[test]
fn only_the_emergency_stops_thread_takes_signals() {
    let sim = start();
    let run = drive(&sim, Stdio::null());
    // The system's list may lack threads while others end.
    until("seen", || {
        let (own, others) = threads_that_take_signals(run.child.id());
        own == 1 && others >= 3
    });
    run.signal(Signal::SIGQUIT);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("latched"), "{message}");
}

/// The arm is opened before the camera: the emergency stop has its way to it.
#[test]
fn a_camera_that_says_nothing_mutes_nothing() {
    let sim = start();
    let silent = sim.dir.path().join("silent");
    let camera = UnixListener::bind(&silent).expect("a socket");
    let child = Command::new(PROGRAM)
        .args([
            "run",
            "--policy",
            "random",
            "--robot",
            "robot.ron",
            "--port",
            "arm",
        ])
        .args(["--frames", "silent", "--out", "logs", "--ticks", "10"])
        .current_dir(sim.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let run = Run { child };
    // The camera is opened after the arm. It takes the connection, and says nothing.
    let (_connected, _) = camera.accept().expect("the program connects");
    run.signal(Signal::SIGQUIT);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("emergency stop: latched"), "{message}");
    assert!(is_latched(&sim));
}

#[test]
fn standard_output_that_nobody_reads_mutes_nothing() {
    let sim = start();
    let (_read, full) = stuck();
    let run = drive(&sim, full);
    run.signal(Signal::SIGQUIT);
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("latched"), "{message}");
    assert!(is_latched(&sim));
}

#[test]
fn standard_output_that_is_full_or_closed_changes_nothing() {
    for full in [true, false] {
        let sim = start();
        let stdout = if full {
            Stdio::from(fs::File::create("/dev/full").expect("Linux"))
        } else {
            let (read, write) = nix::unistd::pipe().expect("a pipe");
            drop(read);
            Stdio::from(write)
        };
        let output = sim
            .run(PROGRAM, &[], "logs", "3")
            .args(["--episodes", "2"])
            .stdout(stdout)
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(sim.dir.path().join("logs/report.html").exists());
    }
}

#[test]
fn another_program_reaches_the_one_that_drives() {
    let sim = start();
    let run = drive(&sim, Stdio::null());
    // By any name of the port, without a robot file.
    let real = fs::canonicalize(sim.dir.path().join("arm")).expect("the pty");
    let output = armillary(&sim, &["e-stop", "--port", &real.display().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("latched"), "{}", said(&output));
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("emergency stop: latched"), "{message}");
    assert!(is_latched(&sim));
}

#[test]
fn without_a_running_program_the_port_is_enough() {
    let sim = start();
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
        let output = armillary(&sim, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("latched"), "{}", said(&output));
        assert!(is_latched(&sim));
    }
    let output = armillary(&sim, &["e-stop", "--robot", "broken.ron"]);
    assert_eq!(output.status.code(), Some(1));
    for part in ["NOT confirmed", "cut the arm's power", "broken.ron", "--port"] {
        assert!(said(&output).contains(part), "no `{part}` in {}", said(&output));
    }
}

#[test]
fn an_arm_that_does_not_confirm_is_said_to_have_not_however_often_somebody_interrupts() {
    for interrupted in [false, true] {
        let sim = start();
        let run = drive(&sim, Stdio::null());
        // The key is there before the program can notice anything else.
        run.signal(Signal::SIGSTOP);
        send(&sim.child, Signal::SIGSTOP);
        run.signal(Signal::SIGQUIT);
        run.signal(Signal::SIGCONT);
        if interrupted {
            // While it is not known what became of the emergency stop, which takes seconds, none of these ends the program.
            let mut interrupts = 0;
            until("interrupted", || {
                run.signal(Signal::SIGINT);
                interrupts += 1;
                interrupts == 20
            });
        }
        let (code, message) = run.end();
        assert_eq!(code, Some(1), "{message}");
        for part in ["emergency stop NOT confirmed", "cut the arm's power"] {
            assert!(message.contains(part), "no `{part}` in {message}");
        }
        assert!(!message.contains("latched"), "{message}");
    }
}
