//! `armillary recrop`: logs with other images of the same pictures.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use armillary::recrop::{self, Left, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use robot::Config;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Recrop {
    /// Run logs, or folders of them, that were recorded with `capture: (.., keep_pictures: true)`.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Robot file of the same arm, whose `capture` (`side`, `view`, `lens`) says what the new images show. The new logs keep the
    /// camera's own pictures, too, if it says `keep_pictures`.
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Folder for the new logs; must not exist.
    #[arg(long)]
    out: PathBuf,
}

/// Makes them.
pub(crate) fn run(arguments: &Recrop) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop)).context("cannot catch Ctrl-C")?;
    }
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} logs, {msg} rows",
    )?);
    let made = recrop::recrop(
        &arguments.runs,
        &config,
        &arguments.robot,
        &arguments.out,
        &mut |Progress { logs, all, rows }| {
            bar.set_length(all as u64);
            bar.set_position(logs as u64);
            bar.set_message(rows.to_string());
            !stop.load(Ordering::Relaxed)
        },
    );
    bar.finish_and_clear();
    let made = made?;
    for log in &made.logs {
        armillary::say!(
            "{}: {} rows of {}",
            log.to.display(),
            log.rows,
            log.from.display()
        );
        if let Some(why) = &log.ended {
            log::warn!(
                "{}: {why}; the new log ends there, and {} rows are left out",
                log.from.display(),
                log.rows_left_out
            );
        }
    }
    for Left { log, why } in &made.left_out {
        log::warn!("{}: left out: {why}", log.display());
    }
    let rows: usize = made.logs.iter().map(|log| log.rows).sum();
    armillary::say!(
        "{} logs with {rows} rows in {}, images of {side}x{side} pixels",
        made.logs.len(),
        arguments.out.display(),
        side = config.frame_side
    );
    Ok(())
}
