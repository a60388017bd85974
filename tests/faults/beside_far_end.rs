//! `armillary run` in a process of its own, with a [`FarEnd`] for its arm and a folder of pictures for its camera.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use robot::Config;
use robot::philox::Stream;

use crate::beside::with_usual_signals;
use crate::far_end::FarEnd;
use crate::looped::root;
use crate::process::{end, program, until};
use crate::virtual_arm::VirtualArm;

/// Pictures in the folder, and how long a side is.
const PICTURES: u32 = 8;
const SIDE: u32 = 64;

/// What the robot file says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Robot {
    /// Silence of the host after which the arm stops, in control periods.
    pub(crate) watchdog_periods: f32,
    /// Whether a plan takes far longer than a period.
    pub(crate) plans_for_long: bool,
}

/// A folder with a robot file and pictures, and an arm.
pub(crate) struct Bench {
    pub(crate) far: FarEnd,
    dir: tempfile::TempDir,
    robot: Robot,
}

impl Bench {
    pub(crate) fn new(robot: Robot) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pictures = dir.path().join("pictures");
        fs::create_dir(&pictures).expect("a folder");
        let mut random = Stream::new(40, 0x9C7);
        for number in 0..PICTURES {
            let picture = image::RgbImage::from_fn(SIDE, SIDE, |_, _| {
                image::Rgb([0; 3].map(|_: u8| random.next_u32() as u8))
            });
            picture
                .save(pictures.join(format!("{number}.png")))
                .expect("writes");
        }
        let path = dir.path().join("robot.ron");
        fs::write(&path, text(robot)).expect("writes");
        let config = Config::load(&path).expect("a sound robot file");
        let far = FarEnd::start(VirtualArm::of_robot(&config));
        far.link(&dir.path().join("arm"));
        Self { far, dir, robot }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program, which drives for so many ticks.
    pub(crate) fn command(&self, out: &str, ticks: u32) -> Command {
        let mut command = Command::new(program());
        command.args(["run", "--robot", "robot.ron", "--out", out]);
        command.args(["--ticks", &ticks.to_string()]);
        if self.robot.plans_for_long {
            command.arg("--bundle").arg(root().join("models/reach-planar"));
        } else {
            command.args(["--policy", "random"]);
        }
        command.current_dir(self.dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        with_usual_signals(&mut command);
        command
    }

    /// Waits until so many commands have arrived.
    pub(crate) fn driven(&self, run: &mut Child, commands: u64) -> Result<(), String> {
        until("driving", || match run.try_wait() {
            Ok(None) => Ok(self.far.arrived().commands >= commands),
            ended => Err(format!("it ended early: {ended:?}")),
        })
    }
}

/// The planar arm's robot file, with other devices. Pictures and plans that are late stop nothing: it is something else that is tried.
fn text(robot: Robot) -> String {
    let path = root().join("configs/sim-planar.ron");
    let mut text = fs::read_to_string(path).expect("the shipped robot file");
    let watchdog = format!("watchdog_periods: {:?}", robot.watchdog_periods);
    for (from, to) in [
        (
            "capture: (max_age_s: 0.08, gap_ticks: 5)",
            "arm: firmware(port: \"arm\"), camera: folder(path: \"pictures\", rate_hz: 50, repeat: true), \
             capture: (max_age_s: 10.0, gap_ticks: 100)",
        ),
        ("watchdog_periods: 2.5", watchdog.as_str()),
        (
            "torque_grace_s: 1.0, boot_s: 5.0",
            "torque_grace_s: 20.0, boot_s: 0.0",
        ),
        (
            "kl_ticks: 10, frozen_ticks: 10",
            "kl_ticks: 100, tail_ticks: 100, frozen_ticks: 100",
        ),
        ("    simulator: (task: \"reach-planar\", substeps: 5),\n", ""),
        (
            "candidates: 64",
            if robot.plans_for_long {
                "candidates: 8192"
            } else {
                "candidates: 64"
            },
        ),
    ] {
        assert!(text.contains(from), "the shipped robot file has `{from}`");
        text = text.replacen(from, to, 1);
    }
    text
}

/// Sends a signal to a program of ours.
pub(crate) fn send(run: &Child, signal: Signal) -> Result<(), String> {
    kill(Pid::from_raw(run.id() as i32), signal).map_err(|error| error.to_string())
}

/// What a program has said that has ended with one of `codes`, and with each of `words` in its messages.
pub(crate) fn ended_with(run: Child, codes: &[i32], words: &[&str]) -> Result<String, String> {
    let (code, message) = end(run);
    let said = words.iter().all(|word| message.contains(word));
    match code {
        Some(code) if codes.contains(&code) && said => Ok(message),
        code => Err(format!("ended with {code:?}, without {words:?}: {message}")),
    }
}

/// Waits until something has been found, for `patience` at most.
pub(crate) fn found<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() > patience {
            return found;
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
}

/// Does `trial` so often, on so many threads: most of the time of a trial is waiting.
pub(crate) fn trials<T: Send>(count: u64, threads: u64, trial: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let trial = &trial;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || (thread..count).step_by(threads as usize).map(trial).collect()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| -> Vec<T> { thread.join().expect("a trial does not panic") })
            .collect()
    })
}
