//! The loss: image and reward likelihoods, KL with free nats, and overshooting (PlaNet equations 3 and 7).

mod overshoot;

use tch::{Device, Kind, Tensor};

use self::overshoot::{OpenLoop, overshoot};
use crate::model::{Filtered, Gaussian, WorldModel};
use crate::noise::Noise;
use crate::preset::{Head, LossSwitches};

/// A batch of sequences.
#[derive(Debug)]
pub struct Batch {
    /// `[L, B, 3, S, S]`, u8, S pixels a side; in memory the channels may come last. `[L, B, 3, 0, 0]` if no model is to see them.
    pub frames: Tensor,
    /// `[L, B, A]`; `action[t]` caused `frames[t]`.
    pub action: Tensor,
    /// `[L, B, 2 A]`: position and velocity of each joint in turn, in standard deviations of the logs; `[L, B, 0]` if no
    /// model is to see them.
    pub joints: Tensor,
    /// `[L, B]`; 0 where nobody gave one.
    pub reward: Tensor,
    /// `[L, B]`, 1 where there is a reward and 0 where there is none; `None` if all frames have one.
    pub rewarded: Option<Tensor>,
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
            joints: self.joints.to_device(device),
            reward: self.reward.to_device(device),
            rewarded: self.rewarded.map(|mask| mask.to_device(device)),
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
    /// 0.5 x squared error of the joints' standardised state, summed over joints, mean over steps; 0 if they are not seen.
    pub joints: Tensor,
    /// Mean squared reward error (unscaled), over the frames that have a reward.
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
    /// 0.5 x squared open-loop error of the joints' standardised state, likewise; 0 when off.
    pub open_loop_joints: Tensor,
}

impl Terms {
    /// Names and values, in a fixed order: one copy from the device for all.
    pub fn scalars(&self) -> [(&'static str, f64); 10] {
        let terms = [
            ("loss", &self.total),
            ("image", &self.image),
            ("joints", &self.joints),
            ("reward_mse", &self.reward),
            ("kl", &self.kl),
            ("global_kl", &self.global_kl),
            ("overshooting_kl", &self.overshooting),
            ("open_loop_reward_mse", &self.open_loop_reward),
            ("open_loop_image", &self.open_loop_image),
            ("open_loop_joints", &self.open_loop_joints),
        ];
        let together = Tensor::stack(&terms.map(|(_, tensor)| tensor), 0).detach();
        let mut values = [0f32; 10];
        together.to_device(Device::Cpu).copy_data(&mut values, 10);
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
    let zero = || Tensor::zeros([], (Kind::Float, model.device));
    let (pixels, joints) = (model.sizes.observation.pixels(), model.sizes.observation.joints());
    let frames = if pixels {
        dequantise(&batch.frames.flatten(0, 1), model.sizes.image_bits, noise)
    } else {
        zero()
    };
    let embedding = model
        .observe(&frames, &batch.joints.flatten(0, 1))
        .reshape([length, size, -1]);
    let filtered = model.filter(&embedding, &batch.action, noise);
    let features = model.features(&filtered.latent);

    let image = if pixels {
        let flat = seen_by(Head::Image, switches, &features.flatten(0, 1));
        image_error(model, &flat, &frames, switches.decoded_frames, noise)
    } else {
        zero()
    };
    let joints_error = if joints {
        joints_error(model, switches, &features, &batch.joints)
    } else {
        zero()
    };
    let reward = reward_error(
        &model.reward(&seen_by(Head::Reward, switches, &features)),
        &batch.reward,
        batch.rewarded.as_ref(),
    );
    let kl = filtered.posterior.kl(&filtered.prior);
    let mut total = &image * switches.image_scale
        + &joints_error * switches.joints_scale
        + &reward * (0.5 * switches.reward_scale)
        + divergence(&filtered, &kl, switches) * switches.kl_scale;

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
        joints: zero(),
    };
    if switches.overshooting_distance > 0 {
        open_loop = overshoot(model, switches, &filtered, batch, &frames, noise);
        let reward_scale = 0.5 * switches.reward_scale * switches.overshooting_reward_scale;
        total += &open_loop.kl_loss * switches.overshooting_scale + &open_loop.reward * reward_scale;
        if joints && switches.overshooting_joints_scale > 0.0 {
            total += &open_loop.joints * (switches.joints_scale * switches.overshooting_joints_scale);
        }
        if pixels && switches.overshooting_image_scale > 0.0 {
            total += &open_loop.image * (switches.image_scale * switches.overshooting_image_scale);
        }
    }
    Terms {
        total,
        image,
        joints: joints_error,
        reward,
        kl: kl.mean(Kind::Float),
        global_kl,
        overshooting: open_loop.kl,
        open_loop_reward: open_loop.reward,
        open_loop_image: open_loop.image,
        open_loop_joints: open_loop.joints,
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

/// Squared error of `predicted` rewards, mean over those that were given; 0 if none was. `rewarded` is 1 where one was.
fn reward_error(predicted: &Tensor, logged: &Tensor, rewarded: Option<&Tensor>) -> Tensor {
    let squares = (predicted - logged).square();
    match rewarded {
        None => squares.mean(Kind::Float),
        Some(rewarded) => (squares * rewarded).sum(Kind::Float) / rewarded.sum(Kind::Float).clamp_min(1.0),
    }
}

/// 0.5 x squared error of the joints' state as `features` `[..., F]` have it from `joints` `[..., 2 A]`, summed over joints,
/// mean over the rest.
fn joints_error(model: &WorldModel, switches: &LossSwitches, features: &Tensor, joints: &Tensor) -> Tensor {
    let seen = seen_by(Head::Joints, switches, features);
    let squares = (model.joints(&seen) - joints).square();
    squares
        .sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
        .mean(Kind::Float)
        * 0.5
}
