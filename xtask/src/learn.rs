//! The learning loop (PlaNet's Algorithm 1) as a loop of the commands a user has with a real arm: record, train,
//! export, evaluate. Each finished step is noted; an interrupted loop goes on where it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::curve;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Learn {
    /// `configs/learn-PRESET.ron`.
    #[arg(long)]
    preset: String,
    /// Learn on this rig instead of the preset's robot, such as `dmc:cartpole-balance`.
    #[arg(long)]
    rig: Option<String>,
    /// Names all randomness: data, weights, batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Another value for a field of the training preset, such as `model.design=ssm`; may be repeated.
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Folder for everything; `out/learn-PRESET-SEED` if not given, with the values that were set.
    #[arg(long)]
    out: Option<PathBuf>,
    /// CPU threads of the trainer; as many as it likes if not given. One each suits two loops on two cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Where the trainer computes: `cpu` or `cuda`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Put the learned bundle and its curve here at the end.
    #[arg(long)]
    publish: Option<PathBuf>,
}

/// What to do, in what portions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// Robot file, or the name of a rig, such as `dmc:cartpole-balance`.
    robot: String,
    /// Training preset.
    train: PathBuf,
    /// Random episodes to begin with, and their length in control periods; a rig's have their own.
    seed_episodes: u64,
    #[serde(default)]
    seed_ticks: u32,
    /// Updates on those alone.
    first_updates: u64,
    /// Then so many rounds of recording with the planner and training on.
    rounds: u64,
    round_episodes: u64,
    #[serde(default)]
    round_ticks: u32,
    round_updates: u64,
    /// Exploration noise while recording.
    noise: f32,
    /// Evaluate whenever so many updates have passed, on so many targets, and at the end on more.
    evaluate_every: u64,
    evaluate_episodes: u64,
    final_episodes: u64,
    /// Targets of the final evaluation start here: not those the curve was watched on.
    final_first: u64,
    /// The oracle's budget: `paper` or `robot`.
    oracle_budget: String,
    /// More arguments for recording with the planner and for evaluating, such as the paper's search.
    #[serde(default)]
    planner: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    RecordRandom,
    Train(u64),
    Export,
    Record(u64),
    Evaluate { update: u64, last: bool },
}

/// What has been done, and what the evaluations gave.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The preset's three files as they were: steps done under others are not these steps.
    #[serde(default)]
    inputs: Vec<String>,
    steps_done: usize,
    seconds: f64,
    pub(crate) points: Vec<curve::Point>,
    pub(crate) score: Option<serde_json::Value>,
}

impl Learn {
    /// A run on a rig, as `--rig` has it.
    pub(crate) fn of_rig(preset: &str, rig: &str, seed: u64, threads: Option<usize>, device: &str) -> Self {
        Self {
            preset: preset.to_owned(),
            rig: Some(rig.to_owned()),
            seed,
            set: Vec::new(),
            out: None,
            threads,
            device: device.to_owned(),
            publish: None,
        }
    }

    /// The folder for everything.
    fn folder(&self, root: &Path) -> PathBuf {
        if let Some(out) = &self.out {
            return out.clone();
        }
        let rig = self.rig.iter().map(|rig| format!("-{}", rig.replace(':', "-")));
        let values = self.set.iter().filter_map(|set| set.split_once('='));
        let values = values.map(|(_, value)| format!("-{value}"));
        let suffix: String = rig.chain(values).collect();
        root.join(format!("out/learn-{}{suffix}-{}", self.preset, self.seed))
    }
}

/// How far a run has come; `None` if it was not begun.
pub(crate) fn progress(root: &Path, learn: &Learn) -> anyhow::Result<Option<Progress>> {
    let notes = learn.folder(root).join("progress.json");
    match fs::read_to_string(&notes) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{}: damaged", notes.display())),
        Err(_) => Ok(None),
    }
}

