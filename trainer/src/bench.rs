//! What an update costs, and where its time goes.

use std::fmt;
use std::time::Instant;

use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use crate::device::finish;
use crate::learner::{Diverged, Learner};
use crate::loss::{Batch, dequantise, loss};
use crate::noise::Noise;
use crate::preset::Preset;
use crate::side::Side;

/// Median seconds of the parts of an update.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// What was timed.
    pub preset: Preset,
    /// Width and height of its images.
    pub side: Side,
    /// Numbers an action.
    pub action: i64,
    /// The whole update.
    pub update_s: f64,
    /// Forward: all terms of the loss.
    pub forward_s: f64,
    /// Backward.
    pub backward_s: f64,
    /// Clipping and Adam.
    pub optimiser_s: f64,
    /// Forward of pixels to numbers and of the encoder, measured alone and without gradients.
    pub encode_s: f64,
    /// Forward of the filter alone, `length` steps one after the other.
    pub filter_s: f64,
    /// Forward of the decoder alone.
    pub decode_s: f64,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "batch {} x {}, {3}x{3} pixels, depth {2}: {4:.1} ms an update",
            self.preset.optimiser.batch,
            self.preset.optimiser.length,
            self.preset.model.depth,
            self.side.pixels(),
            self.update_s * 1e3
        )?;
        for (name, seconds) in [
            ("forward", self.forward_s),
            ("backward", self.backward_s),
            ("optimiser", self.optimiser_s),
            ("encoder alone", self.encode_s),
            ("filter alone", self.filter_s),
            ("decoder alone", self.decode_s),
        ] {
            writeln!(
                f,
                "  {name:<14} {:8.1} ms  {:5.1} %",
                seconds * 1e3,
                100.0 * seconds / self.update_s
            )?;
        }
        Ok(())
    }
}

/// Times `updates` updates on a made-up batch with images of `side`, after as many to warm up.
///
/// # Errors
/// [`Diverged`], which a made-up batch does not bring about by itself.
pub fn profile(
    preset: Preset,
    side: Side,
    action: i64,
    device: Device,
    updates: u64,
) -> Result<Profile, Diverged> {
    let (size, length) = (preset.optimiser.batch, preset.optimiser.length);
    let joints = preset.model.observation.joint_numbers(action as usize) as i64;
    let mut learner = Learner::new(preset, side, action, 1, device);
    learner.timed = true;
    let pixels = side.size();
    let frames = Tensor::randint(256, [length, size, pixels, pixels, 3], (Kind::Uint8, Device::Cpu));
    let batch = Batch {
        frames: frames.permute([0, 1, 4, 2, 3]),
        action: Tensor::rand([length, size, action], (Kind::Float, Device::Cpu)) * 2.0 - 1.0,
        joints: Tensor::randn([length, size, joints], (Kind::Float, Device::Cpu)),
        reward: Tensor::rand([length, size], (Kind::Float, Device::Cpu)),
        rewarded: None,
    }
    .on(device);
    for _ in 0..updates {
        learner.step(&batch)?;
    }
    let mut parts: [Vec<f64>; 4] = Default::default();
    finish(device);
    for _ in 0..updates {
        let begun = Instant::now();
        let report = learner.step(&batch)?;
        finish(device);
        let whole = begun.elapsed().as_secs_f64();
        let [forward, backward, _] = report.seconds;
        let optimiser = whole - forward - backward;
        for (part, seconds) in parts.iter_mut().zip([whole, forward, backward, optimiser]) {
            part.push(seconds);
        }
    }
    let [update_s, forward_s, backward_s, optimiser_s] = parts.map(median);
    let [encode_s, filter_s, decode_s] = no_grad(|| alone(&learner, &batch, updates)).map(median);
    Ok(Profile {
        preset: learner.preset,
        side,
        action,
        update_s,
        forward_s,
        backward_s,
        optimiser_s,
        encode_s,
        filter_s,
        decode_s,
    })
}

fn alone(learner: &Learner, batch: &Batch, updates: u64) -> [Vec<f64>; 3] {
    let model = &learner.model;
    let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
    let mut parts: [Vec<f64>; 3] = Default::default();
    let _ = loss(model, &learner.preset.loss, batch, &mut Noise::Generator);
    finish(batch.reward.device());
    for _ in 0..updates {
        let mut time = |index: usize, work: &mut dyn FnMut() -> Tensor| {
            let begun = Instant::now();
            let done = work();
            finish(batch.reward.device());
            parts[index].push(begun.elapsed().as_secs_f64());
            done
        };
        let embedding = time(0, &mut || {
            let frames = if model.sizes.observation.pixels() {
                let frames = batch.frames.flatten(0, 1);
                dequantise(&frames, model.sizes.image_bits, &mut Noise::Generator)
            } else {
                Tensor::new()
            };
            model.observe(&frames, &batch.joints.flatten(0, 1))
        });
        let embedding = embedding.reshape([length, size, -1]);
        let features = time(1, &mut || {
            let filtered = model.filter(&embedding, &batch.action, &mut Noise::Generator);
            model.features(&filtered.latent).flatten(0, 1)
        });
        let wanted = match learner.preset.loss.decoded_frames {
            0 => length * size,
            wanted => wanted.min(length * size),
        };
        if model.sizes.observation.pixels() {
            let _ = time(2, &mut || model.decode(&features.narrow(0, 0, wanted)));
        }
    }
    parts
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
