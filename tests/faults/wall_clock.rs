//! A wall clock that jumps by years: the program itself, in processes that see such a clock.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use controller::stall::Sentinel;
use episode::{Episode, RecordRow};
use robot::{Clock, SystemClock};

use crate::beside::Sim;
use crate::process::program;
use crate::row::{Outcome, Scale};
use crate::side_by_side::{cpus, side_by_side};

/// How often a run is made in which the machine stood still for so long: that costs a tick or the whole run.
const ATTEMPTS: u32 = 5;
const STALL_NS: u64 = 50_000_000;

/// Nine years, in nanoseconds. The clock's jumps are longer.
const NINE_YEARS_NS: u64 = 9 * 31_557_600 * 1_000_000_000;

/// The library with the clock, beside this program.
fn clock() -> PathBuf {
    let own = std::env::current_exe().expect("its own path");
    own.with_file_name("libshifted_clock.so")
}

/// `command` with a wall clock whose jumps are drawn from `seed`, and which counts its readings in the file `readings`.
fn shifted<'a>(command: &'a mut Command, seed: u64, readings: &Path) -> &'a mut Command {
    let clock = clock();
    assert!(
        clock.is_file(),
        "{}: `cargo xtask faults` builds it",
        clock.display()
    );
    command
        .env("LD_PRELOAD", clock)
        .env("ARMILLARY_CLOCK_SEED", seed.to_string())
        .env("ARMILLARY_CLOCK_READINGS", readings)
}

fn readings(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Records an episode that the shipped model plans. Returns its log.
fn record(dir: &Path, out: &str, shift: Option<(u64, &Path)>) -> Result<PathBuf, String> {
    let mut command = Command::new(program());
    command
        .args([
            "record",
            "--robot",
            "configs/sim-planar.ron",
            "--bundle",
            "models/reach-planar",
        ])
        .args([
            "--policy",
            "planner",
            "--episodes",
            "1",
            "--ticks",
            "6",
            "--jobs",
            "1",
            "--out",
        ])
        .arg(dir.join(out))
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some((seed, readings)) = shift {
        shifted(&mut command, seed, readings);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(dir.join(out).join("episode-000000.mcap"))
}

/// A log without what clocks measured: all of it but the times that stages took.
fn without_times(log: &Path) -> Result<Episode, String> {
    let mut episode = episode::read_episode(log).map_err(|error| error.to_string())?;
    episode.path = PathBuf::new();
    for row in &mut episode.ticks {
        row.record = RecordRow::default();
    }
    Ok(episode)
}

/// A world that waits: the same decisions and rows, byte for byte.
pub(crate) fn lockstep(scale: Scale) -> Outcome {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let log = record(dir.path(), "as-it-is", None).expect("an episode is recorded");
    let expected = without_times(&log).expect("a log");
    let decisions = episode::decision_stream(&log).expect("decisions");
    let results = side_by_side(cpus(), scale.trials(100, 4), |trial| {
        let counted = dir.path().join(format!("readings-{trial}"));
        let log = record(dir.path(), &format!("shifted-{trial}"), Some((trial, &counted)))?;
        if episode::decision_stream(&log).map_err(|error| error.to_string())? != decisions {
            return Err("other decisions".to_owned());
        }
        if without_times(&log)? != expected {
            return Err("another log".to_owned());
        }
        Ok(readings(&counted))
    });
    counted(results)
}

/// An arm in real time: the episode runs to its end, its edges lie on one grid, it replays, and nothing but the time at which it began is
/// another.
pub(crate) fn live(scale: Scale) -> Outcome {
    let trials = scale.trials(100, 4);
    let at_a_time = 10.min(trials);
    let clock = SystemClock::default();
    let sentinel = Sentinel::start(&clock, STALL_NS, &crate::at_once::realtime()).expect("threads");
    let results = side_by_side(at_a_time as usize, at_a_time, |thread| {
        let sim = Sim::start(&program(), &root());
        (0..trials / at_a_time)
            .map(|trial| {
                let seed = thread * 1_000 + trial;
                let mut made = 0;
                loop {
                    made += 1;
                    let begun_ns = clock.now_ns();
                    let result = one(&sim, seed, &format!("{trial}-{made}"));
                    let stalled = sentinel.stalled_since(begun_ns, clock.now_ns());
                    if result.is_ok() || !stalled || made == ATTEMPTS {
                        return result;
                    }
                }
            })
            .collect::<Vec<_>>()
    });
    counted(results.into_iter().flatten())
}

fn now_ns() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos() as u64)
}

/// One run of three ticks. How often it read the wall clock.
fn one(sim: &Sim, seed: u64, name: &str) -> Result<u64, String> {
    let out = format!("run-{name}");
    let counted = sim.dir.path().join(format!("readings-{name}"));
    let mut command = sim.run(program(), &[], &out, "3");
    let output = shifted(&mut command, seed, &counted)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "seed {seed}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let log = sim.dir.path().join(&out).join("episode-000000.mcap");
    let episode = episode::read_episode(&log).map_err(|error| error.to_string())?;
    if !episode.complete || episode.ticks.len() != 4 {
        return Err(format!("seed {seed}: {} rows", episode.ticks.len()));
    }
    // Otherwise the clock has not jumped, and the trial shows nothing.
    let away_ns = episode.info.started_unix_ns.abs_diff(now_ns());
    if away_ns < NINE_YEARS_NS || readings(&counted) == 0 {
        return Err(format!(
            "seed {seed}: the program did not see the clock that jumps"
        ));
    }
    let replayed = controller::replay::replay(&log, None, controller::replay::Computed::default())
        .map_err(|error| format!("seed {seed}: {error}"))?;
    if replayed as usize + 1 == episode.ticks.len() {
        Ok(readings(&counted))
    } else {
        Err(format!("seed {seed}: {replayed} actions replay"))
    }
}

/// What trials came to that each have a number of readings.
fn counted(results: impl IntoIterator<Item = Result<u64, String>>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut readings = 0;
    for result in results {
        outcome.tried(result.map(|count| readings += count));
    }
    outcome.worst = format!("the wall clock was read {readings} times in all");
    outcome
}
