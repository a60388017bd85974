//! The steps of a learning loop as commands of the two programs.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::Learn;
use super::arm::Arm;
use super::plan::{Plan, Step};

/// The two programs.
pub(super) struct Tools {
    pub(super) armillary: PathBuf,
    pub(super) train: PathBuf,
}

/// What steps are done with.
pub(super) struct Loop<'a> {
    pub(super) plan: &'a Plan,
    pub(super) arms: &'a [Arm],
    pub(super) tools: &'a Tools,
    /// The folder for everything.
    pub(super) out: &'a Path,
    pub(super) arguments: &'a Learn,
}

impl Loop<'_> {
    /// Whether the trainer can have the device that is asked for.
    pub(super) fn device(&self) -> anyhow::Result<()> {
        let output = Command::new(&self.tools.train)
            .args(["devices", "--device", self.arguments.device.name()])
            .output()
            .with_context(|| format!("cannot start {}", self.tools.train.display()))?;
        if !output.status.success() {
            bail!("{}", complaint(&String::from_utf8_lossy(&output.stderr)));
        }
        Ok(())
    }

    /// Does one step; the report of a recording or an evaluation comes back.
    pub(super) fn step(&self, step: &Step) -> anyhow::Result<Option<serde_json::Value>> {
        let mut command = match *step {
            Step::RecordRandom { arm } => self.record_random(&self.arms[arm]),
            Step::Record { arm, round } => self.record(&self.arms[arm], round),
            Step::Train { update } => self.train(update),
            Step::Export { arm } => self.export(&self.arms[arm]),
            Step::Evaluate { arm, last, .. } => self.evaluate(&self.arms[arm], last),
        };
        // The programs' own progress would fight with ours; their log lines go to a file.
        let path = self.out.join("learn.log");
        let mut log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}: cannot write", path.display()))?;
        let before = log.metadata()?.len();
        let output = command
            .stderr(log.try_clone()?)
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        log.write_all(&output.stdout)
            .with_context(|| format!("{}: cannot write", path.display()))?;
        if !output.status.success() {
            let said = fs::read(&path).unwrap_or_default();
            let said = String::from_utf8_lossy(said.get(before as usize..).unwrap_or_default()).into_owned();
            bail!(
                "{step:?} ended with {}: {}; see {}",
                output.status,
                complaint(&said),
                path.display()
            );
        }
        if matches!(step, Step::Train { .. } | Step::Export { .. }) {
            return Ok(None);
        }
        let report = serde_json::from_slice(&output.stdout);
        Ok(Some(report.with_context(|| format!("{step:?} printed no JSON"))?))
    }

    /// Runs of different seeds share no episode.
    fn first_seed(&self) -> u64 {
        self.arguments.seed * 1_000_000
    }

    fn record_random(&self, arm: &Arm) -> Command {
        let ticks = arm.ticks.unwrap_or(self.plan.seed_ticks);
        let mut command = Command::new(&self.tools.armillary);
        command
            .args(["record", "--json", "--policy", "random", "--episodes"])
            .arg(self.plan.seed_episodes.to_string())
            .args(["--ticks", &ticks.to_string()])
            .args(["--seed", &self.first_seed().to_string()])
            .args(arm.arguments())
            .arg("--out")
            .arg(arm.dir.join("runs/random"));
        command
    }

    fn record(&self, arm: &Arm, round: u64) -> Command {
        let plan = self.plan;
        let first = self.first_seed() + 100_000 + round * plan.round_episodes;
        let ticks = arm.ticks.unwrap_or(plan.round_ticks);
        let mut command = Command::new(&self.tools.armillary);
        command
            .args(["record", "--json", "--policy", "planner", "--episodes"])
            .arg(plan.round_episodes.to_string())
            .args(["--ticks", &ticks.to_string()])
            .args(["--seed", &first.to_string()])
            .args(["--noise", &plan.noise.to_string()])
            .arg("--bundle")
            .arg(arm.bundle())
            .args(arm.arguments())
            .args(&plan.planner)
            .arg("--out")
            .arg(arm.dir.join("runs/planner"));
        command
    }

    fn train(&self, until: u64) -> Command {
        let mut command = Command::new(&self.tools.train);
        command
            .args(["train", "--until", &until.to_string()])
            .args(["--seed", &self.arguments.seed.to_string()])
            .args(["--device", self.arguments.device.name()])
            .arg("--preset")
            .arg(&self.plan.train)
            .arg("--out")
            .arg(self.out.join("model"));
        for arm in self.arms {
            command.arg("--runs").arg(arm.dir.join("runs"));
        }
        if let Some(threads) = self.arguments.threads {
            command.arg("--threads").arg(threads.to_string());
        }
        command
    }

    fn export(&self, arm: &Arm) -> Command {
        let mut command = Command::new(&self.tools.train);
        command
            .arg("export")
            .arg("--checkpoint")
            .arg(self.out.join("model/checkpoint.safetensors"))
            .arg("--robot")
            .arg(arm.robot_file())
            .arg("--out")
            .arg(arm.bundle());
        command
    }

    fn evaluate(&self, arm: &Arm, last: bool) -> Command {
        let plan = self.plan;
        let mut command = Command::new(&self.tools.armillary);
        command
            .args(["eval", "--json"])
            .args(arm.arguments())
            .arg("--bundle")
            .arg(arm.bundle())
            .args(&plan.planner);
        if !last {
            command.args(["--episodes", &plan.evaluate_episodes.to_string()]);
            command.args(["--agents", "agent"]);
            return command;
        }
        command.args(["--episodes", &plan.final_episodes.to_string()]);
        command.args(["--first", &plan.final_first.to_string()]);
        if arm.is_rig() {
            // Planning on the true simulator takes a quarter of an hour an episode there.
            command.args(["--agents", "agent,random"]);
        } else {
            command.args(["--oracle-budget", &plan.oracle_budget]);
        }
        command
    }
}

/// What a program of ours complained of last.
fn complaint(said: &str) -> &str {
    let last = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    last.unwrap_or("it said nothing more")
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn the_last_complaint_is_told() {
        let said = "INFO reading\nerror: the first\nerror: the disk is full\nsomething else";
        assert_eq!(complaint(said), "the disk is full");
        assert_eq!(complaint("INFO reading"), "it said nothing more");
    }
}
