//! The whole program beside a simulated arm with which something goes wrong every few seconds, in real time, for as long as is asked for.
//!
//! `live-faults --minutes N [--seed S]` starts `armillary sim --faults`, and `armillary run` again and again: each stop ends a run, and a new
//! run is the deliberate act with which motion begins again. At the end every stop is compared with what went wrong: a stop without
//! a fault is a false alarm, and a fault without a stop was missed. It also says how much memory both programs took.

mod compare;
mod machine;
mod programs;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use compare::{Attempt, Compared};
use machine::Stalls;
use programs::{Programs, Sim};

/// Between a run that has ended and the next one.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the memory of the programs is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// In so many minutes each kind of fault befalls an arm that follows.
const ALL_KINDS_MIN: f64 = 30.0;

/// Between two lines that say how it goes.
const NEWS: Duration = Duration::from_secs(300);

/// Seconds since 1970.
fn unix_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

struct Arguments {
    minutes: f64,
    seed: u64,
}

impl Arguments {
    fn of(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = Self {
            minutes: 2.0,
            seed: 1,
        };
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word.as_str() {
                "--minutes" => arguments.minutes = value.parse().ok().filter(|minutes| *minutes > 0.0)?,
                "--seed" => arguments.seed = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(arguments)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::of(std::env::args().skip(1)) else {
        eprintln!("live-faults [--minutes N] [--seed S]");
        return ExitCode::FAILURE;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs = match Programs::prepare(&root, arguments.seed) {
        Ok(programs) => programs,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let stalls = Stalls::watch();
    let mut sim = programs.sim();
    let begun = Instant::now();
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut attempts = Vec::new();
    let mut news = NEWS;
    while begun.elapsed() < length {
        attempts.push(attempt(&programs, &mut sim, attempts.len(), length, begun));
        if sim.is_gone() {
            eprintln!("the simulated arm has ended by itself");
            return ExitCode::FAILURE;
        }
        if begun.elapsed() > news {
            news += NEWS;
            println!(
                "{:.0} of {:.0} min, {} runs",
                begun.elapsed().as_secs_f64() / 60.0,
                arguments.minutes,
                attempts.len()
            );
        }
        std::thread::park_timeout(PAUSE);
    }
    let memory_kb = sim.memory_kb.clone();
    let events = sim.end();
    // In a short time not all of them come.
    let kinds = if arguments.minutes >= ALL_KINDS_MIN {
        programs.kinds()
    } else {
        Vec::new()
    };
    let compared = Compared::of(&events, &attempts, &stalls.end(), &kinds);
    print!("{}", compared.text(&attempts, &memory_kb));
    if compared.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One run, until it ends or the time is over.
fn attempt(programs: &Programs, sim: &mut Sim, number: usize, length: Duration, begun: Instant) -> Attempt {
    let started_s = unix_s();
    let mut run = programs.run(number);
    let mut memory_kb = Vec::new();
    let mut looked = Instant::now();
    let mut asked = false;
    while !run.has_ended() {
        if begun.elapsed() > length && !asked {
            asked = true;
            run.interrupt();
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            memory_kb.extend(programs::memory_kb(run.id()));
            sim.look();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let (code, said) = run.end();
    Attempt {
        started_s,
        ended_s: unix_s(),
        code,
        said,
        asked,
        memory_kb,
        log: programs.read_log(number),
    }
}
