//! A simulated arm in a process of its own, and `armillary run` beside it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigHandler, Signal, signal};

/// A simulated arm in a process of its own, in a temporary folder with its robot file, as `arm` and `camera`.
pub(crate) struct Sim {
    pub(crate) child: Child,
    pub(crate) dir: tempfile::TempDir,
}

impl Sim {
    /// Starts `program`, which is `armillary`, on the planar arm of the repository at `root`.
    pub(crate) fn start(program: &Path, root: &Path) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        // What is asserted must not depend on how busy the machine is: late pictures and a silent host stop nothing.
        let mut robot = fs::read_to_string(root.join("configs/sim-planar.ron")).expect("reads");
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
        let mut child = Command::new(program)
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

    /// `program`, with the arguments `before` in front, as `armillary run` beside it, without a model, for so many ticks; logs go to the
    /// folder `out`.
    pub(crate) fn run(&self, program: impl AsRef<Path>, before: &[&str], out: &str, ticks: &str) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .args(before)
            .args([
                "run",
                "--policy",
                "random",
                "--robot",
                "robot.ron",
                "--port",
                "arm",
            ])
            .args(["--frames", "camera", "--out", out, "--ticks", ticks])
            .current_dir(self.dir.path());
        with_usual_signals(&mut command);
        command
    }
}

/// Has signals do in `command` what they do in any program, even where the tests run in the background of a script, or behind `nohup`.
pub(crate) fn with_usual_signals(command: &mut Command) {
    // SAFETY: between fork and exec only `signal` is called, which is async-signal-safe.
    unsafe { command.pre_exec(usual_signals) };
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn usual_signals() -> std::io::Result<()> {
    for usual in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: no handler of ours is installed, only what the system does by itself.
        unsafe { signal(usual, SigHandler::SigDfl)? };
    }
    Ok(())
}
