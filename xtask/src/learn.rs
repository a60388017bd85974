//! The learning loop (PlaNet's Algorithm 1) as a loop of the commands a user has: record, train,
//! export, evaluate. Each finished step is noted; an interrupted loop goes on where it was.

mod plan;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use self::plan::{Arm, Loop, Plan, Step, Tools};
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
    /// Where the trainer computes.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Put the learned bundle and its curve here at the end.
    #[arg(long)]
    publish: Option<PathBuf>,
}

/// Where the trainer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// The processor.
    Cpu,
    /// The first GPU.
    Cuda,
}

impl Device {
    /// As `armillary-train` has it.
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// What has been done, and what the evaluations gave.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The preset's three files as they were: steps done under others are not these steps.
    #[serde(default)]
    inputs: Vec<String>,
    steps_done: usize,
    seconds: f64,
    #[serde(flatten)]
    pub(crate) learned: Learned,
    /// The same of more robots, where one agent learns several.
    #[serde(default)]
    more: Vec<Learned>,
}

/// What evaluations on one robot gave.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Learned {
    pub(crate) points: Vec<curve::Point>,
    /// Control periods recorded so far.
    #[serde(default)]
    recorded: Option<u64>,
    pub(crate) score: Option<serde_json::Value>,
}

impl Progress {
    /// Those of all robots.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Learned> {
        std::iter::once(&self.learned).chain(&self.more)
    }

    fn of(&mut self, arm: usize) -> &mut Learned {
        match arm.checked_sub(1) {
            None => &mut self.learned,
            Some(more) => {
                if self.more.len() <= more {
                    self.more.resize(more + 1, Learned::default());
                }
                &mut self.more[more]
            }
        }
    }
}

