//! How good an agent is, between random actions and planning on the true simulator, on the same targets.

use armillary::simulation::{self, Simulated as _, Simulation};
use std::path::Path;

use anyhow::Context;
use armillary::eval::score;
use armillary::oracle::TrueWorld;
use armillary::{jobs, oracle};
use clap::ValueEnum;
use controller::lockstep::Outcome;
use controller::session::{PolicyChoice, Session};
use episode::Returns;
use robot::Config;
use robot::config::Planner;
use serde::Serialize;
use simulator::Task;

use super::default_jobs;

/// How long the oracle thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OracleBudget {
    /// I 10, J 1000, H 12, K 100.
    Paper,
    /// The robot file's planner.
    Robot,
}

impl OracleBudget {
    /// The paper's where that is a matter of seconds an episode. A step of the three-joint arm's physics costs a hundred
    /// times the planar arm's.
    pub(crate) fn affordable(task: Task) -> Self {
        match task {
            Task::ReachPlanar => Self::Paper,
            Task::Reach | Task::So101 => Self::Robot,
        }
    }

    pub(crate) fn of(self, config: &Config) -> Planner {
        match self {
            Self::Paper => oracle::PAPER,
            Self::Robot => config.planner.clone(),
        }
    }
}

/// Mean returns, and what they amount to.
#[derive(Debug, Serialize)]
pub(crate) struct Scores {
    pub(crate) task: String,
    pub(crate) agent: f32,
    pub(crate) random: f32,
    pub(crate) oracle: f32,
    pub(crate) score: f32,
    pub(crate) score_interval_95: [f32; 2],
    #[serde(skip)]
    returns: [Returns; 3],
    #[serde(skip)]
    budget: Planner,
}

impl Scores {
    /// Sets `agent`, its returns on `seeds`, against random actions and the oracle on the same seeds in lockstep.
    pub(crate) fn of(
        robot: &Path,
        session: &Session,
        agent: Vec<f32>,
        seeds: &[u64],
        ticks: u32,
    ) -> anyhow::Result<Self> {
        let task = session.task()?;
        let budget = OracleBudget::affordable(task).of(&session.config);
        let random = simulation::session(robot, None, PolicyChoice::Random, None)?;
        let random = lockstep_returns(&random, seeds, ticks)?;
        let oracle = oracle_returns(session, &budget, seeds, ticks, default_jobs())?;
        let (value, interval) = score(&agent, &random, &oracle);
        let returns = [agent, random, oracle].map(Returns::of);
        Ok(Self {
            task: task.to_string(),
            agent: returns[0].mean,
            random: returns[1].mean,
            oracle: returns[2].mean,
            score: value,
            score_interval_95: interval,
            returns,
            budget,
        })
    }

    /// For the report: what was measured, and how.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![("task".to_owned(), self.task.clone())];
        let names = [
            "agent, mean return",
            "random actions",
            "planning on the true simulator",
        ];
        for (name, returns) in names.into_iter().zip(&self.returns) {
            facts.push((
                name.to_owned(),
                format!("{:.1} +- {:.1}", returns.mean, returns.interval_95),
            ));
        }
        let [low, high] = self.score_interval_95;
        facts.push((
            "score".to_owned(),
            format!("{:.3} (95 % interval {low:.3} to {high:.3})", self.score),
        ));
        facts.push(("that planning's budget".to_owned(), budget_text(&self.budget)));
        facts
    }
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.score_interval_95;
        write!(
            f,
            "{}: agent {:.1}, random {:.1}, oracle {:.1}: score {:.3} ({low:.3} to {high:.3})",
            self.task, self.agent, self.random, self.oracle, self.score
        )
    }
}

/// A budget in the paper's letters.
pub(crate) fn budget_text(planner: &Planner) -> String {
    format!(
        "I {} J {} H {} K {}",
        planner.iterations, planner.candidates, planner.horizon, planner.elites
    )
}

/// The returns of a session's policy in lockstep, without keeping the logs.
pub(crate) fn lockstep_returns(session: &Session, seeds: &[u64], ticks: u32) -> anyhow::Result<Vec<f32>> {
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let log = |seed: u64| scratch.path().join(format!("{seed}.mcap"));
    let outcomes = session.run_simulated(seeds, ticks, default_jobs(), &log, &|_| {})?;
    given(&outcomes)
}

/// The returns of `outcomes`.
///
/// # Errors
/// If one was given no reward: it has no return to be compared.
pub(crate) fn given(outcomes: &[Outcome]) -> anyhow::Result<Vec<f32>> {
    outcomes
        .iter()
        .map(|outcome| {
            outcome.total_reward.with_context(|| match outcome.stopped {
                Some(reason) => format!("{}: the episode failed: {}", outcome.log.display(), reason.advice()),
                None => format!(
                    "{}: nobody gave a reward in this episode, so that it has no return; use a task that gives one",
                    outcome.log.display()
                ),
            })
        })
        .collect()
}

/// The oracle's return on each seed, `jobs` episodes at a time.
pub(crate) fn oracle_returns(
    session: &Session,
    budget: &Planner,
    seeds: &[u64],
    ticks: u32,
    jobs: usize,
) -> anyhow::Result<Vec<f32>> {
    let world = session.simulation()?;
    // A process plans on all cores by itself.
    let jobs = if matches!(world, Simulation::Process(_)) {
        1
    } else {
        jobs
    };
    jobs::over(
        seeds,
        jobs,
        || TrueWorld::new(&world, &session.config),
        |world, &seed| {
            let total = oracle::run(&session.config, world, budget, seed, ticks)?;
            log::info!("planning on the true simulator, episode {seed}: return {total:.1}");
            Ok(total)
        },
    )
}
