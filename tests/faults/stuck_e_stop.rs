//! The emergency stop while something else is stuck: from the signal to the bytes at the far end of the line. In processes and in real time.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use armillary::e_stop::channel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use realtime::Raised;

use crate::at_once::{AT_ONCE_MS, Machine, STALL_NS, Stalled, WAITED_MS, in_time};
use crate::beside_far_end::{Bench, Robot, ended_with, found, send, trials};
use crate::hold::{Held, hold, hold_at_file};
use crate::row::{Outcome, Scale};

/// How long is waited for what does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ticks of an episode that nobody waits for.
const LONG: u32 = 100_000;

/// Ticks of one whose end is awaited.
const SHORT: u32 = 5;

/// What is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stuck {
    Nothing,
    Output,
    LogCreation,
    LogWriter,
    Capture,
    CameraAtTheStart,
    Report,
    Planner,
    MainThread,
    AllThreads,
    Cpus,
    Keys,
    Channel,
    Arm,
    Port,
}

/// Each, as the table calls it.
const KINDS: &[(Stuck, &str)] = &[
    (Stuck::Nothing, "nothing"),
    (Stuck::Output, "standard output: nobody reads it"),
    (Stuck::LogCreation, "the disk, while the log is created"),
    (Stuck::LogWriter, "the disk, while the log is written"),
    (Stuck::Capture, "the camera, in the middle of an episode"),
    (Stuck::CameraAtTheStart, "the camera: it accepts and says nothing"),
    (Stuck::Report, "the disk, while the report is written"),
    (Stuck::Planner, "the planner: it overruns each deadline"),
    (Stuck::MainThread, "the thread that drives, anywhere"),
    (Stuck::AllThreads, "every other thread of the program"),
    (Stuck::Cpus, "all CPUs: twice as many threads spin"),
    (Stuck::Keys, "nothing; Ctrl-C, Ctrl-\\ and Ctrl-C at once"),
    (Stuck::Channel, "the thread that drives; asked by another program"),
    (Stuck::Arm, "the arm: what it says is lost"),
    (Stuck::Port, "the port: full, and nobody reads it"),
];

impl Stuck {
    /// What the program must say, and so end with an error.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Arm | Self::Port => &["emergency stop NOT confirmed", "cut the arm's power"],
            _ => &["emergency stop: latched"],
        }
    }

    /// Programs that run side by side.
    fn threads(self) -> u64 {
        match self {
            // Those wait for seconds.
            Self::Arm | Self::Port => 10,
            // These compute while others are pressed: for a whole second before they drive, or until they wait for the camera.
            Self::Planner | Self::CameraAtTheStart => 2,
            _ => 4,
        }
    }

    /// Whether the bytes can arrive.
    fn arrives(self) -> bool {
        self != Self::Port
    }
}

/// What was measured of one trial, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    /// From the moment in which the program heard of it until it had given the bytes to the port, as it says itself.
    given_ms: Option<f64>,
    sent_ms: Option<f64>,
    off_ms: Option<f64>,
    /// Who was kept waiting meanwhile.
    stalled: Stalled,
}

impl Measured {
    /// Whether it was fast enough.
    ///
    /// The operating system takes the bytes from one end of a pseudo-terminal to the other in a thread without a priority: what keeps such a
    /// thread waiting is an excuse for up to [`WAITED_MS`], and so is a program that had given them to the port in time by its own clock. It has
    /// heard of the press within a stall's length, since no thread with a priority was kept waiting for longer. With twice as many threads as CPUs it waits nearly always, as it does where the
    /// emergency stop's thread may not be raised: then a trial alone is judged by that, and the middle of all by [`AT_ONCE_MS`].
    fn judged(&self, stuck: Stuck, may_raise: bool) -> Result<(), String> {
        let Self {
            given_ms,
            sent_ms: Some(sent_ms),
            off_ms: Some(off_ms),
            stalled,
        } = *self
        else {
            return match stuck.arrives() {
                true => Err(format!(
                    "sent after {:?} ms, off after {:?}",
                    self.sent_ms, self.off_ms
                )),
                false => Ok(()),
            };
        };
        let strictly = may_raise && stuck != Stuck::Cpus;
        let heard_ms = STALL_NS as f64 * 1e-6;
        let was_given = given_ms.is_some_and(|given_ms| heard_ms + given_ms <= AT_ONCE_MS);
        for (what, ms, excused) in [
            ("sent", sent_ms, was_given),
            ("torque off, once it was sent,", off_ms - sent_ms, false),
        ] {
            in_time(what, ms, WAITED_MS, stalled.machine)?;
            if strictly {
                in_time(what, ms, AT_ONCE_MS, stalled.others || excused)?;
            }
        }
        match given_ms {
            Some(given_ms) if may_raise => {
                in_time("given to the port", given_ms, AT_ONCE_MS, stalled.machine)
            }
            _ => Ok(()),
        }
    }
}

