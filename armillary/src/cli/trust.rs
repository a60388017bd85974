//! `armillary trust`: thresholds of the trust monitor, learned from logs of good runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use armillary::trust::{Learned, Lesson, is_good, learn};
use controller::replay::recorded_config;
use robot::Config;
use robot::config::{Trust as Settings, edit};
use world_model::Bundle;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Trust {
    /// Logs of good runs, or folders of them.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Robot file whose other settings stay; that of the first log if not given.
    #[arg(long)]
    robot: Option<PathBuf>,
    /// Model whose innovation is learned; that of each log as it was recorded if not given.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Put the thresholds into the robot file; its other settings, comments and layout stay.
    #[arg(long, requires = "robot")]
    write: bool,
}

/// Learns and tells.
pub(crate) fn run(arguments: &Trust) -> anyhow::Result<()> {
    let logs = good_logs(&arguments.runs)?;
    let bundle = arguments.bundle.as_deref().map(Bundle::load).transpose()?;
    let config = match &arguments.robot {
        Some(robot) => Config::load(robot)?,
        None => {
            let first = &logs[0];
            recorded_config(first, &episode::read_episode(first)?)?
        }
    };
    if let Some(bundle) = &bundle {
        bundle.check_robot(&config)?;
    }
    check_robot(&logs, &config)?;
    let paths: Vec<&Path> = logs.iter().map(PathBuf::as_path).collect();
    let lesson = learn(&paths, bundle.as_ref())?;
    let fields = fields(&lesson, &config.trust);
    let line: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    armillary::say!("{}    trust: ({}),", told(&lesson), line.join(", "));
    match &arguments.robot {
        Some(robot) if arguments.write => write(robot, &fields),
        _ => Ok(()),
    }
}

/// Logs in which nothing went wrong. Others are named and left out.
fn good_logs(runs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut good = Vec::new();
    for run in runs {
        let logs = if run.is_dir() {
            episode::list_episodes(run)?.logs
        } else {
            vec![run.clone()]
        };
        for log in logs {
            let mut last = None;
            let rows = episode::read_rows(&log, |_, row| last = Some(row.guard.reason))?;
            if is_good(rows.complete, last) {
                good.push(log);
            } else {
                let why = rows.problem.unwrap_or_else(|| {
                    last.map_or_else(
                        || "it holds no tick".to_owned(),
                        |reason| reason.advice().to_owned(),
                    )
                });
                log::warn!(
                    "{}: is left out, since it is no log of a good run: {why}",
                    log.display()
                );
            }
        }
    }
    if good.is_empty() {
        bail!("no log of a run that went well; record some with `armillary run` or `armillary record`");
    }
    Ok(good)
}

/// Refuses logs of another robot.
fn check_robot(logs: &[PathBuf], config: &Config) -> anyhow::Result<()> {
    for log in logs {
        let info = episode::read_rows(log, |_, _| {})?.info;
        if info.robot != config.name || info.joint_names.len() != config.joint_count() {
            bail!(
                "{}: is of robot `{}` with {} joints, and not of `{}` with {}; leave it out, or name its robot file with --robot",
                log.display(),
                info.robot,
                info.joint_names.len(),
                config.name,
                config.joint_count()
            );
        }
    }
    Ok(())
}

/// The fields of `trust` in a robot file, with what was learned in the place of what is there.
fn fields(lesson: &Lesson, there: &Settings) -> Vec<(&'static str, String)> {
    let or = |learned: Option<Learned>, above: f32, ticks: u32| {
        learned.map_or((above, ticks), |learned| {
            (learned.threshold.above, learned.threshold.ticks)
        })
    };
    let (nats, kl_ticks) = or(lesson.innovation, there.kl_max_nats, there.kl_ticks);
    let sum = lesson
        .innovation_sum
        .map_or(there.kl_sum_nats, |learned| Some(learned.threshold.above));
    let (track_rad, track_ticks) = or(lesson.track, there.track_max_rad, there.track_ticks);
    let (light, _) = or(lesson.light, there.light_change_max, 0);
    vec![
        ("kl_max_nats", format!("{nats:?}")),
        ("kl_ticks", kl_ticks.to_string()),
        ("frozen_ticks", there.frozen_ticks.to_string()),
        ("track_max_rad", format!("{track_rad:?}")),
        ("track_ticks", track_ticks.to_string()),
        ("light_change_max", format!("{light:?}")),
        ("tail_ticks", there.tail_ticks.to_string()),
        ("kl_sum_nats", format!("{sum:?}")),
    ]
}

/// What was learned, and how often it would have been wrong, for a person.
fn told(lesson: &Lesson) -> String {
    let mut text = format!(
        "learned from {} ticks of {} logs, and tried on {} ticks of {} others\n",
        lesson.learned.1, lesson.learned.0, lesson.tried.1, lesson.tried.0
    );
    for (name, unit, learned) in [
        ("innovation", "nats", lesson.innovation),
        (
            "innovation of five pictures together",
            "nats",
            lesson.innovation_sum,
        ),
        ("distance of joints from where they are led", "rad", lesson.track),
        ("change of brightness", "of the brightness before", lesson.light),
    ] {
        let Some(learned) = learned else {
            let _ = writeln!(
                text,
                "{name}: these logs say nothing of it, so that the setting stays"
            );
            continue;
        };
        let threshold = learned.threshold;
        let _ = writeln!(
            text,
            "{name}: at most {:.4} {unit}; an alarm is above {} for {} in a row; {} false alarms in {} that were not learned from, so that there \
             are fewer than {:.1e} a tick (95 % confidence)",
            learned.largest,
            threshold.above,
            threshold.ticks + 1,
            learned.alarms,
            learned.tried_ticks,
            learned.rate_max()
        );
    }
    if let Some((usual, most)) = lesson.reward_error {
        let _ = writeln!(
            text,
            "error of predicted rewards: below {usual:.4} in 99 of 100 ticks, at most {most:.4}; the guard makes no use of it"
        );
    }
    histogram(&mut text, &lesson.nats);
    text
}

/// Innovation by powers of two.
fn histogram(text: &mut String, nats: &[f32]) {
    const WIDTH: usize = 50;
    let power = |value: f32| value.max(0.25).log2().floor() as i32;
    let Some(highest) = nats.iter().copied().map(power).max() else {
        return;
    };
    let lowest = nats.iter().copied().map(power).min().unwrap_or(highest);
    let counts: Vec<usize> = (lowest..=highest)
        .map(|at| nats.iter().filter(|value| power(**value) == at).count())
        .collect();
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    text.push_str("innovation of the ticks that were learned from, in nats:\n");
    for (at, count) in (lowest..=highest).zip(counts) {
        let bar = "#".repeat((count * WIDTH).div_ceil(most));
        let _ = writeln!(text, "  below {:>8} {count:>7} {bar}", 2_f32.powi(at + 1));
    }
}

/// Puts the fields into a robot file.
fn write(path: &Path, fields: &[(&'static str, String)]) -> anyhow::Result<()> {
    let mut text = robot::config::read(path)?;
    for (name, value) in fields {
        text = edit::with_field(&text, &["trust", name], value).with_context(|| {
            format!(
                "{}: field `trust.{name}` cannot be found to be changed; write `trust: (...)` with plain fields",
                path.display()
            )
        })?;
    }
    Config::parse(path, text.clone())?;
    files::replace(path, text.as_bytes()).context("cannot write the robot file")
}
