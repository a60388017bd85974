//! `armillary demo`: a simulated arm behind a real serial port, driven in real time by the shipped model.

use armillary::simulation;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use armillary::{picture, report};
use controller::lockstep::Outcome;
use controller::session::{EVALUATION_SEEDS, PolicyChoice, Session};
use episode::Episode;
use serde::Serialize;
use world_model::Bundle;

use super::log_path;
use super::run::LiveArm;
use super::say::say;
use super::scores::{Scores, budget_text, given, lockstep_returns};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Robot file.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    robot: PathBuf,
    /// The model.
    #[arg(long, default_value = "models/reach")]
    bundle: PathBuf,
    /// A second arm scored beside the first, in lockstep; skipped if it is the first, or its bundle is not there.
    #[arg(long, default_value = "configs/sim-planar.ron")]
    beside_robot: PathBuf,
    /// Its model.
    #[arg(long, default_value = "models/reach-planar")]
    beside_bundle: PathBuf,
    /// Episodes, a fresh target each, drawn from seeds never trained on.
    #[arg(long, default_value_t = 10)]
    episodes: u64,
    /// Folder for logs, report and animation.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
}

impl Demo {
    /// The robot files and bundles that it reads.
    pub(super) fn loaded(&self) -> Vec<&Path> {
        let mut files = vec![self.robot.as_path(), &self.bundle];
        if self.has_beside() {
            files.extend([self.beside_robot.as_path(), &self.beside_bundle]);
        }
        files
    }

    /// Whether a second arm is scored.
    fn has_beside(&self) -> bool {
        self.beside_bundle.exists() && self.beside_robot != self.robot
    }
}

/// Ticks between two pictures of the strip.
const STRIP_EVERY: usize = 6;

/// The last line that the demo prints.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    scores: Scores,
    episodes: usize,
    ticks: u32,
    deadline_misses: u32,
    host_stalls: u32,
    log: PathBuf,
    report: PathBuf,
    gif: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Scores>,
}