/// What was found of one kind.
struct Found {
    name: &'static str,
    outcome: Outcome,
    given_ms: Vec<f64>,
    sent_ms: Vec<f64>,
    off_ms: Vec<f64>,
    over: usize,
}

/// How many trials each kind has.
fn count(scale: Scale) -> u64 {
    scale.trials_of(200, 20, 2)
}

/// Tries all kinds, and shows what was found of each as soon as it is known.
fn all(scale: Scale, mut show: impl FnMut(Stuck, Found)) {
    let machine = Machine::new(STALL_NS);
    for (stuck, name) in KINDS {
        let over = AtomicBool::new(*stuck != Stuck::Cpus);
        let found = std::thread::scope(|scope| {
            for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let results = trials(count(scale), stuck.threads(), |_| trial(*stuck, &machine));
            over.store(true, Ordering::Relaxed);
            summed(name, *stuck, machine.may_raise(), results)
        });
        show(*stuck, found);
    }
}

fn summed(
    name: &'static str,
    stuck: Stuck,
    may_raise: bool,
    results: Vec<(Measured, Result<(), String>)>,
) -> Found {
    let mut found = Found {
        name,
        outcome: Outcome::default(),
        given_ms: Vec::new(),
        sent_ms: Vec::new(),
        off_ms: Vec::new(),
        over: 0,
    };
    for (measured, result) in results {
        found.given_ms.extend(measured.given_ms);
        found.sent_ms.extend(measured.sent_ms);
        found.off_ms.extend(measured.off_ms);
        found.over += usize::from(measured.sent_ms.is_some_and(|ms| ms > AT_ONCE_MS));
        let result = result.and_then(|()| measured.judged(stuck, may_raise));
        found
            .outcome
            .tried(result.map_err(|problem| format!("{name}: {problem}")));
    }
    found.given_ms.sort_by(f64::total_cmp);
    found.sent_ms.sort_by(f64::total_cmp);
    if stuck.arrives() {
        let middle = in_time("sent, in the middle,", middle(&found.sent_ms), AT_ONCE_MS, false);
        found
            .outcome
            .tried(middle.map_err(|problem| format!("{name}: {problem}")));
    }
    found.off_ms.sort_by(f64::total_cmp);
    found
}

/// One program, one arm, one emergency stop.
fn trial(stuck: Stuck, machine: &Machine) -> (Measured, Result<(), String>) {
    let bench = Bench::new(Robot {
        watchdog_periods: 100.0,
        plans_for_long: stuck == Stuck::Planner,
    });
    let mut measured = Measured::default();
    let result = pressed(stuck, &bench, machine, &mut measured);
    (measured, result)
}

/// Makes it stuck, presses, measures, and lets it go on.
fn pressed(stuck: Stuck, bench: &Bench, machine: &Machine, measured: &mut Measured) -> Result<(), String> {
    let ticks = if stuck == Stuck::Report { SHORT } else { LONG };
    let mut command = bench.command("logs", ticks);
    let mut kept = None;
    if stuck == Stuck::Output {
        let (read, full) = crate::stuck::stuck();
        kept = Some(read);
        command.stdout(full);
    }
    let silent = bench.path().join("silent");
    let camera = (stuck == Stuck::CameraAtTheStart).then(|| {
        command.arg("--frames").arg(&silent);
        UnixListener::bind(&silent).expect("a socket")
    });
    if stuck == Stuck::LogCreation {
        // The arm does not answer before the program is watched.
        bench.far.set_deaf(true);
    }
    let mut run = command.spawn().map_err(|error| error.to_string())?;
    let held = make_stuck(stuck, bench, camera.as_ref(), &mut run);
    let result = held.and_then(|held| {
        let begun_ns = machine.now_ns();
        let raised = Raised::new(("faults", machine.presser()), ("faults", &[]));
        let begun = Instant::now();
        ask(stuck, bench, &run)?;
        let ms = |at: Instant| 1e3 * at.saturating_duration_since(begun).as_secs_f64();
        if stuck.arrives() {
            let off = found(PATIENCE, || bench.far.arrived().off);
            measured.sent_ms = bench.far.arrived().e_stop.map(ms);
            measured.off_ms = off.map(ms);
            measured.stalled = machine.stalled_since(begun_ns);
        }
        drop(raised);
        // All of that came while it was stuck.
        drop(held);
        Ok(())
    });
    drop(kept);
    match result {
        Ok(()) => {
            let said = ended_with(run, &[1], stuck.words())?;
            measured.given_ms = said_ms(&said);
            Ok(())
        }
        Err(problem) => {
            // It is of no use any more.
            let _ = run.kill();
            let (_, message) = crate::process::end(run);
            Err(format!("{problem}; {message}"))
        }
    }
}

