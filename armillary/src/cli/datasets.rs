//! `armillary import` and `armillary export`: other people's data sets to run logs, and back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use calibration::JointMapping;
use datasets::lerobot::{Exported, ExportedLog};
use datasets::{Imported, LastReward, Source, lerobot, npz};
use episode::EpisodeInfo;
use files::NewFolder;
use indicatif::{ProgressBar, ProgressStyle};
use robot::Config;
use robot::config::Pipeline;
use robot::config::made::{Actuator, Made};

use super::say::say;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A LeRobotDataset (v3), or a folder of `.npz` episodes as PlaNet and Dreamer write them.
    dataset: PathBuf,
    /// Folder for the logs; must not exist.
    #[arg(long)]
    out: PathBuf,
    /// Camera of a LeRobotDataset, such as `observation.images.front`; the first with colours if not given.
    #[arg(long)]
    camera: Option<String>,
    /// Refuse a data set that does not agree with itself, instead of leaving out and naming what disagrees.
    #[arg(long)]
    strict: bool,
    /// Take an episode's pictures where its own part of a video agrees with its rows, even if the video has more or fewer frames
    /// than its episodes promise. Frames that were lost may then have shifted the pictures of whole episodes.
    #[arg(long)]
    trust_video_times: bool,
    /// What the `.npz` episodes are of.
    #[arg(long, default_value = "imported")]
    task: String,
    /// Control period of the `.npz` episodes, in seconds: the environment's step times the action repeat.
    #[arg(long, default_value_t = 0.05)]
    period_s: f32,
    /// Which action and which reward a row of the `.npz` episodes holds; needed only where it does not show.
    #[arg(long, value_enum)]
    rows: Option<Rows>,
    /// Add the reward of an episode's last action to its last picture, a period too early, where it would be left out: the picture
    /// that it belongs to was not kept.
    #[arg(long)]
    keep_last_reward: bool,
}

/// Of `.npz` episodes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Rows {
    /// The action and the reward that led to its picture (first Dreamers, later PlaNet).
    Before,
    /// The action taken at its picture and the reward it brought (earlier PlaNet).
    After,
    /// The action taken at its picture and the picture's own reward (the third Dreamer).
    ActionAfter,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Folder of run logs, of one robot.
    runs: PathBuf,
    /// Where the LeRobotDataset (v3) is to be; must not exist.
    #[arg(long)]
    out: PathBuf,
}

/// Imports.
pub(crate) fn import(arguments: &Import) -> anyhow::Result<()> {
    let from = &arguments.dataset;
    if !from.is_dir() {
        bail!(
            "{}: is not an existing folder; give the folder of a data set",
            from.display()
        );
    }
    let imported = if is_lerobot(from) {
        import_lerobot(arguments)?
    } else {
        import_npz(arguments)?
    };
    let out = &arguments.out;
    let Imported {
        report,
        episodes,
        logs,
        steps,
        clipped,
        last_rewards,
    } = imported;
    let folders: BTreeSet<_> = logs.iter().filter_map(|log| log.parent()).collect();
    if folders.len() > 1 {
        armillary::say!(
            "{} tasks, each in a folder of its own: train on one, or give several as --runs",
            folders.len()
        );
    }
    armillary::say!(
        "{} logs, {steps} control periods in {}; {} is their robot file",
        logs.len(),
        out.display(),
        out.join("robot.ron").display()
    );
    say(&report.table(episodes, steps));
    if clipped > 0 {
        armillary::say!("{clipped} numbers of actions were beyond [-1, 1] and were cut to it");
    }
    if last_rewards > 0 {
        let done = match last_reward(arguments) {
            LastReward::Drop => "is left out; --keep-last-reward gives it to the last picture instead",
            LastReward::ToLastPicture => "was given to the last picture, a period too early",
        };
        armillary::say!(
            "the last action of {last_rewards} logs has a reward that belongs to a picture after the last: it {done}"
        );
    }
    Ok(())
}

/// Whether a folder is meant to be a LeRobotDataset, whole or not.
fn is_lerobot(from: &Path) -> bool {
    ["meta", "data", "videos"]
        .iter()
        .any(|part| from.join(part).is_dir())
}

fn last_reward(arguments: &Import) -> LastReward {
    if arguments.keep_last_reward {
        LastReward::ToLastPicture
    } else {
        LastReward::Drop
    }
}

fn import_lerobot(arguments: &Import) -> anyhow::Result<Imported> {
    let from = &arguments.dataset;
    let bar = ProgressBar::new_spinner().with_message("comparing what the data set says");
    bar.enable_steady_tick(Duration::from_millis(200));
    let options = lerobot::Options {
        camera: arguments.camera.clone(),
        strict: arguments.strict,
        trust_video_times: arguments.trust_video_times,
        last_reward: last_reward(arguments),
    };
    let dataset = lerobot::Dataset::open(from, options)?;
    let source = match dataset.robot_text() {
        Some(text) => Source {
            info: dataset.info(),
            robot_text: text.to_owned(),
            frame_side: dataset.frame_side(),
        },
        None => {
            let comment = "Made by `armillary import`: ranges are those of the goals in the data.";
            made(from, comment, dataset.info(), dataset.actuators())?
        }
    };
    let folder = NewFolder::begin(&arguments.out)?;
    bar.set_message("");
    bar.set_style(ProgressStyle::with_template("{spinner} {pos} frames")?);
    let imported = dataset.import(folder.path(), &source, &mut |rows| bar.inc(rows))?;
    write_robot(folder.path(), &source)?;
    folder.finish()?;
    bar.finish_and_clear();
    Ok(imported)
}

