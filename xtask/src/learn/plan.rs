//! What a learning loop does, in what portions: PlaNet's Algorithm 1 as a list of the commands a user would type.

use std::path::{Path, PathBuf};

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
    pub(super) seed_episodes: u64,
    #[serde(default)]
    pub(super) seed_ticks: u32,
    /// Updates on those alone.
    first_updates: u64,
    /// Then so many rounds of recording with the planner and training on.
    rounds: u64,
    pub(super) round_episodes: u64,
    #[serde(default)]
    pub(super) round_ticks: u32,
    round_updates: u64,
    /// Exploration noise while recording.
    pub(super) noise: f32,
    /// Evaluate whenever so many updates have passed, on so many targets, and at the end on more.
    evaluate_every: u64,
    pub(super) evaluate_episodes: u64,
    pub(super) final_episodes: u64,
    /// Targets of the final evaluation start here: not those the curve was watched on.
    pub(super) final_first: u64,
    /// The oracle's budget: `paper` or `robot`.
    pub(super) oracle_budget: String,
    /// More arguments for recording with the planner and for evaluating, such as the paper's search.
    #[serde(default)]
    pub(super) planner: Vec<String>,
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
    /// The preset at `path`, for the robot that `arguments` name.
    pub(super) fn load(path: &Path, arguments: &Learn) -> anyhow::Result<Self> {
        let text = files::read_to_string(path)
            .with_context(|| format!("{}: no such learning preset", path.display()))?;
        let mut plan: Self = ron::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{}:{}: {}", path.display(), error.span.start, error.code))?;
        if let Some(rig) = &arguments.rig {
            plan.robot.clone_from(rig);
            plan.more_robots.clear();
        }
        plan.check().with_context(|| path.display().to_string())?;
        if arguments.publish.is_some() && !plan.more_robots.is_empty() {
            bail!(
                "{}: learns several robots, --publish takes one bundle; copy those that you want from the folder of the run",
                path.display()
            );
        }
        Ok(plan)
    }

    /// What no learning could be done with.
    fn check(&self) -> anyhow::Result<()> {
        for (field, value) in [
            ("seed_episodes", self.seed_episodes),
            ("first_updates", self.first_updates),
            ("evaluate_every", self.evaluate_every),
            ("evaluate_episodes", self.evaluate_episodes),
            ("final_episodes", self.final_episodes),
        ] {
            if value == 0 {
                bail!("{field}: 0; give 1 or more");
            }
        }
        if self.rounds > 0 && (self.round_episodes == 0 || self.round_updates == 0) {
            bail!("round_episodes, round_updates: 0; give 1 or more, or `rounds: 0`");
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            bail!("noise: {}; give 0 or more", self.noise);
        }
        if !["paper", "robot"].contains(&self.oracle_budget.as_str()) {
            bail!(
                "oracle_budget: {:?}; give \"paper\" or \"robot\"",
                self.oracle_budget
            );
        }
        Ok(())
    }

    /// Episodes of no length teach nothing. `own` has the control periods of each robot's episodes, where the robot says them.
    pub(super) fn check_ticks(&self, own: &[Option<u32>]) -> anyhow::Result<()> {
        for (field, ticks, wanted) in [
            ("seed_ticks", self.seed_ticks, true),
            ("round_ticks", self.round_ticks, self.rounds > 0),
        ] {
            if ticks == 0 && wanted && own.contains(&None) {
                bail!("{field}: 0; give the control periods of an episode");
            }
        }
        Ok(())
    }

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

    /// Agent steps recorded of `arm` by the time `steps` are done. `own` is the control periods of its episodes, where it says them.
    pub(super) fn agent_steps(&self, steps: &[Step], arm: usize, own: Option<u32>) -> u64 {
        let recorded = |step: &Step| match *step {
            Step::RecordRandom { arm: of } if of == arm => {
                self.seed_episodes * u64::from(own.unwrap_or(self.seed_ticks))
            }
            Step::Record { arm: of, .. } if of == arm => {
                self.round_episodes * u64::from(own.unwrap_or(self.round_ticks))
            }
            _ => 0,
        };
        steps.iter().map(recorded).sum()
    }
}

/// Writes the training preset with other values into `out`.
pub(super) fn with_fields(preset: &Path, sets: &[String], out: &Path) -> anyhow::Result<PathBuf> {
    let mut text =
        files::read_to_string(preset).with_context(|| format!("{}: cannot read", preset.display()))?;
    for set in sets {
        let (field, value) = set
            .split_once('=')
            .with_context(|| format!("--set {set}: write FIELD=VALUE, such as model.design=ssm"))?;
        let names: Vec<&str> = field.split('.').collect();
        text = robot::config::edit::with_field(&text, &names, value)
            .with_context(|| format!("--set {set}: {} has no place for it", preset.display()))?;
    }
    let edited = out.join("train.ron");
    // The folder of a run that was begun is ours; in another one only what is there already may be the same.
    let begun = super::notes(out).exists();
    files::put(&edited, text.as_bytes(), &|head| {
        begun || text.as_bytes().starts_with(head)
    })?;
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::{Plan, Step};

    fn plan() -> Plan {
        let text = r#"(
            robot: "a.ron", train: "t.ron", seed_episodes: 3, seed_ticks: 10, first_updates: 25, rounds: 2, round_episodes: 2,
            round_ticks: 20, round_updates: 10, noise: 0.3, evaluate_every: 20, evaluate_episodes: 1, final_episodes: 1,
            final_first: 5, oracle_budget: "paper",
        )"#;
        ron::from_str(text).unwrap()
    }

    #[test]
    fn what_no_learning_could_be_done_with_is_named() {
        plan().check().unwrap();
        let refused = |field: &str, spoil: &dyn Fn(&mut Plan)| {
            let mut plan = plan();
            spoil(&mut plan);
            let problem = plan.check().unwrap_err().to_string();
            assert!(problem.contains(field), "{problem}");
        };
        refused("seed_episodes", &|plan| plan.seed_episodes = 0);
        refused("evaluate_every", &|plan| plan.evaluate_every = 0);
        refused("round_updates", &|plan| plan.round_updates = 0);
        refused("final_episodes", &|plan| plan.final_episodes = 0);
        refused("noise", &|plan| plan.noise = f32::NAN);
        refused("oracle_budget", &|plan| plan.oracle_budget = "papr".to_owned());

        let without = Plan {
            round_ticks: 0,
            ..plan()
        };
        assert!(plan().check_ticks(&[None]).is_ok());
        assert!(without.check_ticks(&[Some(50)]).is_ok());
        let problem = without.check_ticks(&[Some(50), None]).unwrap_err();
        assert!(problem.to_string().contains("round_ticks"));
    }

    #[test]
    fn presets_that_come_along_pass() {
        let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let mut count = 0;
        for entry in std::fs::read_dir(configs).unwrap() {
            let path = entry.unwrap().path();
            if !path.file_name().unwrap().to_string_lossy().starts_with("learn-") {
                continue;
            }
            let plan: Plan = ron::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            plan.check().unwrap();
            count += 1;
        }
        assert!(count >= 5, "{count}");
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
        let steps = plan.steps(1);
        let counts = [1, 8, steps.len()].map(|done| plan.agent_steps(&steps[..done], 0, None));
        assert_eq!(counts, [30, 70, 110]);
    }
}
