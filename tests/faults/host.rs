//! A host that is killed, stopped, stopped and let go on, told twice to end, or whose terminal is closed, seen from the arm. In processes and in real time.

use std::process::Child;
use std::time::Duration;

use episode::{Reason, read_episode};
use firmware_bridge::FirmwareState;
use firmware_bridge::wire::StopReason;
use nix::sys::signal::Signal;
use robot::philox::Stream;

use crate::beside_far_end::{Bench, Robot, ended_with, found, send, trials};
use crate::process::end;
use crate::row::{Outcome, Scale};
use crate::virtual_arm::STEP_US;

/// Silence of the host after which the arm stops, in control periods: that of the shipped robot file.
const WATCHDOG_PERIODS: f32 = 2.5;
const WATCHDOG_US: u64 = 250_000;

/// Programs that run side by side.
const THREADS: u64 = 4;

/// How long is waited for what does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A busy machine may hold a host up for longer than its arm's watchdog waits. Then the arm is stopped before anything was tried.
const STARTS: u32 = 10;

/// What happens to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Killed,
    Stopped,
    GoesOn,
    ToldTwice,
}

/// What was measured of one trial.
struct Measured {
    /// From the last command until the arm stopped, by the arm's clock.
    stopped_us: u64,
    result: Result<(), String>,
}

fn row(scale: Scale, happens: Happens) -> Outcome {
    let mut outcome = Outcome::default();
    let mut worst_us = 0;
    for measured in trials(scale.trials_of(100, 20, 2), THREADS, |number| {
        trial(happens, number)
    }) {
        worst_us = worst_us.max(measured.stopped_us);
        outcome.tried(measured.result);
    }
    outcome.worst = format!(
        "the arm stopped {:.0} ms after the last command; its watchdog waits for {:.0} ms, and a firmware step is {:.0} ms",
        worst_us as f64 * 1e-3,
        WATCHDOG_US as f64 * 1e-3,
        STEP_US as f64 * 1e-3
    );
    outcome
}

/// SIGKILL.
pub(crate) fn killed(scale: Scale) -> Outcome {
    row(scale, Happens::Killed)
}

/// SIGSTOP, for good.
pub(crate) fn stopped(scale: Scale) -> Outcome {
    row(scale, Happens::Stopped)
}

/// SIGSTOP, and SIGCONT once the arm has stopped.
pub(crate) fn goes_on(scale: Scale) -> Outcome {
    row(scale, Happens::GoesOn)
}

/// SIGINT, and again at once.
pub(crate) fn told_twice(scale: Scale) -> Outcome {
    row(scale, Happens::ToldTwice)
}

/// Starts the program until it drives.
fn start(bench: &Bench) -> Result<Child, String> {
    let mut problem = String::new();
    for start in 0..STARTS {
        let before = bench.far.arrived().commands;
        let mut run = bench
            .command(&format!("logs-{start}"), 100_000)
            .spawn()
            .map_err(|error| error.to_string())?;
        match bench.driven(&mut run, before + 4) {
            Ok(()) => return Ok(run),
            Err(early) => problem = format!("{early}: {}", end(run).1),
        }
    }
    Err(problem)
}

fn trial(happens: Happens, number: u64) -> Measured {
    let bench = Bench::new(Robot {
        watchdog_periods: WATCHDOG_PERIODS,
        plans_for_long: false,
    });
    let mut stopped_us = 0;
    let result = start(&bench).and_then(|run| {
        let mut random = Stream::new(50 + number, 0x4057);
        // Any part of a period.
        std::thread::park_timeout(Duration::from_micros(random.below(100_000) as u64));
        let pause = Duration::from_millis(300 + random.below(500) as u64);
        let result = befalls(happens, &bench, &run, pause, &mut stopped_us);
        let _ = send(&run, Signal::SIGCONT);
        let ended = match (happens, &result) {
            (Happens::GoesOn, Ok(())) => ended_with(run, &[1], &["the guard stopped the arm"]).map(|_| ()),
            (Happens::ToldTwice, Ok(())) => ended_with(run, &[1, 130], &[]).map(|_| ()),
            _ => {
                // It was killed, or is of no use any more.
                let _ = send(&run, Signal::SIGKILL);
                let _ = end(run);
                Ok(())
            }
        };
        result?;
        ended?;
        // A deliberate act, once for all: a new run drives the arm.
        rests(&bench)?;
        if number > 0 {
            return Ok(());
        }
        let run = start(&bench)?;
        let _ = send(&run, Signal::SIGKILL);
        let _ = end(run);
        Ok(())
    });
    Measured { stopped_us, result }
}

