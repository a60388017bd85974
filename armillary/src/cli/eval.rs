//! `armillary eval`.

use armillary::simulation::{Simulated as _, Simulation};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use armillary::eval::score;
use clap::ValueEnum;
use controller::lockstep::Outcome;
use controller::session::{EVALUATION_SEEDS, PolicyChoice};
use episode::{PlanSource, Returns};
use serde::Serialize;

use super::planner::PlannerOptions;
use super::scores::{OracleBudget, given, oracle_returns};
use super::{PipelineName, RobotChoice, default_jobs, log_path};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    pub(super) robot: RobotChoice,
    /// The model.
    #[arg(long)]
    pub(super) bundle: Option<PathBuf>,
    /// Targets: evaluation seeds, never trained on.
    #[arg(long, default_value_t = 20)]
    episodes: u64,
    /// First of the evaluation seeds.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Control periods an episode; the robot file's if not given.
    #[arg(long)]
    ticks: Option<u32>,
    /// Who is scored; agent, random and oracle if not given, but no oracle for a rig, which takes minutes an episode or cannot
    /// look ahead at all.
    #[arg(long, value_enum, value_delimiter = ',')]
    agents: Vec<Contender>,
    /// What plans: the model, or the true simulator, which is the same as `--agents oracle`.
    #[arg(long = "planner", value_enum, conflicts_with = "agents")]
    plans_with: Option<PlansWith>,
    /// Oracle's budget: the paper's, or the robot file's.
    #[arg(long, value_enum, default_value = "paper")]
    oracle_budget: OracleBudget,
    /// Keep the agent's logs here.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overrides the robot file's pipeline.
    #[arg(long, value_enum)]
    pipeline: Option<PipelineName>,
    #[command(flatten)]
    planner: PlannerOptions,
    /// How long the agent may take from a frame to its plan, in milliseconds; as long as it likes if not given. The result then depends
    /// on the machine, and episodes run one at a time.
    #[arg(long)]
    deadline_ms: Option<f64>,
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

/// What a planner looks ahead with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlansWith {
    /// The bundle's model.
    Model,
    /// The simulator itself, which sees the state and not the camera.
    TrueSimulator,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    agent: Option<Returns>,
    random: Option<Returns>,
    oracle: Option<Returns>,
    score: Option<f32>,
    score_interval_95: Option<[f32; 2]>,
    /// Mean iterations of the agent's plans.
    iterations: Option<f64>,
    /// Its periods without a plan.
    late: Option<u64>,
}

/// Mean iterations of the plans in these logs, and periods without one.
fn effort(outcomes: &[Outcome]) -> anyhow::Result<(f64, u64)> {
    let (mut iterations, mut plans, mut late) = (0_u64, 0_u64, 0_u64);
    for outcome in outcomes {
        for row in &episode::read_episode(&outcome.log)?.ticks {
            match row.plan.source {
                PlanSource::Fresh => {
                    iterations += u64::from(row.plan.iterations);
                    plans += 1;
                }
                PlanSource::Tail => late += 1,
                _ => {}
            }
        }
    }
    Ok((iterations as f64 / plans.max(1) as f64, late))
}

/// Evaluates.
pub(crate) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let seeds: Vec<u64> = (0..arguments.episodes)
        .map(|index| EVALUATION_SEEDS + arguments.first + index)
        .collect();
    let mut report = Report::default();
    let overridden = arguments.planner.any() || arguments.deadline_ms.is_some();
    if overridden && arguments.out.is_some() {
        bail!(
            "--out: a log kept of a planner that is not the robot file's would not replay; write it into the robot file"
        );
    }
    let deadline = arguments
        .deadline_ms
        .map(|ms| Duration::try_from_secs_f64(ms / 1e3))
        .transpose()
        .context("--deadline-ms: write a number of milliseconds from 0 on")?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let agents = match arguments.plans_with {
        None if arguments.agents.is_empty() => &[Contender::Agent, Contender::Random, Contender::Oracle],
        None => arguments.agents.as_slice(),
        Some(PlansWith::Model) => &[Contender::Agent],
        Some(PlansWith::TrueSimulator) => &[Contender::Oracle],
    };
    for agent in agents {
        let policy = match agent {
            Contender::Agent => PolicyChoice::Planner { noise: 0.0 },
            _ => PolicyChoice::Random,
        };
        let pipeline = arguments.pipeline.map(Into::into);
        let mut session = arguments
            .robot
            .session(arguments.bundle.as_deref(), policy, pipeline)?;
        let chosen = !arguments.agents.is_empty() || arguments.plans_with.is_some();
        if *agent == Contender::Oracle && !chosen && matches!(session.simulation()?, Simulation::Process(_)) {
            log::info!(
                "no oracle, since {} is a rig: --agents oracle asks for it",
                session.config.name
            );
            continue;
        }
        let mut oracle_budget = arguments.oracle_budget.of(&session.config);
        if matches!(agents, [Contender::Oracle]) {
            // Nobody else plans: it is this search that is to be another.
            oracle_budget = arguments.planner.apply(&oracle_budget)?;
        }
        session.config.planner = arguments.planner.apply(&session.config.planner)?;
        session.deadline = deadline;
        let ticks = arguments.ticks.unwrap_or(session.config.episode_ticks);
        let returns = if *agent == Contender::Oracle {
            oracle_returns(&session, &oracle_budget, &seeds, ticks, arguments.jobs)?
        } else {
            let kept = arguments.out.as_deref().filter(|_| *agent == Contender::Agent);
            let dir = kept.map_or_else(|| scratch.path().join(format!("{agent:?}")), PathBuf::from);
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("{}: cannot make the folder", dir.display()))?;
            let log = |seed: u64| log_path(&dir, seed);
            let outcomes = session.run_simulated(&seeds, ticks, arguments.jobs, &log, &|_| {})?;
            if *agent == Contender::Agent {
                let (iterations, late) = effort(&outcomes)?;
                (report.iterations, report.late) = (Some(iterations), Some(late));
            }
            given(&outcomes)?
        };
        let returns = Returns::of(returns);
        if !arguments.json {
            armillary::say!("{agent:?}: {:.2} +- {:.2}", returns.mean, returns.interval_95);
        }
        if let (Contender::Agent, Some(iterations), Some(late), false) =
            (agent, report.iterations, report.late, arguments.json)
        {
            armillary::say!("  {iterations:.2} iterations a plan, {late} periods without one");
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
            armillary::say!(
                "score {value:.3}, 95 % interval {:.3} to {:.3}",
                interval[0],
                interval[1]
            );
        }
    }
    if arguments.json {
        armillary::say!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}
