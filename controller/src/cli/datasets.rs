//! `armillary import` and `armillary export`: other people's data sets to run logs, and back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use calibration::JointMapping;
use datasets::{Imported, LastReward, Source, lerobot, npz};
use episode::EpisodeInfo;
use indicatif::{ProgressBar, ProgressStyle};
use robot::Config;
use robot::config::made::{Actuator, Made};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A LeRobotDataset (v3), or a folder of `.npz` episodes as PlaNet and Dreamer write them.
    dataset: PathBuf,
    /// Folder for the logs; must not exist.
    #[arg(long)]
    out: PathBuf,
    /// Camera of a LeRobotDataset, such as `observation.images.front`; the first if not given.
    #[arg(long)]
    camera: Option<String>,
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
    let unfinished = Unfinished::begin(&arguments.out)?;
    let out = unfinished.path.as_path();
    let bar = ProgressBar::new_spinner();
    let last = if arguments.keep_last_reward {
        LastReward::ToLastPicture
    } else {
        LastReward::Drop
    };
    let imported = if from.join("meta/info.json").exists() {
        let dataset = lerobot::Dataset::open(from, arguments.camera.as_deref())?;
        let source = match dataset.robot_text() {
            Some(text) => Source {
                info: dataset.info(),
                robot_text: text.to_owned(),
            },
            None => {
                let comment = "Made by `armillary import`: ranges are those of the goals in the data.";
                made(from, comment, dataset.info(), dataset.actuators())?
            }
        };
        bar.set_style(ProgressStyle::with_template("{spinner} {pos} frames")?);
        let imported = dataset.import(out, &source, last, &mut |rows| bar.inc(rows))?;
        write_robot(out, &source)?;
        imported
    } else {
        let files = npz::list(from)?;
        let width = npz::action_width(&files[0])?;
        let actuators: Vec<Actuator> = (0..width)
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
            pipeline: "immediate".to_owned(),
            period_s: arguments.period_s,
            joint_names: actuators.iter().map(|actuator| actuator.name.clone()).collect(),
            reward_source: "reward".to_owned(),
            ..EpisodeInfo::default()
        };
        let comment = "Made by `armillary import`: actions are in [-1, 1], as PlaNet and Dreamer keep them.";
        let source = made(from, comment, info, &actuators)?;
        bar.set_style(ProgressStyle::with_template("{spinner} {pos}/{len} episodes")?);
        let rows = arguments.rows.map(|rows| match rows {
            Rows::Before => npz::Rows::Before,
            Rows::After => npz::Rows::After,
            Rows::ActionAfter => npz::Rows::ActionAfter,
        });
        let imported = npz::import(&files, out, &source, rows, last, &mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })?;
        write_robot(out, &source)?;
        imported
    };
    bar.finish_and_clear();
    unfinished.finish()?;
    let out = &arguments.out;
    let Imported {
        logs,
        steps,
        clipped,
        last_rewards,
    } = imported;
    let folders: BTreeSet<_> = logs.iter().filter_map(|log| log.parent()).collect();
    if folders.len() > 1 {
        println!(
            "{} tasks, each in a folder of its own: train on one, or give several as --runs",
            folders.len()
        );
    }
    println!(
        "{} episodes, {steps} control periods in {}; {} is their robot file",
        logs.len(),
        out.display(),
        out.join("robot.ron").display()
    );
    if clipped > 0 {
        println!("{clipped} numbers of actions were beyond [-1, 1] and were cut to it");
    }
    if last_rewards > 0 {
        let done = match last {
            LastReward::Drop => "is left out; --keep-last-reward gives it to the last picture instead",
            LastReward::ToLastPicture => "was given to the last picture, a period too early",
        };
        println!(
            "the last action of {last_rewards} episodes has a reward that belongs to a picture after the last: it {done}"
        );
    }
    Ok(())
}

/// A folder that gets its name when it is whole: half a data set trains as well as a whole one, and nobody notices.
struct Unfinished {
    path: PathBuf,
    name: PathBuf,
}

impl Unfinished {
    fn begin(name: &Path) -> anyhow::Result<Self> {
        if name.exists() {
            bail!("{}: exists; name another folder", name.display());
        }
        let Some(last) = name.file_name() else {
            bail!("{}: names no folder; give one that is to be made", name.display());
        };
        let mut last = last.to_owned();
        last.push(".partial");
        // `file_name` has seen past a slash at the end.
        let path = name.with_file_name(last);
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("{}: cannot remove what an attempt left", path.display()))?;
        }
        Ok(Self {
            path,
            name: name.to_owned(),
        })
    }

    fn finish(self) -> anyhow::Result<()> {
        std::fs::rename(&self.path, &self.name)
            .with_context(|| format!("{}: cannot rename {}", self.name.display(), self.path.display()))
    }
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
    let config = Config::parse(&from.join("robot.ron"), robot_text.clone())
        .context("the data set describes no robot that can be driven")?;
    let info = EpisodeInfo {
        config_sha256: config.sha256.clone(),
        joint_calibration_sha256: Some(JointMapping::of(&config).sha256()),
        software: concat!("armillary ", env!("CARGO_PKG_VERSION"), ", import").to_owned(),
        ..info
    };
    Ok(Source { info, robot_text })
}

/// The commands that come after take a robot file.
fn write_robot(out: &Path, source: &Source) -> anyhow::Result<()> {
    let path = out.join("robot.ron");
    std::fs::write(&path, &source.robot_text).with_context(|| format!("{}: cannot write", path.display()))
}

/// Exports.
pub(crate) fn export(arguments: &Export) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} logs")?);
    let unfinished = Unfinished::begin(&arguments.out)?;
    let exported = lerobot::export(&arguments.runs, &unfinished.path, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    unfinished.finish()?;
    bar.finish_and_clear();
    println!(
        "{} episodes, {} frames of {} logs in {}",
        exported.episodes,
        exported.frames,
        exported.logs,
        arguments.out.display()
    );
    Ok(())
}
