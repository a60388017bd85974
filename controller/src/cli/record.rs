//! `armillary record`.

use controller::eval::Returns;
use indicatif::{ProgressBar, ProgressStyle};

use super::planner::PlannerOptions;
use super::{Episodes, PipelineName, PolicyName, default_jobs, log_path, policy, recorded};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    #[command(flatten)]
    episodes: Episodes,
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
    let seeds: Vec<u64> = episodes
        .seeds()
        .filter(|seed| !recorded(&episodes.out, *seed))
        .collect();
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
            bar.set_message(format!("return {:.1}", outcome.total_reward));
        },
    )?;
    bar.finish_and_clear();
    let stopped = outcomes
        .iter()
        .filter(|outcome| outcome.stopped.is_some())
        .count();
    let returns = Returns::of(outcomes.iter().map(|outcome| outcome.total_reward).collect());
    println!(
        "{} episodes of {ticks} periods in {}: return {:.2} +- {:.2}, {stopped} stopped by the guard",
        outcomes.len(),
        episodes.out.display(),
        returns.mean,
        returns.interval_95
    );
    Ok(())
}
