//! The robots that are learned on, and where their things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::plan::Plan;

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
        files::read_to_string(Path::new(&self.robot)).with_context(|| format!("{}: cannot read", self.robot))
    }

    /// Where its bundle is.
    pub(super) fn bundle(&self) -> PathBuf {
        self.dir.join("bundle")
    }

    /// Names it to `armillary`.
    pub(super) fn arguments(&self) -> [&str; 2] {
        [if self.is_rig() { "--rig" } else { "--robot" }, &self.robot]
    }

    /// The robot file for `armillary-train`: that of a rig is among its logs.
    pub(super) fn robot_file(&self) -> PathBuf {
        if self.is_rig() {
            self.dir.join("runs/random/robot.ron")
        } else {
            PathBuf::from(&self.robot)
        }
    }
}
