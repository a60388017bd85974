//! `armillary record`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use controller::eval::Returns;
use controller::session::{EVALUATION_SEEDS, Session};
use indicatif::{ProgressBar, ProgressStyle};

use super::{PipelineName, PolicyName, default_jobs, log_path};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    /// Robot file.
    #[arg(long)]
    robot: PathBuf,
    /// Who chooses the actions.
    #[arg(long, value_enum)]
    policy: PolicyName,
    /// The model, for `--policy planner`.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Standard deviation of the exploration noise added to planned actions.
    #[arg(long, default_value_t = 0.3)]
    noise: f32,
    /// Episodes to record.
    #[arg(long, default_value_t = 1)]
    episodes: u64,
    /// Control periods an episode; the robot file's if not given.
    #[arg(long)]
    ticks: Option<u32>,
    /// Seed of the first episode; the others follow it. Names start pose, target and all noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the logs.
    #[arg(long)]
    out: PathBuf,
    /// Overrides the robot file's pipeline.
    #[arg(long, value_enum)]
    pipeline: Option<PipelineName>,
    /// Episodes run at a time.
    #[arg(long, default_value_t = default_jobs())]
    jobs: usize,
}

/// Records.
pub(crate) fn run(arguments: &Record) -> anyhow::Result<()> {
    let last = arguments.seed.saturating_add(arguments.episodes);
    if last > EVALUATION_SEEDS {
        bail!("--seed: seeds from {EVALUATION_SEEDS} on are kept for evaluation; choose a smaller one");
    }
    let session = Session::new(
        &arguments.robot,
        arguments.bundle.as_deref(),
        arguments.policy.choice(arguments.noise),
        arguments.pipeline.map(Into::into),
    )?;
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{}: cannot make the folder", arguments.out.display()))?;
    // An interrupted recording goes on where it was: whole logs are not recorded again.
    let seeds: Vec<u64> = (arguments.seed..last)
        .filter(|seed| {
            let path = arguments.out.join(format!("episode-{seed:06}.mcap"));
            !path.exists() || !episode::read_episode(&path).is_ok_and(|log| log.complete)
        })
        .collect();
    let ticks = arguments.ticks.unwrap_or(session.config.episode_ticks);
    let bar = ProgressBar::new(seeds.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} episodes, {eta} left  {msg}",
    )?);
    let outcomes = session.run_simulated(
        &seeds,
        ticks,
        arguments.jobs,
        &|seed| log_path(&arguments.out, seed),
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
        arguments.out.display(),
        returns.mean,
        returns.interval_95
    );
    Ok(())
}
