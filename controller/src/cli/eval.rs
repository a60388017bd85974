//! `armillary eval`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use controller::eval::{Returns, score};
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use serde::Serialize;

use super::scores::{OracleBudget, oracle_returns};
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