impl Plan {
    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::RecordRandom];
        let mut update = 0;
        let mut evaluated = 0;
        while update < self.first_updates {
            update = (update + self.evaluate_every).min(self.first_updates);
            steps.extend([
                Step::Train(update),
                Step::Export,
                Step::Evaluate { update, last: false },
            ]);
            evaluated = update;
        }
        for round in 0..self.rounds {
            update += self.round_updates;
            steps.extend([Step::Record(round), Step::Train(update), Step::Export]);
            if update >= evaluated + self.evaluate_every && round + 1 < self.rounds {
                steps.push(Step::Evaluate { update, last: false });
                evaluated = update;
            }
        }
        steps.push(Step::Evaluate { update, last: true });
        steps
    }

    /// Agent steps recorded by the time `steps` are done.
    fn agent_steps(&self, steps: &[Step]) -> u64 {
        steps
            .iter()
            .map(|step| match step {
                Step::RecordRandom => self.seed_episodes * u64::from(self.seed_ticks),
                Step::Record(_) => self.round_episodes * u64::from(self.round_ticks),
                _ => 0,
            })
            .sum()
    }
}

struct Tools {
    armillary: PathBuf,
    train: PathBuf,
}

/// Arguments of `curves`.
#[derive(Debug, clap::Args)]
pub(crate) struct Curves {
    /// What the picture is called.
    #[arg(long)]
    title: String,
    /// Where to write, without extension: a PNG and a CSV.
    #[arg(long)]
    out: PathBuf,
    /// Folders of runs, finished or not: `out/learn-PRESET-SEED`.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

/// Draws several runs into one picture.
pub(crate) fn curves(arguments: &Curves) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for run in &arguments.runs {
        let notes = run.join("progress.json");
        let text = fs::read_to_string(&notes).with_context(|| {
            format!(
                "{}: cannot read; name the folder of a learning run",
                notes.display()
            )
        })?;
        let progress: Progress =
            serde_json::from_str(&text).with_context(|| format!("{}: damaged", notes.display()))?;
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        let seed = name.rsplit('-').next().unwrap_or_default();
        found.push((format!("seed {seed}"), progress));
    }
    let runs: Vec<_> = found
        .iter()
        .map(|(name, progress)| curve::Run {
            name,
            points: &progress.points,
            score: progress.score.as_ref(),
        })
        .collect();
    curve::write(&arguments.out, &arguments.title, &runs)
}

/// Writes the training preset with other values into `out`.
fn with_fields(preset: &Path, sets: &[String], out: &Path) -> anyhow::Result<PathBuf> {
    let mut text =
        fs::read_to_string(preset).with_context(|| format!("{}: cannot read", preset.display()))?;
    for set in sets {
        let (field, value) = set
            .split_once('=')
            .with_context(|| format!("--set {set}: write FIELD=VALUE, such as model.design=ssm"))?;
        let names: Vec<&str> = field.split('.').collect();
        text = robot::config::edit::with_field(&text, &names, value)
            .with_context(|| format!("--set {set}: {} has no place for it", preset.display()))?;
    }
    let edited = out.join("train.ron");
    fs::write(&edited, text).with_context(|| format!("{}: cannot write", edited.display()))?;
    Ok(edited)
}

