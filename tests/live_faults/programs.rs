//! The two programs, in a folder of their own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use armillary::simulation::faults::Scenario;
use episode::TickRecord;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::compare::{Event, Log};

/// Where the programs are, and what they read.
pub(crate) struct Programs {
    armillary: PathBuf,
    bundle: PathBuf,
    folder: tempfile::TempDir,
}

impl Programs {
    /// Copies robot file and scenario, with the seed that was asked for, into a temporary folder.
    pub(crate) fn prepare(root: &Path, seed: u64) -> std::io::Result<Self> {
        let own = std::env::current_exe()?;
        let release = own.ancestors().nth(2).unwrap_or(Path::new("."));
        let folder = tempfile::tempdir()?;
        let read = |name: &str| fs::read_to_string(root.join("configs").join(name));
        fs::write(folder.path().join("robot.ron"), read("sim-planar.ron")?)?;
        let scenario = read("faults/random.ron")?.replace("seed: 1,", &format!("seed: {seed},"));
        fs::write(folder.path().join("faults.ron"), scenario)?;
        Ok(Self {
            armillary: release.join("armillary"),
            bundle: fs::canonicalize(root.join("models/reach-planar"))?,
            folder,
        })
    }

    /// Names of the faults in the scenario, which [`Programs::prepare`] has written.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let scenario = Scenario::load(&self.folder.path().join("faults.ron")).expect("a shipped scenario");
        scenario.faults().map(|fault| fault.name()).collect()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.armillary);
        command.arg(name).current_dir(self.folder.path());
        command
    }

    /// Starts the simulated arm.
    pub(crate) fn sim(&self) -> Sim {
        let mut child = self
            .command("sim")
            .args(["--robot", "robot.ron", "--serial", "arm", "--frames", "camera"])
            .args(["--faults", "faults.ron", "--watch-parent"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(first.contains("serial port"), "{first}");
        let listen = move || {
            let told = lines.map_while(Result::ok);
            told.filter_map(|line| Event::parse(&line)).collect()
        };
        let told = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(listen)
            .expect("a thread");
        Sim {
            child,
            told,
            memory_kb: Vec::new(),
        }
    }

    /// Starts the program that drives, with the shipped model.
    pub(crate) fn run(&self, number: usize) -> Run {
        let child = self
            .command("run")
            .arg("--bundle")
            .arg(&self.bundle)
            .args(["--robot", "robot.ron", "--port", "arm", "--frames", "camera"])
            .args(["--ticks", "1000000", "--out", &out(number)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Run { child }
    }

    /// The log of a run; `None` if it has not begun one.
    pub(crate) fn read_log(&self, number: usize) -> Option<Result<Log, String>> {
        let folder = self.folder.path().join(out(number));
        let path = folder.join("episode-000000.mcap");
        if !path.exists() {
            return None;
        }
        let log = episode::read_episode(&path)
            .map(|log| {
                let last_ns = log.ticks.last().map_or(0, |row| row.edge_ns);
                let before_s = |row: &TickRecord| (last_ns - row.edge_ns) as f64 * 1e-9;
                Log {
                    complete: log.complete,
                    ticks: log.ticks.len(),
                    last: log.ticks.last().map(|row| row.guard.reason),
                    joints: log
                        .ticks
                        .iter()
                        .map(|row| (before_s(row), row.capture.position_rad.clone()))
                        .collect(),
                    behind_rad: log
                        .ticks
                        .iter()
                        .map(|row| (before_s(row), behind_rad(row)))
                        .collect(),
                }
            })
            .map_err(|error| error.to_string());
        // Hours of logs would fill a disk.
        let _ = fs::remove_dir_all(&folder);
        Some(log)
    }
}

/// How far the arm was from where its firmware led it: the most of all joints.
fn behind_rad(row: &TickRecord) -> f32 {
    let pairs = row
        .capture
        .position_rad
        .iter()
        .zip(&row.capture.arm_set_point_rad);
    pairs.map(|(at, to)| (at - to).abs()).fold(0.0, f32::max)
}

fn out(number: usize) -> String {
    format!("run-{number}")
}

/// The simulated arm.
pub(crate) struct Sim {
    child: Child,
    told: JoinHandle<Vec<Event>>,
    pub(crate) memory_kb: Vec<u64>,
}

impl Sim {
    /// Looks how much memory it takes.
    pub(crate) fn look(&mut self) {
        self.memory_kb.extend(memory_kb(self.child.id()));
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it. What it has told.
    pub(crate) fn end(mut self) -> Vec<Event> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
        self.told.join().unwrap_or_default()
    }
}

/// The program that drives.
pub(crate) struct Run {
    child: Child,
}

impl Run {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn interrupt(&self) {
        // It may have ended by then.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
    }

    /// How it ended, and the last line that it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_string(&mut said);
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        let error = said.lines().rev().find(|line| line.starts_with("error"));
        (code, error.unwrap_or_default().to_owned())
    }
}

/// Memory that a process has in use now, in kB; `None` if it has ended.
pub(crate) fn memory_kb(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