impl Learn {
    /// A run on a rig, as `--rig` has it.
    pub(crate) fn of_rig(preset: &str, rig: &str, seed: u64, threads: Option<usize>, device: Device) -> Self {
        Self {
            preset: preset.to_owned(),
            rig: Some(rig.to_owned()),
            seed,
            set: Vec::new(),
            out: None,
            threads,
            device,
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
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| {
            format!(
                "{}: damaged; remove it to do all of its run's steps again, beside the logs that are there",
                notes.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot read", notes.display())),
    }
}

/// The seeds of all runs like this one, begun or finished.
pub(crate) fn seeds(root: &Path, learn: &Learn) -> anyhow::Result<Vec<u64>> {
    let one = learn.folder(root);
    let (Some(parent), Some(name)) = (one.parent(), one.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let entries = fs::read_dir(parent).with_context(|| format!("{}: cannot read", parent.display()))?;
    let mut seeds: Vec<u64> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(stem)?.parse().ok())
        .collect();
    seeds.sort_unstable();
    Ok(seeds)
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
        plan.more_robots.clear();
    }
    if arguments.publish.is_some() && !plan.more_robots.is_empty() {
        bail!(
            "{}: learns several robots, --publish takes one bundle; copy those that you want from the folder of the run",
            path.display()
        );
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
    let arms = Arm::all(&plan, &root, &out)?;
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
    let mut inputs = vec![read(&path)?];
    for arm in &arms {
        inputs.push(arm.description().with_context(|| path.display().to_string())?);
    }
    inputs.push(read(&plan.train)?);
    let same = progress.inputs.len() == inputs.len()
        && progress
            .inputs
            .iter()
            .zip(&inputs)
            .all(|(was, is)| without_optimiser(was) == without_optimiser(is));
    if progress.steps_done > 0 && !progress.inputs.is_empty() && !same {
        bail!(
            "{}: begun with another learning preset, robot file or training preset; undo the change, or name another --out",
            notes.display()
        );
    }
    progress.inputs = inputs;
    let steps = plan.steps(arms.len());
    let doing = Loop {
        plan: &plan,
        arms: &arms,
        tools: &tools,
        out: &out,
        arguments,
    };
    // Before hours of recording.
    doing.device()?;
    for (index, arm) in arms.iter().enumerate() {
        let planned = plan.agent_steps(&steps[..progress.steps_done], index, arm);
        // Older notes did not count.
        progress.of(index).recorded.get_or_insert(planned);
    }
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
        let found = doing.step(step);
        progress.seconds += before.elapsed().as_secs_f64();
        if found.is_err() {
            // Its time was spent.
            note(&notes, &progress)?;
        }
        let found = found?;
        if let (Some(report), &(Step::RecordRandom { arm } | Step::Record { arm, .. })) = (&found, step) {
            let periods = report["periods"]
                .as_u64()
                .context("recording printed no `periods`")?;
            *progress.of(arm).recorded.get_or_insert(0) += periods;
        }
        if let (Some(report), &Step::Evaluate { arm, update, last }) = (found, step) {
            let minutes = progress.seconds / 60.0;
            let learned = progress.of(arm);
            let agent_steps = learned.recorded.unwrap_or_default();
            let point = point(&report, minutes, agent_steps, update)?;
            bar.suspend(|| println!("            return {:.1}", point.agent_return));
            learned.points.push(point);
            if last {
                learned.score = Some(report);
            }
            draw(arguments, &arms, &out, &progress)?;
        }
        progress.steps_done = index + 1;
        note(&notes, &progress)?;
        bar.set_position(progress.steps_done as u64);
    }
    bar.finish_and_clear();
    for (arm, learned) in arms.iter().zip(progress.all()) {
        finish(arguments, arm, progress.seconds, learned, &out)?;
    }
    Ok(())
}

/// Keeps how far it has come.
fn note(notes: &Path, progress: &Progress) -> anyhow::Result<()> {
    let partial = notes.with_extension("partial");
    fs::write(&partial, serde_json::to_string_pretty(progress)?)
        .and_then(|()| fs::rename(&partial, notes))
        .with_context(|| format!("{}: cannot write", notes.display()))
}

/// A preset without what may change on the way: after an explosion, the optimiser's settings must.
fn without_optimiser(preset: &str) -> String {
    robot::config::edit::with_field(preset, &["optimiser"], "()").unwrap_or_else(|| preset.to_owned())
}

/// One evaluation.
fn point(
    report: &serde_json::Value,
    minutes: f64,
    agent_steps: u64,
    updates: u64,
) -> anyhow::Result<curve::Point> {
    let agent = &report["agent"];
    Ok(curve::Point {
        minutes,
        agent_steps,
        updates,
        agent_return: agent["mean"]
            .as_f64()
            .context("the evaluation printed no agent")?,
        interval_95: agent["interval_95"].as_f64().unwrap_or(0.0),
    })
}

/// The curve so far, a line a robot.
fn draw(arguments: &Learn, arms: &[Arm], out: &Path, progress: &Progress) -> anyhow::Result<()> {
    let seed = format!("seed {}", arguments.seed);
    let name = |arm: &Arm| match arms {
        [_] => seed.clone(),
        _ => {
            let folder = arm.dir.file_name().unwrap_or_default();
            format!("{}, {seed}", folder.to_string_lossy())
        }
    };
    let names: Vec<String> = arms.iter().map(name).collect();
    let runs: Vec<curve::Run<'_>> = names
        .iter()
        .zip(progress.all())
        .map(|(name, learned)| curve::Run {
            name,
            points: &learned.points,
            score: learned.score.as_ref(),
        })
        .collect();
    let title = match &arguments.rig {
        Some(rig) => format!("{}, {rig}", arguments.preset),
        None => arguments.preset.clone(),
    };
    curve::write(&out.join("learning-curve"), &title, &runs)
}

fn finish(arguments: &Learn, arm: &Arm, seconds: f64, learned: &Learned, out: &Path) -> anyhow::Result<()> {
    let score = learned
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
        "{}, {}: {:.1} minutes, {against}, curve {}",
        arguments.preset,
        arm.robot,
        seconds / 60.0,
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
        for entry in fs::read_dir(arm.bundle())? {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Device, Learn, seeds, without_optimiser};

    #[test]
    fn an_optimiser_may_be_changed_on_the_way_and_nothing_else() {
        let preset = "(model: (belief: 200), optimiser: (learning_rate: 1e-3, batch: 50))";
        assert_eq!(
            without_optimiser(preset),
            without_optimiser(&preset.replace("1e-3", "5e-4"))
        );
        assert_ne!(
            without_optimiser(preset),
            without_optimiser(&preset.replace("200", "100"))
        );
        assert_ne!(
            without_optimiser("dmc:cartpole-balance"),
            without_optimiser("dmc:cartpole-swingup")
        );
    }

    #[test]
    fn runs_are_found_by_their_seed() {
        let root = std::env::temp_dir().join(format!("armillary-seeds-{}", std::process::id()));
        for name in ["11", "2", "rnn-3", "x"] {
            std::fs::create_dir_all(root.join(format!("out/learn-p-dmc-t-{name}"))).unwrap();
        }
        let found = seeds(&root, &Learn::of_rig("p", "dmc:t", 0, None, Device::Cpu));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found.unwrap(), [2, 11]);
        assert!(
            seeds(
                Path::new("nowhere"),
                &Learn::of_rig("p", "dmc:t", 0, None, Device::Cpu)
            )
            .is_err()
        );
    }
}