/// How long the program says that it took until it had given the bytes to the port.
fn said_ms(said: &str) -> Option<f64> {
    let (_, after) = said.split_once("(sent after ")?;
    let (ms, _) = after.split_once(" ms")?;
    ms.parse().ok()
}

/// Waits until the moment has come, and makes it stuck.
fn make_stuck(
    stuck: Stuck,
    bench: &Bench,
    camera: Option<&UnixListener>,
    run: &mut Child,
) -> Result<Held, String> {
    let process = run.id();
    match (stuck, camera) {
        (Stuck::LogCreation, _) => {
            return hold_at_file(process, "episode-000000.mcap", || bench.far.set_deaf(false));
        }
        (_, Some(camera)) => {
            // The camera is opened after the arm.
            return match found(PATIENCE, || is_connected(camera).then_some(())) {
                Some(()) => Ok(Held::default()),
                None => Err("the camera was not opened".to_owned()),
            };
        }
        _ => bench.driven(run, 2)?,
    }
    match stuck {
        Stuck::LogWriter => hold(process, |name| name == "record"),
        Stuck::Capture => hold(process, |name| name == "capture"),
        Stuck::Report => hold_at_file(process, "report.html", || {}),
        Stuck::MainThread | Stuck::Channel => hold(process, |name| name == "armillary"),
        Stuck::AllThreads => hold(process, |name| name != "e-stop"),
        Stuck::Arm => {
            bench.far.set_mute(true);
            Ok(Held::default())
        }
        Stuck::Port => {
            bench.far.set_deaf(true);
            bench.far.fill();
            Ok(Held::default())
        }
        _ => Ok(Held::default()),
    }
}

/// Whether somebody has connected, and is not answered.
fn is_connected(listener: &UnixListener) -> bool {
    let mut listens = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut listens, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Asks for the emergency stop, and waits for nothing.
fn ask(stuck: Stuck, bench: &Bench, run: &Child) -> Result<(), String> {
    match stuck {
        Stuck::Channel => {
            let answer = channel::ask(&bench.far.port, PATIENCE, || {}).map_err(|error| error.to_string())?;
            match answer {
                Some(answer) if answer.starts_with(channel::CONFIRMED) => Ok(()),
                other => Err(format!("the program answered {other:?}")),
            }
        }
        Stuck::Keys => {
            send(run, Signal::SIGINT)?;
            send(run, Signal::SIGQUIT)?;
            // It may have ended by then.
            let _ = send(run, Signal::SIGINT);
            Ok(())
        }
        _ => send(run, Signal::SIGQUIT),
    }
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn most(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or(f64::NAN)
}

/// All kinds as one row.
pub(crate) fn each(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut worst, mut over) = ((0.0, ""), 0);
    all(scale, |_, found| {
        over += found.over;
        if most(&found.sent_ms) > worst.0 {
            worst = (most(&found.sent_ms), found.name);
        }
        outcome.trials += found.outcome.trials;
        outcome.failures += found.outcome.failures;
        outcome.examples.extend(found.outcome.examples);
    });
    outcome.worst = format!(
        "at the far end after {:.2} ms at most ({}); {over} after more than {AT_ONCE_MS} ms; {} things stuck: `faults stuck`",
        worst.0,
        worst.1,
        KINDS.len()
    );
    outcome
}

/// The table of timings by what was stuck; whether none failed.
pub(crate) fn table(scale: Scale) -> bool {
    println!(
        "From the signal to the bytes at the far end of the line, and until torque is off there, in milliseconds.\n\n\
         | what was stuck | trials | failures | given to the port, as the program says: worst | at the far end: median | worst | over {AT_ONCE_MS} ms | off: median | worst | the program said |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    );
    let mut sound = true;
    all(scale, |stuck, found| {
        let number = |ms: f64| {
            if ms.is_nan() {
                "-".to_owned()
            } else {
                format!("{ms:.2}")
            }
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            found.name,
            found.outcome.trials,
            found.outcome.failures,
            number(most(&found.given_ms)),
            number(middle(&found.sent_ms)),
            number(most(&found.sent_ms)),
            found.over,
            number(middle(&found.off_ms)),
            number(most(&found.off_ms)),
            if matches!(stuck, Stuck::Arm | Stuck::Port) {
                "NOT confirmed"
            } else {
                "latched"
            },
        );
        for failure in &found.outcome.examples {
            println!("  {failure}");
        }
        sound &= found.outcome.failures == 0;
    });
    sound
}