/// Learns.
pub(crate) fn run(arguments: &Learn) -> anyhow::Result<()> {
    let root = crate::root();
    crate::libtorch::ensure(&root)?;
    let path = root.join(format!("configs/learn-{}.ron", arguments.preset));
    let text =
        fs::read_to_string(&path).with_context(|| format!("{}: no such learning preset", path.display()))?;
    let mut plan: Plan = ron::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}:{}: {}", path.display(), error.span.start, error.code))?;
    if let Some(rig) = &arguments.rig {
        plan.robot.clone_from(rig);
    }
    if plan.is_rig() {
        crate::rig::ensure(&root)?;
        // Its episodes have the length they have.
        let ticks = crate::rig::describe(&root, &plan.robot)?.episode_ticks;
        (plan.seed_ticks, plan.round_ticks) = (ticks, ticks);
    } else {
        plan.robot = root.join(&plan.robot).display().to_string();
    }
    plan.train = root.join(&plan.train);
    crate::build(&root)?;
    let bin = root.join("target/release");
    let tools = Tools {
        armillary: bin.join("armillary"),
        train: bin.join("armillary-train"),
    };
    let out = arguments.folder(&root);
    fs::create_dir_all(&out).with_context(|| format!("{}: cannot make the folder", out.display()))?;
    if !arguments.set.is_empty() {
        plan.train = with_fields(&plan.train, &arguments.set, &out)?;
    }

    let notes = out.join("progress.json");
    let mut progress = progress(&root, arguments)?.unwrap_or_default();
    let read = |file: &Path| {
        fs::read_to_string(file).with_context(|| {
            format!(
                "{}: names {}, which cannot be read",
                path.display(),
                file.display()
            )
        })
    };
    let robot = if plan.is_rig() {
        plan.robot.clone()
    } else {
        read(Path::new(&plan.robot))?
    };
    let inputs = vec![read(&path)?, robot, read(&plan.train)?];
    if progress.steps_done > 0 && !progress.inputs.is_empty() && progress.inputs != inputs {
        bail!(
            "{}: begun with another learning preset, robot file or training preset; undo the change, or name another --out",
            notes.display()
        );
    }
    progress.inputs = inputs;
    let steps = plan.steps();
    let bar = ProgressBar::new(steps.len() as u64)
        .with_position(progress.steps_done as u64)
        .with_style(ProgressStyle::with_template(
            "{bar:30} step {pos}/{len}, {elapsed_precise}, {eta} left  {msg}",
        )?);
    if progress.steps_done > 0 {
        println!(
            "going on in {} after {} of {} steps",
            out.display(),
            progress.steps_done,
            steps.len()
        );
    }
    for index in progress.steps_done..steps.len() {
        let step = &steps[index];
        bar.set_message(format!("{step:?}"));
        // Above the bar on a terminal, and still said where there is none.
        bar.suspend(|| println!("{:6.1} min  {step:?}", progress.seconds / 60.0));
        let before = Instant::now();
        let found = plan.step(step, &tools, &out, arguments)?;
        progress.seconds += before.elapsed().as_secs_f64();
        if let (Some(report), Step::Evaluate { update, last }) = (found, step) {
            let mean = |agent: &str| report[agent]["mean"].as_f64();
            let agent_steps = plan.agent_steps(&steps[..index]);
            progress.points.push(curve::Point {
                minutes: progress.seconds / 60.0,
                agent_steps,
                updates: *update,
                agent_return: mean("agent").context("the evaluation printed no agent")?,
                interval_95: report["agent"]["interval_95"].as_f64().unwrap_or(0.0),
            });
            bar.suspend(|| {
                println!("            return {:.1}", mean("agent").unwrap_or(f64::NAN));
            });
            if *last {
                progress.score = Some(report);
            }
            let run = curve::Run {
                name: &format!("seed {}", arguments.seed),
                points: &progress.points,
                score: progress.score.as_ref(),
            };
            curve::write(&out.join("learning-curve"), &arguments.preset, &[run])?;
        }
        progress.steps_done = index + 1;
        let partial = notes.with_extension("partial");
        fs::write(&partial, serde_json::to_string_pretty(&progress)?)?;
        fs::rename(&partial, &notes)?;
        bar.set_position(progress.steps_done as u64);
    }
    bar.finish_and_clear();
    finish(arguments, &out, &progress)
}

fn finish(arguments: &Learn, out: &Path, progress: &Progress) -> anyhow::Result<()> {
    let score = progress
        .score
        .as_ref()
        .context("the last evaluation gave no score")?;
    // On a rig there is no oracle to score against.
    let against = if score["score"].is_null() {
        format!(
            "return {} +- {}",
            score["agent"]["mean"], score["agent"]["interval_95"]
        )
    } else {
        format!(
            "score {} (95 % interval {})",
            score["score"], score["score_interval_95"]
        )
    };
    println!(
        "{}: {:.1} minutes, {against}, curve {}",
        arguments.preset,
        progress.seconds / 60.0,
        out.join("learning-curve.png").display()
    );
    if let Some(publish) = &arguments.publish {
        if publish.exists() && !publish.join("manifest.ron").exists() {
            bail!(
                "{}: exists and is not a bundle; name another --publish",
                publish.display()
            );
        }
        fs::create_dir_all(publish)?;
        for entry in fs::read_dir(out.join("bundle"))? {
            let entry = entry?;
            fs::copy(entry.path(), publish.join(entry.file_name()))?;
        }
        for file in ["learning-curve.png", "learning-curve.csv"] {
            fs::copy(out.join(file), publish.join(file))?;
        }
        println!("bundle published in {}", publish.display());
    }
    println!("{}", serde_json::to_string(score)?);
    Ok(())
}

