//! `armillary bench tune`.

use armillary::simulation::{self, Simulated as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use armillary::tune::{Candidate, Scale, Subject, Times, VERIFIED, grid};
use controller::beliefs;
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use indicatif::{ProgressBar, ProgressStyle};
use robot::config::{RolloutBackend, edit};
use serde::Serialize;
use world_model::kernel::Instructions;

use super::planner::BackendName;
use super::{default_jobs, log_path};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Tune {
    /// Robot file.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    pub(super) robot: PathBuf,
    /// The environment in a Python process that the robot file names, if it names one: a file alone starts no program.
    #[arg(long)]
    rig: Option<String>,
    /// The model.
    #[arg(long, default_value = "models/reach")]
    pub(super) bundle: PathBuf,
    /// Control period to tune for, such as 50ms; the robot file's if not given. Planning gets its `deadline_fraction` of it.
    #[arg(long, value_parser = humantime::parse_duration)]
    period: Option<Duration>,
    /// Logs whose beliefs plans are made from; a few episodes of the simulated arm if not given.
    #[arg(long)]
    log: Vec<PathBuf>,
    /// Back ends that may be chosen; the fastest in 32 bits, and in 16 where this CPU has it, if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    backend: Vec<BackendName>,
    /// Planning threads; all CPUs if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Situations that the best planners are judged by.
    #[arg(long, default_value_t = 16)]
    situations: usize,
    /// Put the result into the robot file; its other settings, comments and layout stay.
    #[arg(long)]
    write: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    period_ms: f64,
    deadline_ms: f64,
    threads: usize,
    scale: Scale,
    best: Vec<Candidate>,
    chosen: Candidate,
    times: Times,
}

/// How many are judged thoroughly.
const FINALISTS: usize = 8;

/// Tunes.
pub(crate) fn run(arguments: &Tune) -> anyhow::Result<()> {
    if arguments.situations == 0 {
        bail!("--situations 0: judge by at least one");
    }
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let rig = arguments.rig.as_deref();
    let session = simulation::session_with(&arguments.robot, rig, Some(&arguments.bundle), policy, None)?;
    let bundle = session.bundle.as_ref().context("a planner has a bundle")?;
    let config = &session.config;
    let period = arguments
        .period
        .unwrap_or_else(|| Duration::from_secs_f32(config.period_s));
    let deadline = period.mul_f32(config.planner.deadline_fraction);
    if deadline.is_zero() {
        bail!("--period 0: write a time, such as 50ms");
    }
    let threads = arguments.threads.unwrap_or_else(default_jobs);
    if !(1..=robot::config::PLANNER_THREADS_MAX).contains(&threads) {
        bail!(
            "--threads {threads}: choose between 1 and {}",
            robot::config::PLANNER_THREADS_MAX
        );
    }
    let situations = situations(arguments, &session)?;
    let base = robot::config::Planner {
        threads,
        ..config.planner.clone()
    };
    let subject = Subject {
        bundle,
        envelope: &config.envelope,
        base: &base,
        situations: &situations,
        deadline,
    };
    armillary::tell!(
        "{} situations; plans of up to {:.1} ms on {threads} thread(s)",
        situations.len(),
        deadline.as_secs_f64() * 1e3
    );
    let quick = arguments.situations.min(4);
    let tried = try_all(&subject, &grid(&base, &backends(arguments)), quick)?;
    if tried.is_empty() {
        bail!(
            "not one iteration of the smallest planner fits {:.1} ms here; choose a longer period, or more threads",
            deadline.as_secs_f64() * 1e3
        );
    }
    let bar = bar("judging the best", (tried.len().min(FINALISTS) + 1) as u64);
    let scale = subject.scale(arguments.situations)?;
    bar.inc(1);
    let mut best = Vec::new();
    for candidate in tried.into_iter().take(FINALISTS) {
        best.push(subject.candidate(&candidate.budget, scale, arguments.situations)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    best.sort_by(|a, b| b.kept.total_cmp(&a.kept));
    let (chosen, times) = verify(&subject, scale, &best, arguments.situations)?;
    let report = Report {
        period_ms: period.as_secs_f64() * 1e3,
        deadline_ms: deadline.as_secs_f64() * 1e3,
        threads,
        scale,
        best,
        chosen,
        times,
    };
    if arguments.json {
        armillary::say!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    write(arguments, &session, &report)
}

fn backends(arguments: &Tune) -> Vec<RolloutBackend> {
    if !arguments.backend.is_empty() {
        return arguments.backend.iter().map(|&name| name.into()).collect();
    }
    let mut backends = vec![RolloutBackend::Simd];
    if Instructions::Bf16.supported() {
        backends.push(RolloutBackend::Bf16);
    }
    backends
}

/// What planners are asked: from logs, or from episodes made for the purpose.
fn situations(arguments: &Tune, session: &Session) -> anyhow::Result<Vec<beliefs::Situation>> {
    let bundle = session.bundle.as_ref().context("a planner has a bundle")?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let logs = if arguments.log.is_empty() {
        let seeds: Vec<u64> = (0..4).map(|index| EVALUATION_SEEDS + 9000 + index).collect();
        armillary::tell!("recording {} episodes to plan from", seeds.len());
        let path = |seed: u64| log_path(scratch.path(), seed);
        let outcomes = session.run_simulated(
            &seeds,
            session.config.episode_ticks,
            default_jobs(),
            &path,
            &|_| {},
        )?;
        outcomes.into_iter().map(|outcome| outcome.log).collect()
    } else {
        arguments.log.clone()
    };
    let mut all = Vec::new();
    for log in logs {
        all.extend(beliefs::of_log(&log, bundle)?);
    }
    if all.is_empty() {
        bail!("--log: the logs hold no tick");
    }
    Ok(all)
}

fn bar(text: &'static str, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}, {eta} left");
    let bar = ProgressBar::new(steps).with_message(text);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Everything that fits, best first, judged quickly.
fn try_all(
    subject: &Subject<'_>,
    grid: &[robot::config::Planner],
    count: usize,
) -> anyhow::Result<Vec<Candidate>> {
    // Ranks need no scale.
    let scale = Scale {
        random: 0.0,
        full: 1.0,
    };
    let bar = bar("trying planners", grid.len() as u64);
    let mut tried = Vec::new();
    for budget in grid {
        if let Some(fitted) = subject.fit(budget)? {
            tried.push(subject.candidate(&fitted, scale, count)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    tried.sort_by(|a, b| b.kept.total_cmp(&a.kept));
    Ok(tried)
}

/// The best that keeps the deadline at the 99.9th percentile, with fewer iterations if it must be.
fn verify(
    subject: &Subject<'_>,
    scale: Scale,
    best: &[Candidate],
    count: usize,
) -> anyhow::Result<(Candidate, Times)> {
    let deadline_ms = subject.deadline.as_secs_f64() * 1e3;
    let mut longest_ms: f64 = 0.0;
    for candidate in best {
        let mut budget = candidate.budget.clone();
        loop {
            let bar = bar("timing the winner", VERIFIED as u64);
            let times = subject.times(&budget, VERIFIED, &|| bar.inc(1))?;
            bar.finish_and_clear();
            if times.p999_ms <= deadline_ms {
                let chosen = if budget == candidate.budget {
                    candidate.clone()
                } else {
                    subject.candidate(&budget, scale, count)?
                };
                return Ok((chosen, times));
            }
            longest_ms = longest_ms.max(times.p999_ms);
            let fewer = (budget.iterations as f64 * deadline_ms / times.p999_ms) as usize;
            armillary::tell!(
                "{} iterations of {}: 99.9 % of plans take up to {:.1} ms; trying {fewer}",
                budget.iterations,
                candidate.method,
                times.p999_ms
            );
            // Pauses of the machine do not become fewer with the iterations.
            if fewer == 0 || 2 * fewer < candidate.budget.iterations {
                break;
            }
            budget.iterations = fewer.min(budget.iterations - 1);
        }
    }
    bail!(
        "no planner keeps {deadline_ms:.1} ms at the 99.9th percentile: this machine pauses for up to {longest_ms:.1} ms; \
         close other programs, choose a longer period, or set `realtime` in the robot file"
    )
}

fn print(report: &Report) {
    armillary::say!(
        "a period of {:.0} ms, {:.1} ms of it for planning, on {} thread(s)\n",
        report.period_ms,
        report.deadline_ms,
        report.threads
    );
    armillary::say!(
        "reward a step that the model expects: random actions {:.3}, the paper's full budget {:.3}\n",
        report.scale.random,
        report.scale.full
    );
    armillary::say!(
        "{:12} {:>10} {:>17} {:>7} {:>7}",
        "method",
        "back end",
        "I x J x H x K",
        "reward",
        "kept"
    );
    for candidate in report.best.iter().chain([&report.chosen]) {
        let [i, j, h, k] = candidate.settings;
        armillary::say!(
            "{:12} {:>10} {:>17} {:>7.3} {:>7.3}",
            candidate.method,
            format!("{:?}", candidate.backend).to_lowercase(),
            format!("{i}x{j}x{h}x{k}"),
            candidate.imagined_reward,
            candidate.kept
        );
    }
    armillary::say!(
        "\nthe last one is chosen: of {} plans half take {:.1} ms, 99.9 % up to {:.1} ms, the longest {:.1} ms",
        report.times.plans,
        report.times.median_ms,
        report.times.p999_ms,
        report.times.worst_ms
    );
}

/// Puts the winner into the robot file, or says what to put there.
fn write(arguments: &Tune, session: &Session, report: &Report) -> anyhow::Result<()> {
    let path = &arguments.robot;
    let edited = edit::with_planner(path, &session.config.text, &report.chosen.budget)?;
    if arguments.write {
        // The user asks for it; all of it or nothing, since a robot file cut short drives no robot.
        files::replace(path, edited.as_bytes()).context("cannot write the robot file")?;
        armillary::tell!("{}: `planner` is now the chosen one", path.display());
    } else if !arguments.json {
        armillary::say!("\n--write puts it into {}", path.display());
    }
    Ok(())
}
