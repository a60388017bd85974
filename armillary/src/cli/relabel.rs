//! `armillary relabel`: logs with rewards that are computed again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use armillary::relabel::{Compared, relabel};
use indicatif::{ProgressBar, ProgressStyle};
use robot::Config;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Relabel {
    /// Run logs, or folders of them.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Robot file of the same arm, whose field `reward` (`joint_goal(..)` or `tip_goal(..)`) says how
    #[arg(long)]
    pub(super) reward: PathBuf,
    /// Folder for the new logs; must not exist. The old logs stay as they are
    #[arg(long)]
    out: PathBuf,
}

/// Makes them.
pub(crate) fn run(arguments: &Relabel) -> anyhow::Result<()> {
    let config = Config::load(&arguments.reward)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop)).context("cannot catch Ctrl-C")?;
    }
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} logs")?);
    let made = relabel(
        &arguments.runs,
        &config,
        &arguments.reward,
        &arguments.out,
        &mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
            !stop.load(Ordering::Relaxed)
        },
    );
    bar.finish_and_clear();
    let made = made?;
    let mut all = Compared::default();
    for log in &made {
        let Compared { rows, after, .. } = log.compared;
        let before = match log.compared.before() {
            Some(before) => format!("{before:.3} before"),
            None => "none before".to_owned(),
        };
        armillary::say!("{}: {rows} rows, return {after:.3}, {before}", log.to.display());
        if let Some(problem) = &log.problem {
            log::warn!(
                "{}: {problem}; the new log has what hangs together",
                log.from.display()
            );
        }
        all = all.and(&log.compared);
    }
    if all.unknown > 0 {
        log::warn!(
            "{} of {} rows have no reward: their joints are not known",
            all.unknown,
            all.rows
        );
    }
    let correlation = all.correlation().map_or(String::new(), |correlation| {
        format!("; correlation with the rewards of before {correlation:.3}")
    });
    armillary::say!(
        "{} logs with {} rows in {}{correlation}",
        made.len(),
        all.rows,
        arguments.out.display()
    );
    Ok(())
}