fn import_npz(arguments: &Import) -> anyhow::Result<Imported> {
    let from = &arguments.dataset;
    let files = npz::list(from)?;
    let actuators: Vec<Actuator> = (0..npz::action_width(&files)?)
        .map(|index| Actuator {
            name: format!("actuator-{index}"),
            low: -1.0,
            high: 1.0,
        })
        .collect();
    let info = EpisodeInfo {
        robot: "npz".to_owned(),
        task: arguments.task.clone(),
        policy: "npz".to_owned(),
        pipeline: Pipeline::Immediate.name().to_owned(),
        period_s: arguments.period_s,
        joint_names: actuators.iter().map(|actuator| actuator.name.clone()).collect(),
        reward_source: "reward".to_owned(),
        ..EpisodeInfo::default()
    };
    let comment = "Made by `armillary import`: actions are in [-1, 1], as PlaNet and Dreamer keep them.";
    if !(0.005..=1.0).contains(&arguments.period_s) {
        bail!(
            "--period-s {}: give the control period, from 0.005 to 1 s",
            arguments.period_s
        );
    }
    let source = made(from, comment, info, &actuators)?;
    let options = npz::Options {
        rows: arguments.rows.map(|rows| match rows {
            Rows::Before => npz::Rows::Before,
            Rows::After => npz::Rows::After,
            Rows::ActionAfter => npz::Rows::ActionAfter,
        }),
        strict: arguments.strict,
        last_reward: last_reward(arguments),
    };
    let folder = NewFolder::begin(&arguments.out)?;
    let bar = ProgressBar::new(files.len() as u64)
        .with_style(ProgressStyle::with_template("{spinner} {pos}/{len} episodes")?);
    let imported = npz::import(from, &files, folder.path(), &source, options, &mut |done, _| {
        bar.set_position(done as u64);
    })?;
    write_robot(folder.path(), &source)?;
    folder.finish()?;
    bar.finish_and_clear();
    Ok(imported)
}

/// Description and robot file of data that has none of ours.
fn made(from: &Path, comment: &str, info: EpisodeInfo, actuators: &[Actuator]) -> anyhow::Result<Source> {
    let robot_text = Made {
        comment,
        name: &info.robot,
        period_s: info.period_s,
        episode_ticks: 100,
        actuators,
        simulator: None,
    }
    .text();
    // What of the data can make this fail is checked before, and named by the data set's own file and field.
    let config = Config::parse(Path::new("robot.ron"), robot_text.clone()).with_context(|| {
        format!(
            "{}: no robot file could be made for this data set: report this as a fault of `import`",
            from.display()
        )
    })?;
    let info = EpisodeInfo {
        config_sha256: config.sha256.clone(),
        joint_calibration_sha256: Some(JointMapping::of(&config).sha256()),
        software: concat!("armillary ", env!("CARGO_PKG_VERSION"), ", import").to_owned(),
        ..info
    };
    Ok(Source {
        info,
        robot_text,
        frame_side: config.frame_side,
    })
}

/// The commands that come after take a robot file.
fn write_robot(out: &Path, source: &Source) -> anyhow::Result<()> {
    let path = out.join("robot.ron");
    std::fs::write(&path, &source.robot_text).with_context(|| format!("{}: cannot write", path.display()))
}

/// Exports.
pub(crate) fn export(arguments: &Export) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} logs")?);
    let Exported {
        episodes,
        frames,
        logs,
        left_out,
    } = lerobot::export(&arguments.runs, &arguments.out, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    for log in &logs {
        armillary::say!("{}", summary(log));
    }
    for log in &left_out {
        armillary::say!(
            "{}: left out, since another attempt at this episode is better",
            log.display()
        );
    }
    armillary::say!(
        "{episodes} episodes, {frames} frames of {} logs in {}",
        logs.len(),
        arguments.out.display()
    );
    let broken = logs.iter().filter(|log| log.problem.is_some()).count();
    if broken > 0 {
        log::warn!(
            "{broken} of {} logs were cut off or damaged (named above): what of them can be read is in the data set, and their \
             episodes are not marked as over (`next.done`)",
            logs.len()
        );
    }
    Ok(())
}

/// A line about what became of a log.
fn summary(log: &ExportedLog) -> String {
    let mut line = format!(
        "{}: {} ticks, {} frames in {} episode(s)",
        log.path.display(),
        log.ticks,
        log.frames,
        log.episodes
    );
    match &log.problem {
        Some(problem) => line.push_str(&format!("; cut off or damaged: {problem}")),
        None if !log.ended => line.push_str("; its end is not that of the episode, so `next.done` is false"),
        None => {}
    }
    line
}
