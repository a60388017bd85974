//! The emergency stop while something else is stuck: from the signal to the bytes at the far end of the line. In processes and in real time.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use armillary::e_stop::channel;
use controller::stall::Sentinel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use robot::config::Realtime;
use robot::{Clock, SystemClock};

use crate::beside_far_end::{Bench, Robot, ended_with, found, send, trials};
use crate::e_stop::realtime;
use crate::hold::{Held, hold, hold_at_file};
use crate::row::{Outcome, Scale};

/// From the signal to the bytes at the far end, at most.
const SENT_WITHIN_MS: f64 = 10.0;

/// Later than this it was muted by something.
const MUTED_MS: f64 = 100.0;

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
            Self::Arm | Self::Port | Self::CameraAtTheStart => 10,
            // That one computes for a whole second before it drives.
            Self::Planner => 2,
            _ => 4,
        }
    }

    /// From the signal to the bytes at the far end, at most, in milliseconds.
    fn within_ms(self) -> f64 {
        match self {
            // Where the thread may have no priority it waits for its turn.
            Self::Cpus => MUTED_MS,
            _ => SENT_WITHIN_MS,
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
    sent_ms: Option<f64>,
    off_ms: Option<f64>,
    /// Whether the machine stood still meanwhile.
    stalled: bool,
}

/// What was found of one kind.
struct Found {
    name: &'static str,
    outcome: Outcome,
    sent_ms: Vec<f64>,
    off_ms: Vec<f64>,
    over: usize,
}

/// How many trials each kind has.
fn count(scale: Scale) -> u64 {
    scale.trials_of(200, 20, 2)
}

/// Tells the machine's stalls from what is measured.
struct Watch {
    clock: SystemClock,
    sentinel: Sentinel,
}

/// Tries all kinds, and shows what was found of each as soon as it is known.
fn all(scale: Scale, mut show: impl FnMut(Stuck, Found)) {
    let clock = SystemClock::default();
    let wanted = Realtime {
        tick_priority: 90,
        ..realtime()
    };
    let sentinel = Sentinel::start(&clock, 2_000_000, &wanted).expect("threads");
    let watch = Watch { clock, sentinel };
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
            let results = trials(count(scale), stuck.threads(), |_| trial(*stuck, &watch));
            over.store(true, Ordering::Relaxed);
            summed(name, *stuck, results)
        });
        show(*stuck, found);
    }
}

fn summed(name: &'static str, stuck: Stuck, results: Vec<(Measured, Result<(), String>)>) -> Found {
    let mut found = Found {
        name,
        outcome: Outcome::default(),
        sent_ms: Vec::new(),
        off_ms: Vec::new(),
        over: 0,
    };
    for (measured, result) in results {
        found.sent_ms.extend(measured.sent_ms);
        found.off_ms.extend(measured.off_ms);
        found.over += usize::from(measured.sent_ms.is_some_and(|ms| ms > SENT_WITHIN_MS));
        let result = result.and_then(|()| match measured.sent_ms {
            // Somebody was waited for.
            Some(ms) if ms > stuck.within_ms() && !measured.stalled => {
                Err(format!("sent after {ms:.1} ms, and the machine did not stall"))
            }
            None if stuck.arrives() => Err("nothing was sent".to_owned()),
            _ => Ok(()),
        });
        found
            .outcome
            .tried(result.map_err(|problem| format!("{name}: {problem}")));
    }
    found.sent_ms.sort_by(f64::total_cmp);
    if middle(&found.sent_ms) > SENT_WITHIN_MS {
        let problem = format!(
            "{name}: sent after {:.1} ms in the middle",
            middle(&found.sent_ms)
        );
        found.outcome.tried(Err(problem));
    }
    found.off_ms.sort_by(f64::total_cmp);
    let firmware_ms = middle(&found.off_ms) - middle(&found.sent_ms);
    if firmware_ms > SENT_WITHIN_MS {
        let problem = format!("{name}: torque goes off {firmware_ms:.1} ms after the bytes in the middle");
        found.outcome.tried(Err(problem));
    }
    found
}

/// One program, one arm, one emergency stop.
fn trial(stuck: Stuck, watch: &Watch) -> (Measured, Result<(), String>) {
    let bench = Bench::new(Robot {
        watchdog_periods: 100.0,
        plans_for_long: stuck == Stuck::Planner,
    });
    let mut measured = Measured::default();
    let result = pressed(stuck, &bench, watch, &mut measured);
    (measured, result)
}

/// Makes it stuck, presses, measures, and lets it go on.
fn pressed(stuck: Stuck, bench: &Bench, watch: &Watch, measured: &mut Measured) -> Result<(), String> {
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
        let begun_ns = watch.clock.now_ns();
        let begun = Instant::now();
        ask(stuck, bench, &run)?;
        let ms = |at: Instant| 1e3 * at.saturating_duration_since(begun).as_secs_f64();
        if stuck.arrives() {
            let off = found(PATIENCE, || bench.far.arrived().off);
            measured.sent_ms = bench.far.arrived().e_stop.map(ms);
            measured.off_ms = off.map(ms);
            measured.stalled = watch.sentinel.stalled_since(begun_ns, watch.clock.now_ns());
        }
        // All of that came while it was stuck.
        drop(held);
        Ok(())
    });
    drop(kept);
    match result {
        Ok(()) => ended_with(run, &[1], stuck.words()),
        Err(problem) => {
            // It is of no use any more.
            let _ = run.kill();
            let (_, message) = crate::process::end(run);
            Err(format!("{problem}; {message}"))
        }
    }
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
        "at the far end after {:.2} ms at most ({}); {over} after more than {SENT_WITHIN_MS} ms; {} things stuck: `faults stuck`",
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
         | what was stuck | trials | failures | sent: median | worst | over {SENT_WITHIN_MS} ms | off: median | worst | the program said |\n\
         |---|---|---|---|---|---|---|---|---|"
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
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            found.name,
            found.outcome.trials,
            found.outcome.failures,
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
