//! PlaNet on the DeepMind Control Suite: one command a task trains, evaluates and prints the row, beside the paper's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use episode::Returns;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::curve;
use crate::learn::{self, Device, Learn, Progress};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchDmc {
    /// Task, such as `cartpole-balance`.
    #[arg(long)]
    task: String,
    /// `configs/learn-PRESET.ron`: `dmc-small` for a CPU, `dmc-planet` is the paper's.
    #[arg(long, default_value = "dmc-small")]
    preset: String,
    /// Training seeds, one run each; none (`--seeds` alone) for the search on the true simulator alone.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_value = "1")]
    seeds: Vec<u64>,
    /// CPU threads of the trainer.
    #[arg(long)]
    threads: Option<usize>,
    /// Where the trainer computes.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Episodes of CEM on the true simulator (cartpole balance and swingup, reacher easy and hard: a quarter of an hour each on two cores; hours with others).
    #[arg(long, default_value_t = 0)]
    true_simulator: u64,
    /// Print rows of what there is, and train and search nothing.
    #[arg(long)]
    table: bool,
}

/// Mean returns of Hafner et al. 2019, table 1, and of public score files at 1,000 episodes.
const PAPER: [(&str, [Option<f32>; 3]); 7] = [
    ("cartpole-balance", [Some(998.0), Some(986.0), None]),
    ("cartpole-swingup", [Some(850.0), Some(831.0), Some(821.0)]),
    ("finger-spin", [Some(825.0), Some(744.0), Some(700.0)]),
    ("cheetah-run", [Some(656.0), Some(650.0), Some(662.0)]),
    ("ball_in_cup-catch", [Some(993.0), Some(914.0), Some(930.0)]),
    ("walker-walk", [Some(994.0), Some(890.0), Some(951.0)]),
    ("reacher-easy", [None, None, Some(832.0)]),
];

/// Environment steps at which a row says the return.
const MARKS: [(&str, u64); 4] = [
    ("100 k", 100_000),
    ("500 k", 500_000),
    ("1 M", 1_000_000),
    ("1,000 episodes", 1_000_000),
];

/// Fewer seeds make a partial row.
const SEEDS_WHOLE: usize = 5;

/// Fewer environment steps make a partial row: 1,000 episodes.
const STEPS_WHOLE: u64 = 1_000_000;

/// Environment steps in an episode, whatever the action repeat.
const EPISODE_STEPS: u64 = 1_000;

/// An episode of CEM on the true simulator.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Searched {
    seed: u64,
    total: f64,
    seconds: f64,
}

/// Trains, evaluates, prints.
pub(crate) fn run(arguments: &BenchDmc) -> anyhow::Result<()> {
    let root = crate::root();
    let rig = format!("dmc:{}", arguments.task);
    crate::rig::ensure(&root)?;
    let repeat = crate::rig::describe(&root, &rig)?.action_repeat;
    let dir = root.join("out/bench-dmc");
    fs::create_dir_all(&dir).with_context(|| format!("{}: cannot make the folder", dir.display()))?;
    if !arguments.table {
        search(&root, &dir, arguments)?;
    }
    let learn = |seed| Learn::of_rig(&arguments.preset, &rig, seed, arguments.threads, arguments.device);
    if !arguments.table {
        for &seed in &arguments.seeds {
            learn::run(&learn(seed))?;
        }
    }
    // Those of earlier calls, too.
    let mut runs = Vec::new();
    for seed in learn::seeds(&root, &learn(0))? {
        if let Some(progress) = learn::progress(&root, &learn(seed))? {
            runs.push((seed, progress));
        }
    }
    let searched = searched(&dir, &arguments.task)?;
    report(arguments, &dir, repeat, &runs, &searched)
}

fn search_path(dir: &Path, task: &str) -> PathBuf {
    dir.join(format!("{task}-true-simulator.json"))
}

fn searched(dir: &Path, task: &str) -> anyhow::Result<Vec<Searched>> {
    let path = search_path(dir, task);
    match files::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{}: damaged; remove it to search again", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{}: cannot read", path.display())),
    }
}

/// Episodes that are not there yet, one after the other; each is kept as soon as it is over.
fn search(root: &Path, dir: &Path, arguments: &BenchDmc) -> anyhow::Result<()> {
    let mut found = searched(dir, &arguments.task)?;
    let missing: Vec<u64> = (0..arguments.true_simulator)
        .filter(|seed| found.iter().all(|episode| episode.seed != *seed))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    // Both programs, as learning needs them: another choice would compile them anew, there and back.
    crate::libtorch::ensure(root)?;
    crate::build(root)?;
    for seed in missing {
        println!("CEM on the true simulator of {}, episode {seed}", arguments.task);
        let begun = Instant::now();
        let output = Command::new(root.join("target/release/armillary"))
            .args(["eval", "--json"])
            .args([
                "--rig",
                &format!("dmc:{}", arguments.task),
                "--planner",
                "true-simulator",
            ])
            .args(["--episodes", "1", "--first", &seed.to_string()])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start armillary")?;
        if !output.status.success() {
            bail!("armillary eval ended with {}", output.status);
        }
        let report: Value =
            serde_json::from_slice(&output.stdout).context("armillary eval printed no JSON")?;
        found.push(Searched {
            seed,
            total: report["oracle"]["mean"]
                .as_f64()
                .context("armillary eval printed no return")?,
            seconds: begun.elapsed().as_secs_f64(),
        });
        let path = search_path(dir, &arguments.task);
        // What is there now was read as episodes before.
        files::replace(&path, serde_json::to_string_pretty(&found)?.as_bytes())?;
    }
    Ok(())
}