impl Plan {
    /// Whether the robot is a rig, which describes itself.
    fn is_rig(&self) -> bool {
        self.robot.contains(':')
    }

    /// Names the robot to `armillary`.
    fn robot_arguments(&self) -> [&str; 2] {
        [if self.is_rig() { "--rig" } else { "--robot" }, &self.robot]
    }

    /// The robot file for `armillary-train`: that of a rig is among its logs.
    fn robot_file(&self, out: &Path) -> PathBuf {
        if self.is_rig() {
            out.join("runs/random/robot.ron")
        } else {
            PathBuf::from(&self.robot)
        }
    }

    fn step(
        &self,
        step: &Step,
        tools: &Tools,
        out: &Path,
        arguments: &Learn,
    ) -> anyhow::Result<Option<serde_json::Value>> {
        let seed = arguments.seed;
        // Runs of different seeds share no episode.
        let base = seed * 1_000_000;
        let mut command = match step {
            Step::RecordRandom => {
                let mut command = Command::new(&tools.armillary);
                command.args([
                    "record",
                    "--policy",
                    "random",
                    "--episodes",
                    &self.seed_episodes.to_string(),
                ]);
                command.args([
                    "--ticks",
                    &self.seed_ticks.to_string(),
                    "--seed",
                    &base.to_string(),
                ]);
                command.args(self.robot_arguments());
                command.arg("--out").arg(out.join("runs/random"));
                command
            }
            Step::Record(round) => {
                let first = base + 100_000 + round * self.round_episodes;
                let mut command = Command::new(&tools.armillary);
                command.args([
                    "record",
                    "--policy",
                    "planner",
                    "--episodes",
                    &self.round_episodes.to_string(),
                ]);
                command.args([
                    "--ticks",
                    &self.round_ticks.to_string(),
                    "--seed",
                    &first.to_string(),
                ]);
                command.args(["--noise", &self.noise.to_string()]);
                command.arg("--bundle").arg(out.join("bundle"));
                command.args(self.robot_arguments()).args(&self.planner);
                command.arg("--out").arg(out.join("runs/planner"));
                command
            }
            Step::Train(until) => {
                let mut command = Command::new(&tools.train);
                command.args([
                    "train",
                    "--until",
                    &until.to_string(),
                    "--seed",
                    &seed.to_string(),
                    "--device",
                    &arguments.device,
                ]);
                command
                    .arg("--runs")
                    .arg(out.join("runs"))
                    .arg("--preset")
                    .arg(&self.train);
                command.arg("--out").arg(out.join("model"));
                if let Some(threads) = arguments.threads {
                    command.arg("--threads").arg(threads.to_string());
                }
                command
            }
            Step::Export => {
                let mut command = Command::new(&tools.train);
                command
                    .arg("export")
                    .arg("--checkpoint")
                    .arg(out.join("model/checkpoint.safetensors"));
                command.arg("--robot").arg(self.robot_file(out));
                command.arg("--out").arg(out.join("bundle"));
                command
            }
            Step::Evaluate { last, .. } => {
                let mut command = Command::new(&tools.armillary);
                command.args(["eval", "--json"]).args(self.robot_arguments());
                command.arg("--bundle").arg(out.join("bundle"));
                command.args(&self.planner);
                if *last {
                    command.args(["--episodes", &self.final_episodes.to_string()]);
                    command.args(["--first", &self.final_first.to_string()]);
                    if self.is_rig() {
                        // Planning on the true simulator takes a quarter of an hour an episode there.
                        command.args(["--agents", "agent,random"]);
                    } else {
                        command.args(["--oracle-budget", &self.oracle_budget]);
                    }
                } else {
                    command.args([
                        "--episodes",
                        &self.evaluate_episodes.to_string(),
                        "--agents",
                        "agent",
                    ]);
                }
                command
            }
        };
        if !matches!(step, Step::Evaluate { .. }) {
            // The programs' own progress would fight with ours; their log lines go to a file.
            let log = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(out.join("learn.log"))?;
            command.stdout(log.try_clone()?).stderr(log);
            crate::run(&mut command).with_context(|| format!("see {}", out.join("learn.log").display()))?;
            return Ok(None);
        }
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?} ended with {}", output.status);
        }
        Ok(Some(
            serde_json::from_slice(&output.stdout).context("the evaluation did not print JSON")?,
        ))
    }
}
