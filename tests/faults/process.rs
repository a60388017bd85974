//! The program itself, in processes: what a terminal, a shell and other programs do to it. In real time.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use robot::philox::Stream;

use crate::beside::Sim;
use crate::row::{Outcome, Scale};
use crate::side_by_side::side_by_side;
use crate::stuck::stuck;
use crate::typed::typed;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs that run beside each other.
const AT_A_TIME: u64 = 10;

/// How often a trial is made in which the machine stood still: the arm is stopped then, for another reason than the one that is looked for.
const ATTEMPTS: u32 = 5;

/// What became of the wait for something.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let begun = Instant::now();
    while !done()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("not {what} within a minute"));
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}

/// `armillary`, beside this program.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().expect("its own path");
    own.ancestors().nth(2).expect("target/release").join("armillary")
}

fn start() -> Sim {
    Sim::start(&program(), &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}

/// Starts `run` beside `sim` for so many ticks.
fn run(sim: &Sim, out: &str, ticks: u32, stdout: Stdio) -> Child {
    sim.run(program(), &[], out, &ticks.to_string())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Waits until `run` drives.
fn driving(sim: &Sim, out: &str, run: &mut Child) -> Result<(), String> {
    let log = sim.dir.path().join(out).join("episode-000000.mcap");
    until("driving", || match run.try_wait() {
        Ok(None) => Ok(fs::metadata(&log).is_ok_and(|meta| meta.len() > 0)),
        ended => Err(format!("it ended early: {ended:?}")),
    })
}

/// Trials that run beside each other, each thread with an arm of its own: they wait most of the time.
fn with_arms<T: Send>(trials: u64, trial: impl Fn(&Sim, u64) -> T + Sync) -> Vec<T> {
    let threads = trials.min(AT_A_TIME);
    let results = side_by_side(threads as usize, threads, |thread| {
        let sim = start();
        // Every `threads`th.
        (thread..trials)
            .step_by(threads as usize)
            .map(|number| trial(&sim, number))
            .collect::<Vec<_>>()
    });
    results.into_iter().flatten().collect()
}

/// What trials came to that each took some time.
fn longest(words: &str, results: Vec<Result<Duration, String>>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut worst = Duration::ZERO;
    for result in results {
        outcome.tried(result.map(|took| worst = worst.max(took)));
    }
    outcome.worst = format!("{words} {:.2} s", worst.as_secs_f64());
    outcome
}

/// Clears the emergency stop.
fn clear(sim: &Sim) {
    let mut command = Command::new(program());
    command
        .args(["clear-e-stop", "--robot", "robot.ron", "--port", "arm"])
        .current_dir(sim.dir.path());
    // Where it fails, the next trial tells.
    let _ = typed(&mut command, "yes\n");
}

/// How a program ended, and its messages. One that does not end is killed.
pub(crate) fn end(mut run: Child) -> (Option<i32>, String) {
    let begun = Instant::now();
    while matches!(run.try_wait(), Ok(None)) {
        if begun.elapsed() > PATIENCE {
            let _ = run.kill();
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let mut message = String::new();
    if let Some(mut errors) = run.stderr.take() {
        let _ = errors.read_to_string(&mut message);
    }
    (run.wait().ok().and_then(|status| status.code()), message)
}

/// Standard output is stuck, closed, or full: the run is as any other.
pub(crate) fn output(scale: Scale) -> Outcome {
    let results = with_arms(scale.trials_of(600, 300, 6), |sim, trial| {
        let out = format!("output-{trial}");
        let mut kept = None;
        let stdout = match trial % 3 {
            0 => {
                let (read, full) = stuck();
                kept = Some(read);
                full
            }
            1 => Stdio::from(fs::File::create("/dev/full").expect("Linux")),
            _ => {
                let (read, write) = nix::unistd::pipe().expect("a pipe");
                drop(read);
                Stdio::from(write)
            }
        };
        let begun = Instant::now();
        let (code, message) = end(run(sim, &out, 3, stdout));
        let took = begun.elapsed();
        drop(kept);
        let log = episode::read_episode(&sim.dir.path().join(&out).join("episode-000000.mcap"));
        match (code, log) {
            // A machine that stands still costs a tick in between, which the log says.
            (Some(0), Ok(log)) if log.complete && log.ticks.last().is_some_and(|row| row.tick == 3) => {
                Ok(took)
            }
            (code, log) => Err(format!(
                "ended with {code:?}, log {:?}: {message}",
                log.map(|log| (log.complete, log.ticks.len()))
            )),
        }
    });
    longest("3 periods in", results)
}

/// Keys in quick succession, the emergency stop among them, with standard output stuck every second time.
pub(crate) fn keys(scale: Scale) -> Outcome {
    let results = with_arms(scale.trials_of(200, 100, 4), |sim, trial| {
        let mut random = Stream::new(trial, 0x6E75);
        let out = format!("keys-{trial}");
        let (_read, full) = stuck();
        let stdout = if trial % 2 == 0 { full } else { Stdio::null() };
        let mut driver = run(sim, &out, 100_000, stdout);
        let result = driving(sim, &out, &mut driver).map(|()| {
            let others = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
            let mut keys: Vec<Signal> = (0..random.below(4)).map(|_| others[random.below(3)]).collect();
            // At most one before: the second ends the program, as it should.
            keys.insert(random.below(keys.len().min(1) + 1), Signal::SIGQUIT);
            let pid = Pid::from_raw(driver.id() as i32);
            let begun = Instant::now();
            for key in &keys {
                // It may have ended by then.
                let _ = kill(pid, *key);
                std::thread::park_timeout(Duration::from_micros(random.below(8_000) as u64));
            }
            (keys, begun)
        });
        let (code, message) = end(driver);
        let result = result.and_then(|(keys, begun)| {
            if code == Some(1) && message.contains("emergency stop: latched") {
                Ok(begun.elapsed())
            } else {
                Err(format!("{keys:?}: ended with {code:?}: {message}"))
            }
        });
        clear(sim);
        result
    });
    longest("latched, said and ended within", results)
}

/// `armillary e-stop --port` while another program drives.
pub(crate) fn second_channel(scale: Scale) -> Outcome {
    let results = with_arms(scale.trials_of(200, 100, 4), |sim, trial| {
        let out = format!("channel-{trial}");
        let mut driver = run(sim, &out, 100_000, Stdio::null());
        let driving = driving(sim, &out, &mut driver);
        let begun = Instant::now();
        let asked = Command::new(program())
            .args(["e-stop", "--port", "arm"])
            .current_dir(sim.dir.path())
            .output()
            .expect("the program starts");
        let took = begun.elapsed();
        let (code, message) = end(driver);
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        let result = driving.and_then(|()| {
            if asked.status.success() && said.contains("latched") && code == Some(1) {
                Ok(took)
            } else {
                Err(format!(
                    "asked: {asked:?}; the driver ended with {code:?}: {message}"
                ))
            }
        });
        clear(sim);
        result
    });
    longest("asked and confirmed within", results)
}

/// The disk is full for this program: no file may grow beyond a size (`ulimit -f`), which is an error of writing as on a full disk.
pub(crate) fn full_disk(scale: Scale) -> Outcome {
    let results = with_arms(scale.trials(20, 2), |sim, trial| {
        let mut random = Stream::new(trial, 0xF011);
        let mut made = 0;
        loop {
            let out = format!("full-{trial}-{made}");
            let limit_bytes = 20_000 + random.below(4_000) as u64;
            let mut command = sim.run(program(), &[], &out, "100000");
            // SAFETY: between fork and exec only `setrlimit` is called, which is async-signal-safe.
            unsafe {
                command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_FSIZE, limit_bytes, limit_bytes)?));
            }
            let begun = Instant::now();
            let (code, message) = end(command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program starts"));
            let took = begun.elapsed();
            made += 1;
            if message.contains("the guard stopped the arm") && made < ATTEMPTS {
                continue;
            }
            let log = sim.dir.path().join(&out).join("episode-000000.mcap");
            return match (code, episode::read_episode(&log)) {
                (Some(1), Ok(log)) if !log.complete && message.contains("cannot write the log") => Ok(took),
                (code, log) => Err(format!(
                    "ended with {code:?}, log {:?}: {message}",
                    log.map(|log| (log.complete, log.ticks.len()))
                )),
            };
        }
    });
    longest("over, from its start, within", results)
}
