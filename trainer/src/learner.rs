//! Model, optimiser and position in training: one update at a time.

use std::time::Instant;

use tch::{Device, Tensor};

use crate::adam::Adam;
use crate::loss::{Batch, loss};
use crate::model::WorldModel;
use crate::noise::Noise;
use crate::preset::Preset;
use crate::side::Side;
use crate::watch::Watch;

/// What one update did.
#[derive(Debug, Clone)]
pub struct Report {
    /// Number of the update, from 1.
    pub update: u64,
    /// Terms of the loss, `gradient_norm` and `learning_rate`.
    pub scalars: Vec<(&'static str, f64)>,
    /// Where its time went: forward, backward, optimiser, in seconds.
    pub seconds: [f64; 3],
}

/// The loss stopped being a number.
#[derive(Debug, thiserror::Error)]
#[error("update {update}: `{term}` is {value}, usually {usual}")]
pub struct Diverged {
    /// Update.
    pub update: u64,
    /// Term of the loss.
    pub term: &'static str,
    /// Its value.
    pub value: f64,
    /// What it should be.
    pub usual: String,
}

impl Diverged {
    fn not_finite(update: u64, term: &'static str, value: f64) -> Self {
        Self {
            update,
            term,
            value,
            usual: "a number".to_owned(),
        }
    }
}

/// Everything that changes while training.
#[derive(Debug)]
pub struct Learner {
    /// The preset in force.
    pub preset: Preset,
    /// The model.
    pub model: WorldModel,
    /// The optimiser.
    pub adam: Adam,
    /// Names all randomness of the run.
    pub seed: u64,
    /// Updates done.
    pub update: u64,
    /// Whether its loss is one to go on from; to be told the losses before a resumption.
    pub watch: Watch,
    /// Whether a GPU is waited for where the clock is read, so that a report's seconds are those of its parts.
    pub timed: bool,
}

impl Learner {
    /// A fresh learner on images of `side`; the seed fixes weights, batches and noise.
    pub fn new(preset: Preset, side: Side, action: i64, seed: u64, device: Device) -> Self {
        let mut model = WorldModel::new(&preset.model, side, action, noise_seed(seed, 0), device);
        model.convolutions = preset.optimiser.convolutions.kind();
        let adam = Adam::new(model.params.entries(), preset.optimiser.epsilon);
        Self {
            preset,
            model,
            adam,
            seed,
            update: 0,
            watch: Watch::default(),
            timed: false,
        }
    }

    /// Goes on under another preset; the model's sizes must be the same.
    #[must_use]
    pub fn with_preset(mut self, preset: Preset) -> Self {
        self.adam.epsilon = preset.optimiser.epsilon;
        self.model.convolutions = preset.optimiser.convolutions.kind();
        self.preset = preset;
        self
    }

    /// One gradient step.
    ///
    /// # Errors
    /// [`Diverged`], before the weights are touched.
    pub fn step(&mut self, batch: &Batch) -> Result<Report, Diverged> {
        let update = self.update + 1;
        // Noise is a function of seed and update, so that a resumed run sees the very same numbers.
        let begun = Instant::now();
        tch::manual_seed(noise_seed(self.seed, update));
        let terms = loss(&self.model, &self.preset.loss, batch, &mut Noise::Generator);
        let mut scalars = terms.scalars().to_vec();
        if let Some(usual) = self.watch.exploded(scalars[0].1) {
            return Err(Diverged {
                update,
                term: scalars[0].0,
                value: scalars[0].1,
                usual: format!("{usual:.0}"),
            });
        }
        if let Some(&(term, value)) = scalars.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Diverged::not_finite(update, term, value));
        }
        let forward = begun.elapsed();
        let inputs: Vec<&Tensor> = self
            .model
            .params
            .entries()
            .iter()
            .map(|(_, tensor)| tensor)
            .collect();
        let grads = Tensor::run_backward(&[&terms.total], &inputs, false, false);
        if self.timed {
            crate::device::finish(self.model.device);
        }
        let backward = begun.elapsed();
        let rate = self.preset.learning_rate(update);
        let clip = self.preset.optimiser.gradient_clip;
        let norm = self.adam.step(self.model.params.entries(), &grads, rate, clip);
        if !norm.is_finite() {
            return Err(Diverged::not_finite(update, "gradient_norm", norm));
        }
        self.update = update;
        scalars.extend([("gradient_norm", norm), ("learning_rate", rate)]);
        let seconds =
            [forward, backward - forward, begun.elapsed() - backward].map(|part| part.as_secs_f64());
        Ok(Report {
            update,
            scalars,
            seconds,
        })
    }
}

/// SplitMix64's finaliser over seed and update: neighbouring updates get unrelated generators.
fn noise_seed(seed: u64, update: u64) -> i64 {
    let mut z = seed
        .wrapping_add(update.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as i64
}
