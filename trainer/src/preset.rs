//! What to train and how: one RON file, every published switch under its paper name.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a preset was refused.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// The file could not be read.
    #[error("{path}: cannot read the preset: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not RON, an unknown field, or a wrong type.
    #[error("{path}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
        /// RON's explanation.
        message: String,
    },
    /// A value that cannot work.
    #[error("{path}: field `{field}`: {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// A training preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Network sizes.
    pub model: ModelSizes,
    /// Loss switches.
    pub loss: LossSwitches,
    /// Optimiser and batches.
    pub optimiser: Optimiser,
}

/// Sizes of the networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSizes {
    /// Channels of the first convolution; PlaNet: 32. The others are 2, 4 and 8 times as many.
    pub depth: i64,
    /// Deterministic state of the GRU; PlaNet: 200.
    pub belief: i64,
    /// Stochastic state; PlaNet: 30.
    pub stochastic: i64,
    /// Units of the dense layers around the GRU; PlaNet: 200.
    pub hidden: i64,
    /// Hidden layers of the reward head; PlaNet: 3.
    pub reward_layers: i64,
    /// Units of each; PlaNet: 300.
    pub reward_units: i64,
    /// Smallest standard deviation of a stochastic state; PlaNet: 0.1.
    pub min_std: f64,
}

/// Terms of the loss and their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSwitches {
    /// KL below this is free; PlaNet: 3.
    pub free_nats: f64,
    /// Weight of the reward's negative log likelihood; PlaNet: 10.
    pub reward_scale: f64,
    /// Latent overshooting distance D; 0 turns it off, as the camera-ready code does.
    pub overshooting_distance: i64,
    /// Start times drawn for overshooting in each batch (all of them would cost L x D).
    pub overshooting_starts: i64,
    /// Weight of overshooting's KL, averaged over distances.
    pub overshooting_scale: f64,
    /// Weight of the open-loop reward loss over the same rollouts, relative to `reward_scale`.
    pub overshooting_reward_scale: f64,
    /// Frames of a batch that are decoded, drawn anew each time; 0 means all.
    pub decoded_frames: i64,
}

/// Optimiser, batches and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimiser {
    /// Sequences a batch; PlaNet: 50.
    pub batch: i64,
    /// Steps a sequence; PlaNet: 50.
    pub length: i64,
    /// Adam's rate until `decay_from`; PlaNet: 1e-3.
    pub learning_rate: f64,
    /// Rate reached at the last update; geometric in between.
    pub final_learning_rate: f64,
    /// Update at which the rate starts to fall.
    pub decay_from: u64,
    /// Updates in all.
    pub updates: u64,
    /// Adam's epsilon; PlaNet: 1e-4.
    pub epsilon: f64,
    /// Global gradient norm is clipped to this; PlaNet: 1000.
    pub gradient_clip: f64,
    /// Share of each batch drawn from planned (not random) episodes, once there are any.
    pub planned_fraction: f64,
    /// Memory the loader may hold frames in, in MiB.
    pub memory_mib: u64,
}

impl Preset {
    /// Reads and checks a preset.
    ///
    /// # Errors
    /// [`PresetError`], with file, line and column or field.
    pub fn load(path: &Path) -> Result<Self, PresetError> {
        let text = std::fs::read_to_string(path).map_err(|source| PresetError::Read {
            path: path.to_owned(),
            source,
        })?;
        let preset: Self = ron::from_str(&text).map_err(|error| PresetError::Syntax {
            path: path.to_owned(),
            line: error.span.start.line,
            column: error.span.start.col,
            message: error.code.to_string(),
        })?;
        preset.check(path)?;
        Ok(preset)
    }

    fn check(&self, path: &Path) -> Result<(), PresetError> {
        let refuse = |field, problem: String| {
            Err(PresetError::Field {
                path: path.to_owned(),
                field,
                problem,
            })
        };
        let (m, l, o) = (&self.model, &self.loss, &self.optimiser);
        for (field, value) in [
            ("model.depth", m.depth),
            ("model.belief", m.belief),
            ("model.stochastic", m.stochastic),
            ("model.hidden", m.hidden),
            ("model.reward_layers", m.reward_layers),
            ("model.reward_units", m.reward_units),
            ("optimiser.batch", o.batch),
        ] {
            if !(1..=4096).contains(&value) {
                return refuse(field, format!("{value} is outside 1 to 4096"));
            }
        }
        if o.length < 2 || l.overshooting_distance >= o.length || l.overshooting_distance < 0 {
            let problem = format!(
                "{} must be at least 0 and below `optimiser.length` {}",
                l.overshooting_distance, o.length
            );
            return refuse("loss.overshooting_distance", problem);
        }
        // Negated comparisons so that NaN is refused too.
        for (field, value) in [
            ("optimiser.learning_rate", o.learning_rate),
            ("optimiser.final_learning_rate", o.final_learning_rate),
            ("optimiser.epsilon", o.epsilon),
            ("optimiser.gradient_clip", o.gradient_clip),
            ("model.min_std", m.min_std),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(field, format!("{value} must be above 0"));
            }
        }
        for (field, value) in [
            ("loss.free_nats", l.free_nats),
            ("loss.reward_scale", l.reward_scale),
            ("loss.overshooting_scale", l.overshooting_scale),
            ("loss.overshooting_reward_scale", l.overshooting_reward_scale),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(field, format!("{value} must be 0 or above"));
            }
        }
        if l.overshooting_distance > 0 && l.overshooting_starts < 1 {
            let problem = format!("{} must be 1 or above", l.overshooting_starts);
            return refuse("loss.overshooting_starts", problem);
        }
        if l.decoded_frames < 0 {
            let problem = format!("{} must be 0 (all) or above", l.decoded_frames);
            return refuse("loss.decoded_frames", problem);
        }
        if !(0.0..=1.0).contains(&o.planned_fraction) {
            return refuse(
                "optimiser.planned_fraction",
                format!("{} is outside 0 to 1", o.planned_fraction),
            );
        }
        if o.decay_from > o.updates {
            return refuse(
                "optimiser.decay_from",
                format!("{} is past `updates` {}", o.decay_from, o.updates),
            );
        }
        Ok(())
    }

    /// Adam's rate at `update`, geometric from `decay_from` to `updates`.
    pub fn learning_rate(&self, update: u64) -> f64 {
        let o = &self.optimiser;
        if update <= o.decay_from || o.updates == o.decay_from {
            return o.learning_rate;
        }
        let progress = ((update - o.decay_from) as f64 / (o.updates - o.decay_from) as f64).min(1.0);
        o.learning_rate * (o.final_learning_rate / o.learning_rate).powf(progress)
    }
}
