//! Overshooting (PlaNet section 4): what the model imagines open loop against what the filter then found.

use tch::{Device, Kind, Tensor};

use super::{Batch, image_error, joints_error, reward_error, seen_by};
use crate::model::{Filtered, Gaussian, Latent, WorldModel};
use crate::noise::Noise;
use crate::preset::{Head, LossSwitches};

/// What came of imagining on from posteriors.
pub(super) struct OpenLoop {
    /// KL, mean over distances.
    pub(super) kl: Tensor,
    /// The same with free nats and the weight of distance 1.
    pub(super) kl_loss: Tensor,
    /// Mean squared reward error.
    pub(super) reward: Tensor,
    /// Image error.
    pub(super) image: Tensor,
    /// Error of the joints' state.
    pub(super) joints: Tensor,
}

/// Rolls the prior on from the POSTERIOR at some start times, or all, at once as a bigger batch, and compares it at every
/// distance up to D with the filtered posteriors, the logged rewards and, if asked, the frames. Each distance counts alike,
/// however many starts reach it: PlaNet equation 7 with all beta_d equal, beside the loss's own KL, as in the authors' code.
/// `overshooting_beta_1` gives the KL of distance 1 another weight.
pub(super) fn overshoot(
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
    let observation = model.sizes.observation;
    let frames = (observation.pixels() && switches.overshooting_image_scale > 0.0)
        .then(|| frames.reshape(batch.frames.size().as_slice()));
    let with_joints = observation.joints() && switches.overshooting_joints_scale > 0.0;
    let (mut kls, mut losses, mut rewards) = (vec![], vec![], vec![]);
    let (mut images, mut joints) = (vec![], vec![]);
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
        let beta = if d == 1 { switches.overshooting_beta_1 } else { 1.0 };
        losses.push(kl.clamp_min(switches.free_nats).mean(Kind::Float) * beta);
        kls.push(kl.mean(Kind::Float));
        state = Latent {
            s: model.draw(&prior, noise),
            h,
        };
        let features = model.features(&state);
        let at = |numbers: &Tensor| pick(&numbers.unsqueeze(-1), d).squeeze_dim(-1);
        let predicted = model.reward(&seen_by(Head::Reward, switches, &features));
        let rewarded = batch.rewarded.as_ref().map(at);
        rewards.push(reward_error(&predicted, &at(&batch.reward), rewarded.as_ref()));
        if with_joints {
            joints.push(joints_error(model, switches, &features, &pick(&batch.joints, d)));
        }
        if let Some(frames) = &frames {
            let seen = seen_by(Head::Image, switches, &features);
            let each = switches.decoded_frames / distance;
            let wanted = if switches.decoded_frames == 0 {
                0
            } else {
                each.max(1)
            };
            images.push(image_error(model, &seen, &pick(frames, d), wanted, noise));
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
        joints: mean(&joints),
    }
}
