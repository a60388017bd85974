//! `armillary demo`: a simulated arm behind a real serial port, driven in real time by the shipped model.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use controller::eval::{Returns, score};
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use controller::{oracle, picture, report};
use serde::Serialize;

use super::eval::{OracleBudget, oracle_returns};
use super::run::LiveArm;
use super::{default_jobs, log_path};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Robot file.
    #[arg(long, default_value = "configs/sim-planar.ron")]
    robot: PathBuf,
    /// The model.
    #[arg(long, default_value = "models/reach-planar")]
    bundle: PathBuf,
    /// A second, harder arm shown beside the first, in lockstep; skipped if its bundle is not there.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    beside_robot: PathBuf,
    /// Its model.
    #[arg(long, default_value = "models/reach")]
    beside_bundle: PathBuf,
    /// Episodes, a fresh target each, drawn from seeds never trained on.
    #[arg(long, default_value_t = 10)]
    episodes: u64,
    /// Folder for logs, report and animation.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Summary {
    task: String,
    agent: f32,
    random: f32,
    oracle: f32,
    score: f32,
    score_interval_95: [f32; 2],
    episodes: usize,
    ticks: u32,
    deadline_misses: u32,
    host_stalls: u32,
    log: PathBuf,
    report: PathBuf,
    gif: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
}

#[derive(Debug, Serialize)]
struct Beside {
    task: String,
    agent: f32,
    random: f32,
    oracle: f32,
    score: f32,
    score_interval_95: [f32; 2],
}

