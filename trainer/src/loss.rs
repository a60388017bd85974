//! The loss: image and reward likelihoods, KL with free nats, and latent overshooting (PlaNet equations 3 and 7).

use tch::{Device, Kind, Tensor};

use crate::model::{Filtered, Latent, WorldModel};
use crate::preset::LossSwitches;

/// A batch of sequences.
#[derive(Debug)]
pub struct Batch {
    /// `[L, B, 3, 64, 64]`, u8.
    pub frames: Tensor,
    /// `[L, B, A]`; `action[t]` caused `frames[t]`.
    pub action: Tensor,
    /// `[L, B]`.
    pub reward: Tensor,
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
    /// Overshooting's KL, before free nats, mean over distances; 0 when off.
    pub overshooting: Tensor,
    /// Mean squared open-loop reward error; 0 when overshooting is off.
    pub open_loop_reward: Tensor,
}

impl Terms {
    /// Names and values, in a fixed order.
    pub fn scalars(&self) -> [(&'static str, f64); 6] {
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        [
            ("loss", value(&self.total)),
            ("image", value(&self.image)),
            ("reward_mse", value(&self.reward)),
            ("kl", value(&self.kl)),
            ("overshooting_kl", value(&self.overshooting)),
            ("open_loop_reward_mse", value(&self.open_loop_reward)),
        ]
    }
}

/// Reduces u8 pixels to 5 bits in [-0.5, 0.5) and adds dequantisation noise within a bin:
/// `floor(x / 8) / 32 + U(0, 1/32) - 0.5`.
pub fn dequantise(frames: &Tensor) -> Tensor {
    let binned = frames.bitwise_right_shift_tensor_scalar(3).to_kind(Kind::Float) / 32.0 - 0.5;
    let noise = binned.rand_like() / 32.0;
    binned + noise
}

/// The same with the bin's centre instead of noise: what the controller does, and what pictures compare with.
pub fn bin_centre(frames: &Tensor) -> Tensor {
    frames.bitwise_right_shift_tensor_scalar(3).to_kind(Kind::Float) / 32.0 + (1.0 / 64.0 - 0.5)
}

/// The loss of a batch. `switches` chooses the terms; LibTorch's generator supplies all noise.
pub fn loss(model: &WorldModel, switches: &LossSwitches, batch: &Batch) -> Terms {
    let (length, size) = (batch.reward.size()[0], batch.reward.size()[1]);
    let frames = dequantise(&batch.frames.flatten(0, 1));
    let embedding = model.encode(&frames).reshape([length, size, -1]);
    let filtered = model.filter(&embedding, &batch.action);
    let features = filtered.latent.features();

    let image = image_error(model, switches, &features.flatten(0, 1), &frames);
    let reward = (model.reward(&features) - &batch.reward)
        .square()
        .mean(Kind::Float);
    let kl = filtered.posterior.kl(&filtered.prior);
    let kl_loss = kl.clamp_min(switches.free_nats).mean(Kind::Float);
    let mut total = &image + &reward * (0.5 * switches.reward_scale) + kl_loss;

    let zero = || Tensor::zeros([], (Kind::Float, Device::Cpu));
    let (mut overshooting, mut open_loop_reward) = (zero(), zero());
    if switches.overshooting_distance > 0 {
        let over = overshoot(model, switches, &filtered, batch);
        total = total
            + &over.kl_loss * switches.overshooting_scale
            + &over.reward * (0.5 * switches.reward_scale * switches.overshooting_reward_scale);
        (overshooting, open_loop_reward) = (over.kl, over.reward);
    }
    Terms {
        total,
        image,
        reward,
        kl: kl.mean(Kind::Float),
        overshooting,
        open_loop_reward,
    }
}

fn image_error(model: &WorldModel, switches: &LossSwitches, features: &Tensor, frames: &Tensor) -> Tensor {
    let count = features.size()[0];
    let wanted = switches.decoded_frames;
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
    let chosen = Tensor::randperm(count, (Kind::Int64, Device::Cpu)).narrow(0, 0, wanted);
    error(
        &features.index_select(0, &chosen),
        &frames.index_select(0, &chosen),
    )
}

struct Overshoot {
    kl: Tensor,
    kl_loss: Tensor,
    reward: Tensor,
}

/// Rolls the prior D steps on from the POSTERIOR at a few start times, all at once as a bigger batch, and compares
/// with the filtered posteriors (no gradient into them) and the logged rewards.
fn overshoot(model: &WorldModel, switches: &LossSwitches, filtered: &Filtered, batch: &Batch) -> Overshoot {
    let length = batch.reward.size()[0];
    let distance = switches.overshooting_distance;
    let starts = Tensor::randint(
        length - distance,
        [switches.overshooting_starts],
        (Kind::Int64, Device::Cpu),
    );
    let pick = |sequence: &Tensor, offset: i64| sequence.index_select(0, &(&starts + offset)).flatten(0, 1);
    let mut state = Latent {
        h: pick(&filtered.latent.h, 0),
        s: pick(&filtered.latent.s, 0),
    };
    let target = filtered.posterior.detach();
    let (mut kls, mut features, mut rewards) = (vec![], vec![], vec![]);
    for d in 1..=distance {
        let h = model.recur(&state, &pick(&batch.action, d));
        let prior = model.prior(&h);
        let posterior = target.index(&(&starts + d));
        let posterior = crate::model::Gaussian {
            mean: posterior.mean.flatten(0, 1),
            std: posterior.std.flatten(0, 1),
        };
        kls.push(posterior.kl(&prior));
        state = Latent { s: prior.sample(), h };
        features.push(state.features());
        rewards.push(pick(&batch.reward.unsqueeze(-1), d).squeeze_dim(-1));
    }
    let kl = Tensor::stack(&kls, 0);
    let predicted = model.reward(&Tensor::stack(&features, 0));
    Overshoot {
        kl_loss: kl.clamp_min(switches.free_nats).mean(Kind::Float),
        kl: kl.mean(Kind::Float),
        reward: (predicted - Tensor::stack(&rewards, 0))
            .square()
            .mean(Kind::Float),
    }
}