fn report(
    arguments: &BenchDmc,
    dir: &Path,
    repeat: u64,
    runs: &[(u64, Progress)],
    searched: &[Searched],
) -> anyhow::Result<()> {
    let task = &arguments.task;
    let paper = PAPER
        .iter()
        .find(|(name, _)| name == task)
        .map(|(_, values)| values);
    let shown = |value: Option<f32>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    let mut text = format!("## {task}, action repeat {repeat}\n\n");
    if !searched.is_empty() {
        let totals: Vec<f32> = searched.iter().map(|episode| episode.total as f32).collect();
        let Returns {
            mean: value,
            interval_95: interval,
            ..
        } = Returns::of(totals.clone());
        let minutes = searched.iter().map(|episode| episode.seconds).sum::<f64>() / 60.0;
        let _ = writeln!(
            text,
            "CEM on the true simulator{}: {value:.0}{} over {} seed(s) ({}), {minutes:.0} minutes; paper {}\n",
            if totals.len() < SEEDS_WHOLE {
                " (partial)"
            } else {
                ""
            },
            // One episode has no spread.
            if totals.len() > 1 {
                format!(" +- {interval:.0}")
            } else {
                String::new()
            },
            totals.len(),
            totals
                .iter()
                .map(|total| format!("{total:.0}"))
                .collect::<Vec<_>>()
                .join(", "),
            paper.map_or("-".to_owned(), |paper| shown(paper[0]))
        );
    }
    if !runs.is_empty() {
        let _ = writeln!(
            text,
            "| preset | seed | environment steps | episodes | updates | minutes | return now | 100 k | 500 k | 1 M | 1,000 episodes |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|---|---|");
    }
    let mut csv =
        "task,preset,seed,environment_steps,episodes,updates,minutes,return,interval_95\n".to_owned();
    for (seed, progress) in runs {
        for point in &progress.learned.points {
            let steps = point.agent_steps * repeat;
            let _ = writeln!(
                csv,
                "{task},{},{seed},{steps},{},{},{:.2},{:.3},{:.3}",
                arguments.preset,
                steps / EPISODE_STEPS,
                point.updates,
                point.minutes,
                point.agent_return,
                point.interval_95
            );
        }
        let Some(last) = progress.learned.points.last() else {
            continue;
        };
        let steps = last.agent_steps * repeat;
        let label = if steps >= STEPS_WHOLE { "" } else { " (partial)" };
        let marks: Vec<String> = MARKS
            .iter()
            .map(|(_, mark)| {
                let reached = progress
                    .learned
                    .points
                    .iter()
                    .find(|point| point.agent_steps * repeat >= *mark);
                reached.map_or("-".to_owned(), |point| format!("{:.0}", point.agent_return))
            })
            .collect();
        let _ = writeln!(
            text,
            "| {}{label} | {seed} | {steps} | {} | {} | {:.0} | {:.0} +- {:.0} | {} |",
            arguments.preset,
            steps / EPISODE_STEPS,
            last.updates,
            last.minutes,
            last.agent_return,
            last.interval_95,
            marks.join(" | ")
        );
    }
    if !runs.is_empty() {
        let ends: Vec<f32> = runs
            .iter()
            .filter_map(|(_, progress)| Some(progress.learned.points.last()?.agent_return as f32))
            .collect();
        let over = Returns::of(ends);
        let steps = || {
            let last = runs
                .iter()
                .filter_map(|(_, progress)| progress.learned.points.last());
            last.map(|point| point.agent_steps * repeat)
        };
        let (least, most) = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
        let partial = if over.each.len() < SEEDS_WHOLE || least < STEPS_WHOLE {
            if least == most {
                format!(" (partial), at {least} steps")
            } else {
                format!(" (partial), at {least} to {most} steps")
            }
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "\nOver {} seed(s){partial}: {:.0}{}. +- is half of a 95 % interval by Student's t: above of the episodes of an evaluation, \
             here of the seeds' means.",
            over.each.len(),
            over.mean,
            if over.each.len() > 1 {
                format!(" +- {:.0}", over.interval_95)
            } else {
                String::new()
            }
        );
    }
    if let Some(paper) = paper {
        let _ = writeln!(
            text,
            "\nPaper: PlaNet from pixels {} after 2,000 episodes; public score files {} after 1,000 episodes.",
            shown(paper[1]),
            shown(paper[2])
        );
    }
    print!("{text}");
    let stem = dir.join(format!("{task}-{}", arguments.preset));
    let marked = format!("<!-- {} -->\n{text}", String::from_utf8_lossy(files::MARK));
    files::put(&stem.with_extension("md"), marked.as_bytes(), &files::is_marked)?;
    if runs.is_empty() {
        return Ok(());
    }
    curve::put_csv(&stem.with_extension("csv"), &csv, false)?;
    let names: Vec<String> = runs.iter().map(|(seed, _)| format!("seed {seed}")).collect();
    let lines: Vec<curve::Line> = runs
        .iter()
        .zip(&names)
        .map(|((_, progress), name)| curve::Line {
            name: name.clone(),
            points: progress
                .learned
                .points
                .iter()
                .map(|point| {
                    let steps = (point.agent_steps * repeat) as f64;
                    (steps / 1000.0, point.agent_return, point.interval_95)
                })
                .collect(),
        })
        .collect();
    let levels: Vec<(&str, f64)> = paper
        .and_then(|paper| paper[1])
        .map(|value| ("paper, 2,000 episodes", f64::from(value)))
        .into_iter()
        .collect();
    let png = stem.with_extension("png");
    curve::draw_lines(&png, task, "environment steps, thousands", &lines, &levels)?;
    println!(
        "\ncurve {}, data {}",
        png.display(),
        stem.with_extension("csv").display()
    );
    Ok(())
}