/// The bridge in a process of its own; ended with the demo.
struct Bridge {
    child: Child,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Already gone is as good as killed; `watch_parent` covers the case that we are.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the demo.
pub(crate) fn run(arguments: &Demo) -> anyhow::Result<()> {
    for path in [&arguments.robot, &arguments.bundle] {
        if !path.exists() {
            bail!(
                "{}: not found; run the demo from the repository's root, or pass --robot and --bundle",
                path.display()
            );
        }
    }
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let session = Session::new(&arguments.robot, Some(&arguments.bundle), policy, None)?;
    let ticks = session.config.episode_ticks;
    let seeds: Vec<u64> = (0..arguments.episodes)
        .map(|index| EVALUATION_SEEDS + index)
        .collect();
    let out = fresh_folder(&arguments.out)?;
    println!(
        "{}: {} episodes of {:.0} s in real time, logs in {}",
        session.config.name,
        seeds.len(),
        ticks as f32 * session.config.period_s,
        out.display()
    );

    let sockets = tempfile::tempdir().context("cannot make a temporary folder for the sockets")?;
    let (port, frames) = (sockets.path().join("arm"), sockets.path().join("camera"));
    let bridge = start_bridge(&arguments.robot, &port, &frames)?;
    let mut arm = LiveArm::open(&session, &port, &frames)?;
    let mut outcomes = Vec::new();
    for (index, &seed) in seeds.iter().enumerate() {
        let outcome = arm.episode(&session, seed, ticks, &log_path(&out, seed - EVALUATION_SEEDS))?;
        println!(
            "  {:2}/{}: return {:5.1}, {} deadlines missed ({} by the machine){}",
            index + 1,
            seeds.len(),
            outcome.total_reward,
            outcome.deadline_misses,
            outcome.host_stalls,
            outcome
                .stopped
                .map_or_else(String::new, |reason| format!(", stopped: {reason:?}"))
        );
        outcomes.push(outcome);
        if arm.interrupted() {
            bail!(
                "interrupted; the arm was stopped, the logs in {} are whole",
                out.display()
            );
        }
    }
    drop(arm);
    drop(bridge);

    println!("random actions and planning on the true simulator, same targets, in lockstep");
    let agent: Vec<f32> = outcomes.iter().map(|outcome| outcome.total_reward).collect();
    let (random, oracle) = baselines(&arguments.robot, &session, &seeds, ticks, OracleBudget::Paper)?;
    let (value, interval) = score(&agent, &random, &oracle);
    let logs: Vec<_> = outcomes
        .iter()
        .map(|outcome| episode::read_episode(&outcome.log))
        .collect::<Result<_, _>>()?;
    let Some(bundle) = &session.bundle else {
        bail!("no bundle")
    };
    let panels = match logs.first() {
        Some(log) => picture::panels(log, bundle)?,
        None => Vec::new(),
    };
    let gif = if panels.is_empty() {
        None
    } else {
        Some(picture::write_gif(
            &out.join("seen-believed-imagined.gif"),
            &panels,
            session.config.period_s,
        )?)
    };
    let strip = if panels.is_empty() {
        None
    } else {
        Some(picture::strip(&panels, 6)?)
    };
    let beside = beside(arguments)?;
    let [a, r, o] = [&agent, &random, &oracle].map(|each| Returns::of(each.clone()));
    let mut summary = Summary {
        task: session
            .config
            .simulator
            .as_ref()
            .map_or_else(String::new, |s| s.task.clone()),
        agent: a.mean,
        random: r.mean,
        oracle: o.mean,
        score: value,
        score_interval_95: interval,
        episodes: seeds.len(),
        ticks: outcomes.iter().map(|outcome| outcome.ticks).sum(),
        deadline_misses: outcomes.iter().map(|outcome| outcome.deadline_misses).sum(),
        host_stalls: outcomes.iter().map(|outcome| outcome.host_stalls).sum(),
        log: out.clone(),
        report: out.join("report.html"),
        gif,
        beside: None,
    };
    let planner = &session.config.planner;
    let facts = vec![
        ("task".to_owned(), summary.task.clone()),
        (
            "agent, mean return".to_owned(),
            format!("{:.1} +- {:.1}", a.mean, a.interval_95),
        ),
        (
            "random actions".to_owned(),
            format!("{:.1} +- {:.1}", r.mean, r.interval_95),
        ),
        (
            "planning on the true simulator".to_owned(),
            format!("{:.1} +- {:.1}", o.mean, o.interval_95),
        ),
        (
            "score".to_owned(),
            format!(
                "{value:.3} (95 % interval {:.3} to {:.3})",
                interval[0], interval[1]
            ),
        ),
        (
            "control period".to_owned(),
            format!("{} s", session.config.period_s),
        ),
        (
            "planner".to_owned(),
            format!(
                "I {} J {} H {} K {}",
                planner.iterations, planner.candidates, planner.horizon, planner.elites
            ),
        ),
        (
            "oracle".to_owned(),
            format!(
                "I {} J {} H {} K {}",
                oracle::PAPER.iterations,
                oracle::PAPER.candidates,
                oracle::PAPER.horizon,
                oracle::PAPER.elites
            ),
        ),
        ("bundle".to_owned(), bundle.sha256()),
    ];
    report::write(&summary.report, "Armillary demo", &facts, &logs, strip.as_deref())?;
    println!(
        "agent {:.1}, random {:.1}, oracle {:.1}: score {value:.3}",
        a.mean, r.mean, o.mean
    );
    if let Some(beside) = &beside {
        println!(
            "beside it, {} in lockstep: agent {:.1}, random {:.1}, oracle {:.1}: score {:.3}",
            beside.task, beside.agent, beside.random, beside.oracle, beside.score
        );
    }
    summary.beside = beside;
    println!("report {}", summary.report.display());
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}

fn baselines(
    robot: &Path,
    session: &Session,
    seeds: &[u64],
    ticks: u32,
    budget: OracleBudget,
) -> anyhow::Result<(Vec<f32>, Vec<f32>)> {
    let random = Session::new(robot, None, PolicyChoice::Random, None)?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let log = |seed: u64| scratch.path().join(format!("{seed}.mcap"));
    let outcomes = random.run_simulated(seeds, ticks, default_jobs(), &log, &|_| {})?;
    let oracle = oracle_returns(session, &budget.of(&session.config), seeds, ticks, default_jobs())?;
    Ok((
        outcomes.iter().map(|outcome| outcome.total_reward).collect(),
        oracle,
    ))
}

/// The harder arm, in lockstep, with the oracle at the robot file's budget: its physics costs a thousand times more.
fn beside(arguments: &Demo) -> anyhow::Result<Option<Beside>> {
    if !arguments.beside_bundle.exists() || arguments.beside_robot == arguments.robot {
        return Ok(None);
    }
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let session = Session::new(
        &arguments.beside_robot,
        Some(&arguments.beside_bundle),
        policy,
        None,
    )?;
    let seeds: Vec<u64> = (0..arguments.episodes)
        .map(|index| EVALUATION_SEEDS + index)
        .collect();
    let ticks = session.config.episode_ticks;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let log = |seed: u64| scratch.path().join(format!("{seed}.mcap"));
    let outcomes = session.run_simulated(&seeds, ticks, default_jobs(), &log, &|_| {})?;
    let agent: Vec<f32> = outcomes.iter().map(|outcome| outcome.total_reward).collect();
    let (random, oracle) = baselines(
        &arguments.beside_robot,
        &session,
        &seeds,
        ticks,
        OracleBudget::Robot,
    )?;
    let (value, interval) = score(&agent, &random, &oracle);
    let [a, r, o] = [agent, random, oracle].map(Returns::of);
    Ok(Some(Beside {
        task: session
            .config
            .simulator
            .as_ref()
            .map_or_else(String::new, |s| s.task.clone()),
        agent: a.mean,
        random: r.mean,
        oracle: o.mean,
        score: value,
        score_interval_95: interval,
    }))
}

fn start_bridge(robot: &Path, port: &Path, frames: &Path) -> anyhow::Result<Bridge> {
    let program = std::env::current_exe().context("cannot find this program's own path")?;
    let mut child = Command::new(program)
        .arg("sim")
        .arg("--robot")
        .arg(robot)
        .arg("--serial")
        .arg(port)
        .arg("--frames")
        .arg(frames)
        .arg("--watch-parent")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the simulator bridge")?;
    let output = child.stdout.take().context("the bridge has no output")?;
    let bridge = Bridge { child };
    let mut line = String::new();
    // The bridge prints its paths once both can be opened.
    BufReader::new(output)
        .read_line(&mut line)
        .context("the bridge said nothing")?;
    if line.is_empty() {
        bail!("the simulator bridge ended before it was ready; its message is above");
    }
    print!("{line}");
    Ok(bridge)
}

/// `out`, or `out-2` and so on: a demo never overwrites another's logs.
fn fresh_folder(out: &Path) -> anyhow::Result<PathBuf> {
    let mut folder = out.to_owned();
    let mut attempt = 1;
    while folder.exists() {
        attempt += 1;
        folder = out.with_file_name(format!(
            "{}-{attempt}",
            out.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{}: cannot make the folder", folder.display()))?;
    Ok(folder)
}
