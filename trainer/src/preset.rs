//! What to train and how: one RON file, every published switch under its paper name.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use world_model::Observation;

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

/// How a latent state follows from the last one: the paper's three designs (section 3, figure 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// A deterministic and a stochastic path.
    #[default]
    Rssm,
    /// The stochastic path alone: nothing is remembered but the sample.
    Ssm,
    /// The deterministic path alone: means instead of samples, the authors' `mean_only`.
    Rnn,
}

/// Sizes of the networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSizes {
    /// `rssm`, `ssm` or `rnn`; PlaNet: `rssm`.
    #[serde(default)]
    pub design: Design,
    /// `pixels`, `joints` (their positions and velocities) or `pixels_and_joints`; PlaNet: pixels.
    #[serde(default)]
    pub observation: Observation,
    /// Bits of a colour channel that the model sees, 1 to 8; PlaNet: 5.
    #[serde(default = "five")]
    pub image_bits: i64,
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
    /// Weight of the image's negative log likelihood; PlaNet: 1.
    #[serde(default = "one")]
    pub image_scale: f64,
    /// Weight of the joints' negative log likelihood, where the model observes them, in standard deviations of the logs.
    #[serde(default = "one")]
    pub joints_scale: f64,
    /// Weight of the KL; PlaNet: 1 (`divergence_scale` in the authors' code).
    #[serde(default = "one")]
    pub kl_scale: f64,
    /// Share of the KL's gradient that moves the prior towards the posterior, the rest moving the posterior towards the
    /// prior (DreamerV2, section 2); PlaNet: none, which moves both by the whole gradient.
    #[serde(default)]
    pub kl_balance: Option<f64>,
    /// Weight of the posterior's KL from a standard normal (`global_div_scale` in the authors' code); PlaNet: 0.
    #[serde(default)]
    pub global_kl_scale: f64,
    /// Heads whose gradient reaches the latent state; PlaNet: all.
    #[serde(default = "all_heads")]
    pub gradient_heads: Vec<Head>,
    /// Latent overshooting distance D; 0 turns it off, as the camera-ready code does.
    pub overshooting_distance: i64,
    /// Start times drawn for overshooting in each batch; 0 is all of them, as in the paper, which costs L x D.
    pub overshooting_starts: i64,
    /// Whether overshooting leaves the posteriors it compares with as they are; PlaNet: yes.
    #[serde(default = "yes")]
    pub overshooting_stop_posterior_gradient: bool,
    /// Weight of overshooting's KL, averaged over distances.
    pub overshooting_scale: f64,
    /// Weight of distance 1 in that average, where the others weigh 1 (beta_1 of PlaNet's equation 7); 1 as in the authors' code.
    /// 0 is the paper's beta_1 = D: the loss's own KL, which is always there, is then the whole of distance 1.
    #[serde(default = "one")]
    pub overshooting_beta_1: f64,
    /// Weight of the open-loop reward loss over the same rollouts, relative to `reward_scale`.
    pub overshooting_reward_scale: f64,
    /// Weight of the open-loop image loss over the same rollouts, relative to `image_scale`; PlaNet: 0.
    #[serde(default)]
    pub overshooting_image_scale: f64,
    /// Weight of the open-loop loss of the joints over the same rollouts, relative to `joints_scale`; PlaNet: 0.
    #[serde(default)]
    pub overshooting_joints_scale: f64,
    /// Frames of a batch that are decoded, drawn anew each time; 0 means all.
    pub decoded_frames: i64,
}

/// What is predicted from a latent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// The image.
    Image,
    /// The joints' positions and velocities.
    Joints,
    /// The reward.
    Reward,
}

const fn five() -> i64 {
    5
}

const fn one() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

fn all_heads() -> Vec<Head> {
    vec![Head::Image, Head::Joints, Head::Reward]
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
    /// Precision of encoder and decoder in training; PlaNet: `f32`. `bf16` pays at the paper's sizes where the CPU or GPU has it.
    #[serde(default)]
    pub convolutions: Precision,
    /// Share of each batch drawn from planned (not random) episodes, once there are any. `None` draws all chunks alike, as
    /// PlaNet does.
    #[serde(default)]
    pub planned_fraction: Option<f64>,
}

