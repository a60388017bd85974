//! `armillary eval`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use controller::eval::{Returns, score};
use controller::oracle;
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use robot::Config;
use robot::config::Planner;
use serde::Serialize;

use super::{PipelineName, default_jobs, log_path};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Eval {
    /// Robot file.
    #[arg(long)]
    robot: PathBuf,
    /// The model.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Targets: evaluation seeds, never trained on.
    #[arg(long, default_value_t = 20)]
    episodes: u64,
    /// First of the evaluation seeds.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Control periods an episode; the robot file's if not given.
    #[arg(long)]
    ticks: Option<u32>,
    /// Who is scored.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["agent", "random", "oracle"])]
    agents: Vec<Contender>,
    /// Oracle's budget: the paper's, or the robot file's.
    #[arg(long, value_enum, default_value = "paper")]
    oracle_budget: OracleBudget,
    /// Keep the agent's logs here.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overrides the robot file's pipeline.
    #[arg(long, value_enum)]
    pipeline: Option<PipelineName>,
    /// Episodes run at a time.
    #[arg(long, default_value_t = default_jobs())]
    jobs: usize,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Who can be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Contender {
    /// The bundle's planner, by camera.
    Agent,
    /// Random actions.
    Random,
    /// CEM on the true simulator.
    Oracle,
}

/// How long the oracle thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OracleBudget {
    /// I 10, J 1000, H 12, K 100.
    Paper,
    /// The robot file's planner.
    Robot,
}

impl OracleBudget {
    pub(crate) fn of(self, config: &Config) -> Planner {
        match self {
            Self::Paper => oracle::PAPER,
            Self::Robot => config.planner.clone(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Report {
    agent: Option<Returns>,
    random: Option<Returns>,
    oracle: Option<Returns>,
    score: Option<f32>,
    score_interval_95: Option<[f32; 2]>,
}

/// Evaluates.
pub(crate) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let seeds: Vec<u64> = (0..arguments.episodes)
        .map(|index| EVALUATION_SEEDS + arguments.first + index)
        .collect();
    let mut report = Report::default();
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    for agent in &arguments.agents {
        let policy = match agent {
            Contender::Agent => PolicyChoice::Planner { noise: 0.0 },
            _ => PolicyChoice::Random,
        };
        let pipeline = arguments.pipeline.map(Into::into);
        let session = Session::new(&arguments.robot, arguments.bundle.as_deref(), policy, pipeline)?;
        let ticks = arguments.ticks.unwrap_or(session.config.episode_ticks);
        let returns = if *agent == Contender::Oracle {
            let budget = arguments.oracle_budget.of(&session.config);
            oracle_returns(&session, &budget, &seeds, ticks, arguments.jobs)?
        } else {
            let kept = arguments.out.as_deref().filter(|_| *agent == Contender::Agent);
            let dir = kept.map_or_else(|| scratch.path().join(format!("{agent:?}")), PathBuf::from);
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("{}: cannot make the folder", dir.display()))?;
            let log = |seed: u64| log_path(&dir, seed);
            let outcomes = session.run_simulated(&seeds, ticks, arguments.jobs, &log, &|_| {})?;
            outcomes.iter().map(|outcome| outcome.total_reward).collect()
        };
        let returns = Returns::of(returns);
        if !arguments.json {
            println!("{agent:?}: {:.2} +- {:.2}", returns.mean, returns.interval_95);
        }
        match agent {
            Contender::Agent => report.agent = Some(returns),
            Contender::Random => report.random = Some(returns),
            Contender::Oracle => report.oracle = Some(returns),
        }
    }
    if let (Some(agent), Some(random), Some(oracle)) = (&report.agent, &report.random, &report.oracle) {
        let (value, interval) = score(&agent.each, &random.each, &oracle.each);
        report.score = Some(value);
        report.score_interval_95 = Some(interval);
        if !arguments.json {
            println!(
                "score {value:.3}, 95 % interval {:.3} to {:.3}",
                interval[0], interval[1]
            );
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

/// The oracle's return on each seed, `jobs` episodes at a time.
pub(crate) fn oracle_returns(
    session: &Session,
    budget: &Planner,
    seeds: &[u64],
    ticks: u32,
    jobs: usize,
) -> anyhow::Result<Vec<f32>> {
    let task = session.task()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![0.0; seeds.len()]);
    let work = || -> anyhow::Result<()> {
        while let Some((index, &seed)) = {
            let index = next.fetch_add(1, Ordering::SeqCst);
            seeds.get(index).map(|seed| (index, seed))
        } {
            let value = oracle::run(&session.config, task, budget, seed, ticks)?;
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[index] = value;
        }
        Ok(())
    };
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let threads: Vec<_> = (0..jobs.max(1))
            .map(|job| {
                std::thread::Builder::new()
                    .name(format!("oracle {job}"))
                    .spawn_scoped(scope, work)
            })
            .collect::<Result<_, _>>()
            .context("cannot start a thread")?;
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    Ok(results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}
