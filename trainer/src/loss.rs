//! The loss: image and reward likelihoods, KL with free nats, and overshooting (PlaNet equations 3 and 7).

use tch::{Device, Kind, Tensor};

use crate::model::{Filtered, Gaussian, Latent, WorldModel};
use crate::noise::Noise;
use crate::preset::{Head, LossSwitches};

/// A batch of sequences.
#[derive(Debug)]
pub struct Batch {
    /// `[L, B, 3, 64, 64]`, u8; in memory the channels may come last.
    pub frames: Tensor,
    /// `[L, B, A]`; `action[t]` caused `frames[t]`.
    pub action: Tensor,
    /// `[L, B]`.
    pub reward: Tensor,
}

impl Batch {
    /// The same on `device`.
    #[must_use]
    pub fn on(self, device: Device) -> Self {
        if device == Device::Cpu {
            return self;
        }
        Self {
            frames: self.frames.to_device(device),
            action: self.action.to_device(device),
            reward: self.reward.to_device(device),
        }
    }
}

/// The loss and its terms, each a scalar tensor.
#[derive(Debug)]
pub struct Terms {
    /// What is minimised.
    pub total: Tensor,
    /// 0.5 x squared image error, summed over pixels, mean over frames.
    pub image: Tensor,
    /// Mean squared reward error (unscaled).
    pub reward: Tensor,
    /// KL of the posterior from the one-step prior, before free nats.
    pub kl: Tensor,
    /// KL of the posterior from a standard normal; 0 when off.
    pub global_kl: Tensor,
    /// Overshooting's KL, before free nats, mean over distances; 0 when off.
    pub overshooting: Tensor,
    /// Mean squared open-loop reward error; 0 when overshooting is off.
    pub open_loop_reward: Tensor,
    /// 0.5 x squared open-loop image error, summed over pixels, mean over frames; 0 when off.
    pub open_loop_image: Tensor,
}