/// Does it, and waits until the arm is at rest.
fn befalls(
    happens: Happens,
    bench: &Bench,
    run: &Child,
    pause: Duration,
    stopped_us: &mut u64,
) -> Result<(), String> {
    let arm = &bench.far.arm;
    match happens {
        Happens::Killed => send(run, Signal::SIGKILL)?,
        Happens::Stopped | Happens::GoesOn => send(run, Signal::SIGSTOP)?,
        Happens::ToldTwice => {
            send(run, Signal::SIGINT)?;
            // It may have ended by then.
            let _ = send(run, Signal::SIGINT);
        }
    }
    let at_us = found(PATIENCE, || arm.lock().stopped_us).ok_or("the arm goes on")?;
    *stopped_us = at_us.saturating_sub(bench.far.arrived().last_command_us);
    if *stopped_us > WATCHDOG_US + STEP_US {
        return Err(format!("the arm stopped after {stopped_us} us"));
    }
    let rests = || {
        let state = arm.lock();
        (state.firmware.state() == FirmwareState::Held).then(|| state.position_rad.clone())
    };
    let held_rad = found(PATIENCE, rests).ok_or("the arm does not come to rest")?;
    std::thread::park_timeout(pause);
    if happens == Happens::GoesOn {
        send(run, Signal::SIGCONT)?;
        std::thread::park_timeout(pause);
    }
    let state = arm.lock();
    match (state.firmware.state(), state.position_rad == held_rad) {
        (FirmwareState::Held, true) => Ok(()),
        (found, _) => Err(format!(
            "it moved by itself from {held_rad:?} to {:?}: {found:?}",
            state.position_rad
        )),
    }
}

/// Nothing moves while nobody does anything.
fn rests(bench: &Bench) -> Result<(), String> {
    let before = bench.far.arm.lock().position_rad.clone();
    std::thread::park_timeout(Duration::from_millis(100));
    let state = bench.far.arm.lock();
    match state.firmware.state() != FirmwareState::Active && state.position_rad == before {
        true => Ok(()),
        false => Err(format!("it moves by itself: {:?}", state.position_rad)),
    }
}

/// A terminal that is closed.
pub(crate) fn hung_up(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut worst_us = 0;
    for result in trials(scale.trials(100, 4), THREADS, |_| hang_up()) {
        outcome.tried(result.map(|stopped_us| worst_us = worst_us.max(stopped_us)));
    }
    outcome.worst = format!(
        "told to stop {:.0} ms after the last command at most, and at rest; log whole each time",
        worst_us as f64 * 1e-3
    );
    outcome
}

/// One of these. Returns how long after the last command the arm stopped, in microseconds.
fn hang_up() -> Result<u64, String> {
    let bench = Bench::new(Robot {
        // It is the host that stops the arm here.
        watchdog_periods: 100.0,
        plans_for_long: false,
    });
    let mut run = bench
        .command("logs", 100_000)
        .spawn()
        .map_err(|error| error.to_string())?;
    let told = bench
        .driven(&mut run, 4)
        .and_then(|()| send(&run, Signal::SIGHUP));
    if told.is_err() {
        // It is of no use any more.
        let _ = send(&run, Signal::SIGKILL);
    }
    let ended = ended_with(run, &[1], &["interrupted; the arm was stopped"]);
    told?;
    ended?;
    let arm = &bench.far.arm;
    let at_rest = || (arm.lock().firmware.state() == FirmwareState::Held).then_some(());
    found(PATIENCE, at_rest).ok_or("the arm does not come to rest")?;
    let why = arm.lock().firmware.telemetry().stop_reason;
    if why != StopReason::HostStop {
        return Err(format!("the arm was stopped by {why:?}"));
    }
    rests(&bench)?;
    let log =
        read_episode(&bench.path().join("logs/episode-000000.mcap")).map_err(|error| error.to_string())?;
    let last = log.ticks.last().map(|row| row.guard.reason);
    if !log.complete || last != Some(Reason::Operator) {
        return Err(format!("log complete: {}, its last row: {last:?}", log.complete));
    }
    let stopped_us = arm.lock().stopped_us.ok_or("the arm follows")?;
    Ok(stopped_us.saturating_sub(bench.far.arrived().last_command_us))
}