/// Bits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32; but a GPU that has TF32 multiplies convolutions with 10 bits of mantissa, as LibTorch has it by default, unless it
    /// is started with `NVIDIA_TF32_OVERRIDE=0`.
    #[default]
    F32,
    /// 16, with the range of 32.
    Bf16,
}

impl Precision {
    /// LibTorch's name for it.
    pub fn kind(self) -> tch::Kind {
        match self {
            Self::F32 => tch::Kind::Float,
            Self::Bf16 => tch::Kind::BFloat16,
        }
    }
}

impl Preset {
    /// Reads and checks a preset.
    ///
    /// # Errors
    /// [`PresetError`], with file, line and column or field.
    pub fn load(path: &Path) -> Result<Self, PresetError> {
        let text = files::read_to_string(path).map_err(|source| PresetError::Read {
            path: path.to_owned(),
            source,
        })?;
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let preset: Self = options.from_str(&text).map_err(|error| PresetError::Syntax {
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
        if !(1..=8).contains(&m.image_bits) {
            return refuse("model.image_bits", format!("{} is outside 1 to 8", m.image_bits));
        }
        if !(2..=4096).contains(&o.length) {
            return refuse("optimiser.length", format!("{} is outside 2 to 4096", o.length));
        }
        if !(0..o.length).contains(&l.overshooting_distance) {
            let problem = format!(
                "{} is outside 0 to {}, the farthest that a chunk of `optimiser.length` {} reaches",
                l.overshooting_distance,
                o.length - 1,
                o.length
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
            ("loss.overshooting_beta_1", l.overshooting_beta_1),
            ("loss.overshooting_reward_scale", l.overshooting_reward_scale),
            ("loss.overshooting_image_scale", l.overshooting_image_scale),
            ("loss.overshooting_joints_scale", l.overshooting_joints_scale),
            ("loss.image_scale", l.image_scale),
            ("loss.joints_scale", l.joints_scale),
            ("loss.kl_scale", l.kl_scale),
            ("loss.global_kl_scale", l.global_kl_scale),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(field, format!("{value} must be 0 or above"));
            }
        }
        if l.overshooting_starts < 0 {
            let problem = format!("{} must be 0 (all) or above", l.overshooting_starts);
            return refuse("loss.overshooting_starts", problem);
        }
        if let Some(balance) = l.kl_balance
            && !(0.0..=1.0).contains(&balance)
        {
            return refuse("loss.kl_balance", format!("{balance} is outside 0 to 1"));
        }
        let there = |head: &Head| match head {
            Head::Image => m.observation.pixels(),
            Head::Joints => m.observation.joints(),
            Head::Reward => true,
        };
        if !l.gradient_heads.iter().any(there) {
            let problem =
                "no head that the model has teaches the latent state; name `reward`, or what it observes"
                    .to_owned();
            return refuse("loss.gradient_heads", problem);
        }
        for (field, scale, seen) in [
            (
                "loss.overshooting_image_scale",
                l.overshooting_image_scale,
                m.observation.pixels(),
            ),
            (
                "loss.overshooting_joints_scale",
                l.overshooting_joints_scale,
                m.observation.joints(),
            ),
        ] {
            if scale > 0.0 && !seen {
                let problem = "is of something that `model.observation` leaves out; make it 0, or observe it"
                    .to_owned();
                return refuse(field, problem);
            }
        }
        if l.decoded_frames < 0 {
            let problem = format!("{} must be 0 (all) or above", l.decoded_frames);
            return refuse("loss.decoded_frames", problem);
        }
        if let Some(fraction) = o.planned_fraction
            && !(0.0..=1.0).contains(&fraction)
        {
            let problem = format!("{fraction} is outside 0 to 1");
            return refuse("optimiser.planned_fraction", problem);
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