impl Terms {
    /// Names and values, in a fixed order: one copy from the device for all.
    pub fn scalars(&self) -> [(&'static str, f64); 8] {
        let terms = [
            ("loss", &self.total),
            ("image", &self.image),
            ("reward_mse", &self.reward),
            ("kl", &self.kl),
            ("global_kl", &self.global_kl),
            ("overshooting_kl", &self.overshooting),
            ("open_loop_reward_mse", &self.open_loop_reward),
            ("open_loop_image", &self.open_loop_image),
        ];
        let together = Tensor::stack(&terms.map(|(_, tensor)| tensor), 0).detach();
        let mut values = [0f32; 8];
        together.to_device(Device::Cpu).copy_data(&mut values, 8);
        std::array::from_fn(|index| (terms[index].0, f64::from(values[index])))
    }
}

/// Reduces u8 pixels to `bits` in [-0.5, 0.5) and adds dequantisation noise within a bin; with five:
/// `floor(x / 8) / 32 + U(0, 1/32) - 0.5`.
pub fn dequantise(frames: &Tensor, bits: i64, noise: &mut Noise) -> Tensor {
    let bins = (1i64 << bits) as f64;
    let binned = frames
        .bitwise_right_shift_tensor_scalar(8 - bits)
        .to_kind(Kind::Float)
        / bins
        - 0.5;
    let within = noise.uniform(&binned) / bins;
    binned + within
}

/// The same with the bin's centre instead of noise: what the controller does, and what pictures compare with.
pub fn bin_centre(frames: &Tensor, bits: i64) -> Tensor {
    let bins = (1i64 << bits) as f64;
    frames
        .bitwise_right_shift_tensor_scalar(8 - bits)
        .to_kind(Kind::Float)
        / bins
        + (0.5 / bins - 0.5)
}

/// The loss of a batch. `switches` chooses the terms.
pub fn loss(model: &WorldModel, switches: &LossSwitches, batch: &Batch, noise: &mut Noise) -> Terms {
    let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
    let frames = dequantise(&batch.frames.flatten(0, 1), model.sizes.image_bits, noise);
    let embedding = model.encode(&frames).reshape([length, size, -1]);
    let filtered = model.filter(&embedding, &batch.action, noise);
    let features = model.features(&filtered.latent);

    let flat = seen_by(Head::Image, switches, &features.flatten(0, 1));
    let image = image_error(model, &flat, &frames, switches.decoded_frames, noise);
    let reward = (model.reward(&seen_by(Head::Reward, switches, &features)) - &batch.reward)
        .square()
        .mean(Kind::Float);
    let kl = filtered.posterior.kl(&filtered.prior);
    let mut total = &image * switches.image_scale
        + &reward * (0.5 * switches.reward_scale)
        + divergence(&filtered, &kl, switches) * switches.kl_scale;

    let zero = || Tensor::zeros([], (Kind::Float, model.device));
    let mut global_kl = zero();
    if switches.global_kl_scale > 0.0 {
        let standard = Gaussian {
            mean: filtered.posterior.mean.zeros_like(),
            std: filtered.posterior.std.ones_like(),
        };
        global_kl = filtered.posterior.kl(&standard).mean(Kind::Float);
        total += &global_kl * switches.global_kl_scale;
    }
    let mut open_loop = OpenLoop {
        kl: zero(),
        kl_loss: zero(),
        reward: zero(),
        image: zero(),
    };
    if switches.overshooting_distance > 0 {
        open_loop = overshoot(model, switches, &filtered, batch, &frames, noise);
        let reward_scale = 0.5 * switches.reward_scale * switches.overshooting_reward_scale;
        total += &open_loop.kl_loss * switches.overshooting_scale + &open_loop.reward * reward_scale;
        if switches.overshooting_image_scale > 0.0 {
            total += &open_loop.image * (switches.image_scale * switches.overshooting_image_scale);
        }
    }
    Terms {
        total,
        image,
        reward,
        kl: kl.mean(Kind::Float),
        global_kl,
        overshooting: open_loop.kl,
        open_loop_reward: open_loop.reward,
        open_loop_image: open_loop.image,
    }
}

/// Features as a head sees them: without gradient where the head is not to teach the latent state.
fn seen_by(head: Head, switches: &LossSwitches, features: &Tensor) -> Tensor {
    if switches.gradient_heads.contains(&head) {
        features.shallow_clone()
    } else {
        features.detach()
    }
}

/// KL with free nats; where it is balanced, its value is the same and its gradient is divided.
fn divergence(filtered: &Filtered, kl: &Tensor, switches: &LossSwitches) -> Tensor {
    let lost = |kl: &Tensor| kl.clamp_min(switches.free_nats).mean(Kind::Float);
    let Some(balance) = switches.kl_balance else {
        return lost(kl);
    };
    let (posterior, prior) = (&filtered.posterior, &filtered.prior);
    lost(&posterior.detach().kl(prior)) * balance + lost(&posterior.kl(&prior.detach())) * (1.0 - balance)
}

/// 0.5 x squared error of decoded `features` `[N, F]` from `frames`, summed over pixels, mean over frames; of `wanted` of
/// them drawn anew, or of all if that is 0.
fn image_error(
    model: &WorldModel,
    features: &Tensor,
    frames: &Tensor,
    wanted: i64,
    noise: &mut Noise,
) -> Tensor {
    let count = features.size()[0];
    let error = |features: &Tensor, frames: &Tensor| {
        let per_frame = (model.decode(features) - frames).square().sum_dim_intlist(
            [1i64, 2, 3].as_slice(),
            false,
            Kind::Float,
        );
        per_frame.mean(Kind::Float) * 0.5
    };
    if wanted == 0 || wanted >= count {
        return error(features, frames);
    }
    let chosen = noise
        .permutation(count)
        .narrow(0, 0, wanted)
        .to_device(model.device);
    error(
        &features.index_select(0, &chosen),
        &frames.index_select(0, &chosen),
    )
}

/// What came of imagining on from posteriors.
struct OpenLoop {
    kl: Tensor,
    kl_loss: Tensor,
    reward: Tensor,
    image: Tensor,
}

/// Rolls the prior on from the POSTERIOR at some start times, or all, at once as a bigger batch, and compares it at every
/// distance up to D with the filtered posteriors, the logged rewards and, if asked, the frames. Each distance counts alike,
/// however many starts reach it (PlaNet equation 7 with all beta_d equal).
fn overshoot(
    model: &WorldModel,
    switches: &LossSwitches,
    filtered: &Filtered,
    batch: &Batch,
    frames: &Tensor,
    noise: &mut Noise,
) -> OpenLoop {
    let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
    let distance = switches.overshooting_distance;
    let starts = match switches.overshooting_starts {
        0 => Tensor::arange(length - 1, (Kind::Int64, Device::Cpu)),
        count => noise.below(length - distance, count),
    }
    .to_device(model.device);
    // Those that are `d` or more from the end come first where they differ.
    let reaching = |d: i64| match switches.overshooting_starts {
        0 => length - d,
        count => count,
    };
    let pick = |sequence: &Tensor, d: i64| {
        let times = starts.narrow(0, 0, reaching(d.max(1))) + d;
        sequence.index_select(0, &times).flatten(0, 1)
    };
    let target = if switches.overshooting_stop_posterior_gradient {
        filtered.posterior.detach()
    } else {
        filtered.posterior.shallow_clone()
    };
    let mut state = Latent {
        h: pick(&filtered.latent.h, 0),
        s: pick(&filtered.latent.s, 0),
    };
    let frames = frames.reshape([length, size, 3, 64, 64]);
    let (mut kls, mut losses, mut rewards, mut images) = (vec![], vec![], vec![], vec![]);
    for d in 1..=distance {
        let rows = reaching(d) * size;
        let from = Latent {
            h: state.h.narrow(0, 0, rows),
            s: state.s.narrow(0, 0, rows),
        };
        let h = model.recur(&from, &pick(&batch.action, d));
        let prior = model.prior(&h);
        let posterior = Gaussian {
            mean: pick(&target.mean, d),
            std: pick(&target.std, d),
        };
        let kl = posterior.kl(&prior);
        losses.push(kl.clamp_min(switches.free_nats).mean(Kind::Float));
        kls.push(kl.mean(Kind::Float));
        state = Latent {
            s: model.draw(&prior, noise),
            h,
        };
        let features = model.features(&state);
        let logged = pick(&batch.reward.unsqueeze(-1), d).squeeze_dim(-1);
        let predicted = model.reward(&seen_by(Head::Reward, switches, &features));
        rewards.push((predicted - logged).square().mean(Kind::Float));
        if switches.overshooting_image_scale > 0.0 {
            let seen = seen_by(Head::Image, switches, &features);
            let each = switches.decoded_frames / distance;
            let wanted = if switches.decoded_frames == 0 {
                0
            } else {
                each.max(1)
            };
            images.push(image_error(model, &seen, &pick(&frames, d), wanted, noise));
        }
    }
    let mean = |terms: &[Tensor]| {
        if terms.is_empty() {
            Tensor::zeros([], (Kind::Float, model.device))
        } else {
            Tensor::stack(terms, 0).mean(Kind::Float)
        }
    };
    OpenLoop {
        kl: mean(&kls),
        kl_loss: mean(&losses),
        reward: mean(&rewards),
        image: mean(&images),
    }
}
