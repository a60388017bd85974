//! `armillary record`.

use armillary::simulation::Simulated as _;
use episode::Returns;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::planner::PlannerOptions;
use super::{Attempts, Episodes, PipelineName, PolicyName, default_jobs, is_ours, log_path, policy};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(super) episodes: Episodes,
    /// Who chooses the actions.
    #[arg(long, value_enum)]
    policy: PolicyName,
    /// Standard deviation of the exploration noise added to planned actions.
    #[arg(long, default_value_t = 0.3)]
    noise: f32,
    /// Overrides the robot file's pipeline.
    #[arg(long, value_enum)]
    pipeline: Option<PipelineName>,
    #[command(flatten)]
    planner: PlannerOptions,
    /// Episodes run at a time.
    #[arg(long, default_value_t = default_jobs())]
    jobs: usize,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

/// Records.
pub(crate) fn run(arguments: &Record) -> anyhow::Result<()> {
    let episodes = &arguments.episodes;
    let session = episodes.open(
        policy(arguments.policy, arguments.noise)?,
        arguments.pipeline,
        &arguments.planner,
    )?;
    // An interrupted recording goes on where it was: whole logs are not recorded again.
    let mut recording = Recording::default();
    let mut seeds = Vec::new();
    let attempts = Attempts::list(&episodes.out);
    for seed in episodes.seeds() {
        match attempts.recorded(seed) {
            Some((path, log)) => {
                is_ours(&path, &log.info, &session, arguments.policy)?;
                recording.there += 1;
                recording.periods += u64::from(log.ticks.last().map_or(0, |row| row.tick));
            }
            None => seeds.push(seed),
        }
    }
    let ticks = episodes.ticks(&session);
    let bar = ProgressBar::new(seeds.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} episodes, {eta} left  {msg}",
    )?);
    let outcomes = session.run_simulated(
        &seeds,
        ticks,
        arguments.jobs,
        &|seed| log_path(&episodes.out, seed),
        &|outcome| {
            bar.inc(1);
            bar.set_message(format!("return {}", outcome.return_text()));
        },
    )?;
    bar.finish_and_clear();
    recording.recorded = outcomes.len();
    recording.periods += outcomes
        .iter()
        .map(|outcome| u64::from(outcome.ticks))
        .sum::<u64>();
    recording.stopped = outcomes
        .iter()
        .filter(|outcome| outcome.stopped.is_some())
        .count();
    recording.returns = Returns::of_given(outcomes.iter().map(|outcome| outcome.total_reward));
    if arguments.json {
        armillary::say!("{}", serde_json::to_string(&recording)?);
    } else {
        armillary::say!("{}: {recording}", episodes.out.display());
    }
    Ok(())
}

/// What there is now.
#[derive(Debug, Default, Serialize)]
struct Recording {
    /// Episodes recorded.
    recorded: usize,
    /// Episodes that were there already.
    there: usize,
    /// Control periods of all of them.
    periods: u64,
    /// Of the recorded ones, those that the guard stopped.
    stopped: usize,
    /// Of the recorded ones; absent if one of them was given no reward.
    returns: Option<Returns>,
}

impl std::fmt::Display for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            recorded,
            there,
            periods,
            stopped,
            returns,
        } = self;
        write!(
            f,
            "{recorded} episodes recorded, {there} there already, {periods} control periods in all"
        )?;
        if let Some(Returns {
            mean, interval_95, ..
        }) = returns
        {
            write!(f, "; return {mean:.2} +- {interval_95:.2}")?;
        } else if *recorded > 0 {
            f.write_str("; no return, since nobody gave a reward")?;
        }
        if *recorded > 0 {
            write!(f, ", {stopped} stopped by the guard")?;
        }
        Ok(())
    }
}
