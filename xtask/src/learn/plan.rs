//! What a learning loop does, in what portions: PlaNet's Algorithm 1 as a list of the commands a user would type.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::Learn;

/// `configs/learn-PRESET.ron`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Robot file, or the name of a rig, such as `dmc:cartpole-balance`.
    pub(super) robot: String,
    /// More of them: one agent learns all, with its actions padded to the largest.
    #[serde(default)]
    pub(super) more_robots: Vec<String>,
    /// Training preset.
    pub(super) train: PathBuf,
    /// Random episodes of each robot to begin with, and their length in control periods; a rig's have their own.
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

/// A command of the loop. `arm` counts the robots.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    RecordRandom { arm: usize },
    Train { update: u64 },
    Export { arm: usize },
    Record { arm: usize, round: u64 },
    Evaluate { arm: usize, update: u64, last: bool },
}

impl Plan {
    /// All steps, in order, for so many robots.
    pub(super) fn steps(&self, arms: usize) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..arms).map(|arm| Step::RecordRandom { arm }).collect();
        let mut update = 0;
        let mut evaluated = 0;
        let evaluations = |update, last| (0..arms).map(move |arm| Step::Evaluate { arm, update, last });
        while update < self.first_updates {
            update = (update + self.evaluate_every).min(self.first_updates);
            steps.push(Step::Train { update });
            steps.extend((0..arms).map(|arm| Step::Export { arm }));
            steps.extend(evaluations(update, false));
            evaluated = update;
        }
        for round in 0..self.rounds {
            update += self.round_updates;
            steps.extend((0..arms).map(|arm| Step::Record { arm, round }));
            steps.push(Step::Train { update });
            steps.extend((0..arms).map(|arm| Step::Export { arm }));
            if update >= evaluated + self.evaluate_every && round + 1 < self.rounds {
                steps.extend(evaluations(update, false));
                evaluated = update;
            }
        }
        steps.extend(evaluations(update, true));
        steps
    }

    /// Agent steps recorded of `arm` by the time `steps` are done.
    pub(super) fn agent_steps(&self, steps: &[Step], arm: usize, its: &Arm) -> u64 {
        let recorded = |step: &Step| match *step {
            Step::RecordRandom { arm: of } if of == arm => {
                self.seed_episodes * u64::from(its.ticks.unwrap_or(self.seed_ticks))
            }
            Step::Record { arm: of, .. } if of == arm => {
                self.round_episodes * u64::from(its.ticks.unwrap_or(self.round_ticks))
            }
            _ => 0,
        };
        steps.iter().map(recorded).sum()
    }
}

/// A robot that is learned on.
#[derive(Debug)]
pub(super) struct Arm {
    /// Robot file, or the name of a rig.
    pub(super) robot: String,
    /// Where its runs and its bundle are.
    pub(super) dir: PathBuf,
    /// Control periods of an episode, where the robot and not the plan says so.
    pub(super) ticks: Option<u32>,
}

impl Arm {
    /// Those of `plan`, with their places in `out`: it all, for one alone.
    pub(super) fn all(plan: &Plan, root: &Path, out: &Path) -> anyhow::Result<Vec<Self>> {
        let robots = || std::iter::once(&plan.robot).chain(&plan.more_robots);
        let mut arms = Vec::new();
        for robot in robots() {
            let rig = robot.contains(':');
            let ticks = if rig {
                crate::rig::ensure(root)?;
                Some(crate::rig::describe(root, robot)?.episode_ticks)
            } else {
                None
            };
            let name: String = if rig {
                robot.replace(':', "-")
            } else {
                let stem = Path::new(robot).file_stem();
                stem.unwrap_or_default().to_string_lossy().into_owned()
            };
            let dir = if plan.more_robots.is_empty() {
                out.to_owned()
            } else {
                out.join(name)
            };
            if dir == out.join("model") || arms.iter().any(|arm: &Self| arm.dir == dir) {
                bail!(
                    "{robot}: its runs would be in {}, which is another's; give it a file name of its own",
                    dir.display()
                );
            }
            arms.push(Self {
                robot: if rig {
                    robot.clone()
                } else {
                    root.join(robot).display().to_string()
                },
                dir,
                ticks,
            });
        }
        Ok(arms)
    }

    /// Whether it is a rig, which describes itself.
    pub(super) fn is_rig(&self) -> bool {
        self.robot.contains(':')
    }

    /// What is to be the same for a run to go on.
    pub(super) fn description(&self) -> anyhow::Result<String> {
        if self.is_rig() {
            return Ok(self.robot.clone());
        }
        fs::read_to_string(&self.robot).with_context(|| format!("{}: cannot read", self.robot))
    }

    /// Where its bundle is.
    pub(super) fn bundle(&self) -> PathBuf {
        self.dir.join("bundle")
    }

    /// Names it to `armillary`.
    fn arguments(&self) -> [&str; 2] {
        [if self.is_rig() { "--rig" } else { "--robot" }, &self.robot]
    }

    /// The robot file for `armillary-train`: that of a rig is among its logs.
    fn robot_file(&self) -> PathBuf {
        if self.is_rig() {
            self.dir.join("runs/random/robot.ron")
        } else {
            PathBuf::from(&self.robot)
        }
    }
}

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
    use super::{Arm, Plan, Step, complaint};

    fn plan() -> Plan {
        let text = r#"(
            robot: "a.ron", train: "t.ron", seed_episodes: 3, seed_ticks: 10, first_updates: 25, rounds: 2, round_episodes: 2,
            round_ticks: 20, round_updates: 10, noise: 0.3, evaluate_every: 20, evaluate_episodes: 1, final_episodes: 1,
            final_first: 5, oracle_budget: "paper",
        )"#;
        ron::from_str(text).unwrap()
    }

    #[test]
    fn the_loop_records_trains_and_evaluates_in_turn() {
        let evaluate = |update, last| Step::Evaluate { arm: 0, update, last };
        let round = |round, update| {
            [
                Step::Record { arm: 0, round },
                Step::Train { update },
                Step::Export { arm: 0 },
            ]
        };
        let mut expected = vec![Step::RecordRandom { arm: 0 }];
        for update in [20, 25] {
            expected.extend([
                Step::Train { update },
                Step::Export { arm: 0 },
                evaluate(update, false),
            ]);
        }
        expected.extend(round(0, 35));
        expected.extend(round(1, 45));
        // The last one is on other targets, whenever the one before was.
        expected.push(evaluate(45, true));
        assert_eq!(plan().steps(1), expected);
    }

    #[test]
    fn notes_that_did_not_count_are_counted_by_the_plan() {
        let plan = plan();
        let arm = Arm {
            robot: String::new(),
            dir: "here".into(),
            ticks: None,
        };
        let steps = plan.steps(1);
        let counts = [1, 8, steps.len()].map(|done| plan.agent_steps(&steps[..done], 0, &arm));
        assert_eq!(counts, [30, 70, 110]);
    }

    #[test]
    fn the_last_complaint_is_told() {
        let said = "INFO reading\nerror: the first\nerror: the disk is full\nsomething else";
        assert_eq!(complaint(said), "the disk is full");
        assert_eq!(complaint("INFO reading"), "it said nothing more");
    }
}
