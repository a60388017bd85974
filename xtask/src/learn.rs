//! The learning loop (PlaNet's Algorithm 1) as a loop of the commands a user has: record, train,
//! export, evaluate. Each finished step is noted; an interrupted loop goes on where it was.

mod arm;
mod clock;
mod commands;
mod plan;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use files::{NewFolder, OutputError};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use self::arm::Arm;
use self::clock::Clock;
use self::commands::{Loop, Tools};
use self::plan::{Plan, Step, with_fields};
use self::progress::Learned;
pub(crate) use self::progress::Progress;
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
    Progress::read(&notes(&learn.folder(root)))
}

/// Where a run notes how far it has come.
fn notes(out: &Path) -> PathBuf {
    out.join("progress.json")
}

/// The seeds of all runs like this one, begun or finished.
pub(crate) fn seeds(root: &Path, learn: &Learn) -> anyhow::Result<Vec<u64>> {
    let one = learn.folder(root);
    let (Some(parent), Some(name)) = (one.parent(), one.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let folders = files::list(parent).with_context(|| format!("{}: cannot read", parent.display()))?;
    let mut seeds: Vec<u64> = folders
        .iter()
        .filter_map(|folder| folder.file_name()?.to_str()?.strip_prefix(stem)?.parse().ok())
        .collect();
    seeds.sort_unstable();
    Ok(seeds)
}

/// Learns.
pub(crate) fn run(arguments: &Learn) -> anyhow::Result<()> {
    let root = crate::root();
    crate::libtorch::ensure(&root)?;
    let path = root.join(format!("configs/learn-{}.ron", arguments.preset));
    let mut plan = Plan::load(&path, arguments)?;
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
    let own: Vec<Option<u32>> = arms.iter().map(|arm| arm.ticks).collect();
    plan.check_ticks(&own)
        .with_context(|| path.display().to_string())?;
    if !arguments.set.is_empty() {
        plan.train = with_fields(&plan.train, &arguments.set, &out)?;
    }
    let doing = Loop {
        plan: &plan,
        arms: &arms,
        tools: &tools,
        out: &out,
        arguments,
    };
    let mut progress = progress(&root, arguments)?.unwrap_or_default();
    progress
        .take(inputs(&path, &plan, &arms)?)
        .with_context(|| notes(&out).display().to_string())?;
    // Before hours of recording.
    doing.device()?;
    go_on(&doing, &mut progress)?;
    for (arm, learned) in arms.iter().zip(progress.all()) {
        finish(arguments, arm, progress.seconds, learned, &out)?;
    }
    Ok(())
}

/// What is to be the same for a run to go on: the learning preset at `path`, the robots, the training preset.
fn inputs(path: &Path, plan: &Plan, arms: &[Arm]) -> anyhow::Result<Vec<String>> {
    let read = |file: &Path| {
        files::read_to_string(file).with_context(|| {
            format!(
                "{}: names {}, which cannot be read",
                path.display(),
                file.display()
            )
        })
    };
    let mut inputs = vec![read(path)?];
    for arm in arms {
        inputs.push(arm.description().with_context(|| path.display().to_string())?);
    }
    inputs.push(read(&plan.train)?);
    Ok(inputs)
}

/// Does the steps that are left, and notes each.
fn go_on(doing: &Loop<'_>, progress: &mut Progress) -> anyhow::Result<()> {
    let (notes, steps) = (notes(doing.out), doing.plan.steps(doing.arms.len()));
    let done = progress.steps_done;
    let begun = notes.exists();
    clock::prepare(doing.out, begun)?;
    if !begun {
        progress.write(&notes)?;
    }
    progress.seconds = progress.seconds.max(clock::noted(doing.out));
    for (index, arm) in doing.arms.iter().enumerate() {
        let planned = doing.plan.agent_steps(&steps[..done], index, arm.ticks);
        // Older notes did not count.
        progress.of(index).recorded.get_or_insert(planned);
    }
    let bar = ProgressBar::new(steps.len() as u64)
        .with_position(done as u64)
        .with_style(ProgressStyle::with_template(
            "{bar:30} step {pos}/{len}, {elapsed_precise}, {eta} left  {msg}",
        )?);
    if done > 0 {
        println!(
            "going on in {} after {done} of {} steps",
            doing.out.display(),
            steps.len()
        );
    }
    for step in &steps[done..] {
        bar.set_message(format!("{step:?}"));
        // Above the bar on a terminal, and still said where there is none.
        bar.suspend(|| println!("{:6.1} min  {step:?}", progress.seconds / 60.0));
        let clock = Clock::start(doing.out, progress.seconds);
        let found = doing.step(step);
        progress.seconds = clock.stop();
        if found.is_err() {
            // Its time was spent.
            progress.write(&notes)?;
        }
        match (step, found?) {
            (&(Step::RecordRandom { arm } | Step::Record { arm, .. }), Some(report)) => {
                progress.record(arm, &report)?;
            }
            (&Step::Evaluate { arm, update, last }, Some(report)) => {
                let agent_return = progress.evaluate(arm, update, report, last)?;
                bar.suspend(|| println!("            return {agent_return:.1}"));
                draw(doing, progress)?;
            }
            _ => {}
        }
        progress.steps_done += 1;
        progress.write(&notes)?;
        bar.set_position(progress.steps_done as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The curve so far, a line a robot.
fn draw(doing: &Loop<'_>, progress: &Progress) -> anyhow::Result<()> {
    let (arguments, arms) = (doing.arguments, doing.arms);
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
    // The notes of the run lie beside it.
    curve::write(&doing.out.join("learning-curve"), &title, &runs, true)
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
        put_bundle(&arm.bundle(), out, publish)?;
        println!("bundle published in {}", publish.display());
    }
    println!("{}", serde_json::to_string(score)?);
    Ok(())
}

/// What is put beside a published bundle.
const CURVES: [&str; 2] = ["learning-curve.png", "learning-curve.csv"];

/// SHA-256 in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let bytes = Sha256::digest(bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The list of hashes of a bundle.
const SUMS: &str = "SHA256SUMS";

/// Puts a bundle and the curves in `out` into the folder `publish`, in place of a bundle that was put there before and has the hashes
/// that its manifest says. A folder that holds anything else is left as it is.
fn put_bundle(bundle: &Path, out: &Path, publish: &Path) -> anyhow::Result<()> {
    /// What matters here of a manifest.
    #[derive(serde::Deserialize)]
    struct Manifest {
        files: BTreeMap<String, String>,
    }
    let mut older: BTreeSet<String> = CURVES.map(str::to_owned).into();
    if fs::symlink_metadata(publish).is_ok() {
        let text = files::read_to_string(&publish.join("manifest.ron")).unwrap_or_default();
        let manifest = ron::from_str::<Manifest>(&text).ok().with_context(|| {
            format!(
                "{}: exists and is not a bundle; name another --publish",
                publish.display()
            )
        })?;
        older.insert("manifest.ron".to_owned());
        // A list of hashes that says anything else is somebody else's.
        let mut hashes = manifest.files.clone();
        hashes.insert("manifest.ron".to_owned(), sha256(text.as_bytes()));
        let list: String = hashes
            .iter()
            .map(|(name, hash)| format!("{hash}  {name}\n"))
            .collect();
        if files::read_to_string(&publish.join(SUMS)).is_ok_and(|there| there == list) {
            older.insert(SUMS.to_owned());
        }
        for (name, expected) in manifest.files {
            let path = publish.join(&name);
            // A missing file cannot be lost.
            if path.exists() && files::read(&path).map_or(true, |bytes| sha256(&bytes) != expected) {
                return Err(OutputError::Mixed {
                    folder: publish.to_owned(),
                    name,
                }
                .into());
            }
            older.insert(name);
        }
        for name in CURVES {
            // Beside a bundle of ours, those of earlier versions are taken without a mark.
            files::check(&publish.join(name), &|head| curve::is_curve(head, true))?;
        }
    }
    let folder = NewFolder::begin_over(publish)?;
    let copy = |from: &Path| {
        let to = folder.path().join(from.file_name().unwrap_or_default());
        fs::copy(from, &to).with_context(|| format!("{}: cannot copy {}", to.display(), from.display()))
    };
    for path in files::list(bundle).with_context(|| format!("{}: cannot list", bundle.display()))? {
        copy(&path)?;
    }
    for file in CURVES {
        copy(&out.join(file))?;
    }
    Ok(folder.finish_over(&older)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Device, Learn, SUMS, put_bundle, seeds, sha256};

    #[test]
    fn a_bundle_is_published_over_a_bundle_and_over_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [bundle, out, publish] = ["bundle", "out", "publish"].map(|name| dir.path().join(name));
        let marked = String::from_utf8_lossy(files::MARK).into_owned();
        let manifest = format!(
            "(period_s: 0.05, files: {{\"reward.onnx\": \"{}\"}})",
            sha256(b"graph")
        );
        for (path, text) in [
            (bundle.join("manifest.ron"), manifest.clone()),
            (bundle.join("reward.onnx"), "graph".to_owned()),
            (
                bundle.join(SUMS),
                format!(
                    "{}  manifest.ron\n{}  reward.onnx\n",
                    sha256(manifest.as_bytes()),
                    sha256(b"graph")
                ),
            ),
            (out.join("learning-curve.png"), marked.clone()),
            (out.join("learning-curve.csv"), marked),
        ] {
            fs::create_dir_all(path.parent().expect("a folder")).expect("makes the folder");
            fs::write(path, text).expect("writes");
        }
        for _ in 0..2 {
            put_bundle(&bundle, &out, &publish).expect("publishes");
            assert_eq!(files::list(&publish).expect("lists").len(), 5);
        }
        for name in ["reward.onnx", "learning-curve.csv"] {
            let path = publish.join(name);
            let whole = fs::read(&path).expect("is there");
            fs::write(&path, "three years of work").expect("writes");
            let refused = put_bundle(&bundle, &out, &publish).expect_err("holds another file of that name");
            assert!(refused.to_string().contains(name), "{refused}");
            assert_eq!(fs::read(&path).expect("is there"), b"three years of work");
            fs::write(&path, whole).expect("writes");
        }
        let notes = publish.join("README.md");
        fs::write(&notes, "three years of work").expect("writes");
        let refused = put_bundle(&bundle, &out, &publish).expect_err("holds something else");
        assert!(refused.to_string().contains("README.md"), "{refused}");
        assert_eq!(fs::read(&notes).expect("is there"), b"three years of work");
        assert!(publish.join("manifest.ron").exists());
        let thesis = dir.path().join("thesis");
        fs::create_dir(&thesis).expect("makes the folder");
        let refused = put_bundle(&bundle, &out, &thesis).expect_err("is no bundle");
        assert!(refused.to_string().contains("not a bundle"), "{refused}");
    }

    #[test]
    fn runs_are_found_by_their_seed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["11", "2", "rnn-3", "x"] {
            fs::create_dir_all(root.join(format!("out/learn-p-dmc-t-{name}"))).unwrap();
        }
        let found = seeds(root, &Learn::of_rig("p", "dmc:t", 0, None, Device::Cpu));
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