/// The bridge in a process of its own; ended with the demo.
struct Bridge {
    child: Child,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Already gone is as good as killed; `watch_parent` covers the case that we are.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the demo.
pub(crate) fn run(arguments: &Demo) -> anyhow::Result<()> {
    for path in [&arguments.robot, &arguments.bundle] {
        if !path.exists() {
            bail!(
                "{}: not found; run the demo from the repository's root, or pass --robot and --bundle",
                path.display()
            );
        }
    }
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let session = simulation::session(&arguments.robot, Some(&arguments.bundle), policy, None)?;
    let ticks = session.config.episode_ticks;
    let seeds = evaluation_seeds(arguments.episodes);
    let out = fresh_folder(&arguments.out)?;
    armillary::say!(
        "{}: {} episodes of {:.0} s in real time, logs in {}",
        session.config.name,
        seeds.len(),
        ticks as f32 * session.config.period_s,
        out.display()
    );

    let sockets = tempfile::tempdir().context("cannot make a temporary folder for the sockets")?;
    let (port, frames) = (sockets.path().join("arm"), sockets.path().join("camera"));
    let bridge = start_bridge(&arguments.robot, &port, &frames)?;
    let mut arm = LiveArm::open(&session, Some(&port), Some(&frames))?;
    let mut outcomes = Vec::new();
    let driven = drive(&session, &mut arm, &seeds, &out, &mut outcomes);
    arm.close(driven)?;
    drop(bridge);

    armillary::say!("random actions and planning on the true simulator, same targets, in lockstep");
    let agent = given(&outcomes)?;
    let scores = Scores::of(&arguments.robot, &session, agent.clone(), &seeds, ticks)?;
    let mut digest = report::Digest::default();
    for outcome in &outcomes {
        digest.read(&outcome.log)?;
    }
    let bundle = session.bundle.as_ref().context("the demo runs a bundle")?;
    // The episode that went worst has the most to tell.
    let worst = (0..outcomes.len()).min_by(|a, b| agent[*a].total_cmp(&agent[*b]));
    let pictures = match worst {
        Some(worst) => {
            let path = &outcomes[worst].log;
            pictures(&session, bundle, path, &episode::read_episode(path)?, &out)?
        }
        None => None,
    };
    let (gif, strip) = pictures.unzip();
    let planner = &session.config.planner;
    let mut facts = scores.facts();
    facts.extend([
        (
            "control period".to_owned(),
            format!("{} s", session.config.period_s),
        ),
        ("planner".to_owned(), budget_text(planner)),
        ("bundle".to_owned(), bundle.sha256()),
    ]);
    let summary = Summary {
        scores,
        episodes: seeds.len(),
        ticks: outcomes.iter().map(|outcome| outcome.ticks).sum(),
        deadline_misses: outcomes.iter().map(|outcome| outcome.deadline_misses).sum(),
        host_stalls: outcomes.iter().map(|outcome| outcome.host_stalls).sum(),
        log: out.clone(),
        report: out.join("report.html"),
        gif,
        beside: beside(arguments)?,
    };
    report::write(
        &summary.report,
        "Armillary demo",
        &facts,
        &digest,
        strip.as_deref(),
    )?;
    armillary::say!("{}", summary.scores);
    if let Some(beside) = &summary.beside {
        armillary::say!("beside it, in lockstep, {beside}");
    }
    armillary::say!("report {}", summary.report.display());
    armillary::say!("{}", serde_json::to_string(&summary)?);
    Ok(())
}

/// Drives one episode a seed.
fn drive(
    session: &Session,
    arm: &mut LiveArm,
    seeds: &[u64],
    out: &Path,
    outcomes: &mut Vec<Outcome>,
) -> anyhow::Result<()> {
    let ticks = session.config.episode_ticks;
    for (index, &seed) in seeds.iter().enumerate() {
        let outcome = arm.episode(session, seed, ticks, &log_path(out, seed - EVALUATION_SEEDS))?;
        armillary::say!(
            "  {:2}/{}: return {:>6}, {} deadlines missed ({} by the machine){}",
            index + 1,
            seeds.len(),
            outcome.return_text(),
            outcome.deadline_misses,
            outcome.host_stalls,
            outcome
                .stopped
                .map_or_else(String::new, |reason| format!(", stopped: {}", reason.advice()))
        );
        outcomes.push(outcome);
        if let Some(ended) = arm.interrupted() {
            bail!("{ended}, in {}", out.display());
        }
    }
    Ok(())
}

/// The other arm, in lockstep.
fn beside(arguments: &Demo) -> anyhow::Result<Option<Scores>> {
    let (robot, bundle) = (&arguments.beside_robot, &arguments.beside_bundle);
    if !arguments.has_beside() {
        return Ok(None);
    }
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let session = simulation::session(robot, Some(bundle), policy, None)?;
    let seeds = evaluation_seeds(arguments.episodes);
    let ticks = session.config.episode_ticks;
    let agent = lockstep_returns(&session, &seeds, ticks)?;
    Scores::of(robot, &session, agent, &seeds, ticks).map(Some)
}

/// An episode as an animation and as a strip, in files beside its log; none for a bundle without decoder.
fn pictures(
    session: &Session,
    bundle: &Bundle,
    path: &Path,
    log: &Episode,
    out: &Path,
) -> anyhow::Result<Option<(PathBuf, Vec<u8>)>> {
    let panels = picture::panels(path, log, bundle)?;
    if panels.is_empty() {
        return Ok(None);
    }
    let stem = out.join("seen-believed-imagined");
    let gif = picture::write_gif(&stem.with_extension("gif"), &panels, session.config.period_s)?;
    let strip = picture::write_strip(&stem.with_extension("png"), &panels, STRIP_EVERY)?;
    Ok(Some((gif, strip)))
}

fn evaluation_seeds(count: u64) -> Vec<u64> {
    (0..count).map(|index| EVALUATION_SEEDS + index).collect()
}

fn start_bridge(robot: &Path, port: &Path, frames: &Path) -> anyhow::Result<Bridge> {
    let program = std::env::current_exe().context("cannot find this program's own path")?;
    let mut child = Command::new(program)
        .arg("sim")
        .arg("--robot")
        .arg(robot)
        .arg("--serial")
        .arg(port)
        .arg("--frames")
        .arg(frames)
        .arg("--watch-parent")
        // Ctrl-C is for the controller, which stops the arm; the arm must be there for it.
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the simulator bridge")?;
    let output = child.stdout.take().context("the bridge has no output")?;
    let bridge = Bridge { child };
    let mut line = String::new();
    // The bridge prints its paths once both can be opened.
    BufReader::new(output)
        .read_line(&mut line)
        .context("the bridge said nothing")?;
    if line.is_empty() {
        bail!("the simulator bridge ended before it was ready; its message is above");
    }
    say(&line);
    Ok(bridge)
}

/// `out`, or `out-2` and so on: a demo never overwrites another's logs.
fn fresh_folder(out: &Path) -> anyhow::Result<PathBuf> {
    if let Some(above) = out.parent() {
        std::fs::create_dir_all(above)
            .with_context(|| format!("{}: cannot make the folder", above.display()))?;
    }
    let mut folder = out.to_owned();
    let mut attempt = 1;
    // Made, not looked for: two demos that begin at the same time get a folder each.
    loop {
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                return made
                    .map(|()| folder.clone())
                    .with_context(|| format!("{}: cannot make the folder", folder.display()));
            }
        }
        attempt += 1;
        folder = out.with_file_name(format!(
            "{}-{attempt}",
            out.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
}
