//! How far a learning run has come, and what it gave so far.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::curve;

/// What has been done, and what the evaluations gave.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The preset's three files as they were: steps done under others are not these steps.
    #[serde(default)]
    inputs: Vec<String>,
    pub(super) steps_done: usize,
    pub(super) seconds: f64,
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
    pub(super) recorded: Option<u64>,
    pub(crate) score: Option<Value>,
}

impl Progress {
    /// What was noted at `notes`; `None` if nothing was.
    pub(crate) fn read(notes: &Path) -> anyhow::Result<Option<Self>> {
        match files::read_to_string(notes) {
            Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| {
                format!(
                    "{}: damaged; remove it to do all of its run's steps again, beside the logs that are there",
                    notes.display()
                )
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}: cannot read", notes.display())),
        }
    }

    /// Notes it at `notes`.
    pub(super) fn write(&self, notes: &Path) -> anyhow::Result<()> {
        // What is there now was read as notes when the run began.
        Ok(files::replace(
            notes,
            serde_json::to_string_pretty(self)?.as_bytes(),
        )?)
    }

    /// Goes on under `inputs`, unless what was done was done under others.
    pub(super) fn take(&mut self, inputs: Vec<String>) -> anyhow::Result<()> {
        let same = self.inputs.len() == inputs.len()
            && self
                .inputs
                .iter()
                .zip(&inputs)
                .all(|(was, is)| without_optimiser(was) == without_optimiser(is));
        if self.steps_done > 0 && !self.inputs.is_empty() && !same {
            bail!(
                "begun with another learning preset, robot file or training preset; undo the change, or name another --out"
            );
        }
        self.inputs = inputs;
        Ok(())
    }

    /// Adds what recording printed.
    pub(super) fn record(&mut self, arm: usize, report: &Value) -> anyhow::Result<()> {
        let periods = report["periods"]
            .as_u64()
            .context("recording printed no `periods`")?;
        *self.of(arm).recorded.get_or_insert(0) += periods;
        Ok(())
    }

    /// Adds what evaluating printed, the score if it was the `last`. The mean return.
    pub(super) fn evaluate(
        &mut self,
        arm: usize,
        updates: u64,
        report: Value,
        last: bool,
    ) -> anyhow::Result<f64> {
        let minutes = self.seconds / 60.0;
        let learned = self.of(arm);
        let agent = &report["agent"];
        let agent_return = agent["mean"]
            .as_f64()
            .context("the evaluation printed no agent")?;
        learned.points.push(curve::Point {
            minutes,
            agent_steps: learned.recorded.unwrap_or_default(),
            updates,
            agent_return,
            interval_95: agent["interval_95"].as_f64().unwrap_or(0.0),
        });
        if last {
            learned.score = Some(report);
        }
        Ok(agent_return)
    }

    /// Those of all robots.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Learned> {
        std::iter::once(&self.learned).chain(&self.more)
    }

    /// Those of one.
    pub(super) fn of(&mut self, arm: usize) -> &mut Learned {
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

/// A preset without what may change on the way: after an explosion, the optimiser's settings must.
fn without_optimiser(preset: &str) -> String {
    robot::config::edit::with_field(preset, &["optimiser"], "()").unwrap_or_else(|| preset.to_owned())
}

#[cfg(test)]
mod tests {
    use super::without_optimiser;

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
}
