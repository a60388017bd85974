//! The recurrent state-space model (PlaNet section 3) with its encoder, decoder and reward head.
//!
//! `h_t = GRU(h_{t-1}, f(s_{t-1}, a_t))`, prior `p(s_t | h_t)`, posterior `q(s_t | h_t, e_t)`, features `[s_t, h_t]`.
//! `a_t` is the action that caused observation `t`. The other two designs of figure 2: `ssm` has a feed-forward
//! `h_t = f(s_{t-1}, a_t)`, which remembers nothing, one layer from there to the prior, whose parameters the posterior sees in
//! place of `h_t`, and features `s_t`, as in the authors' code; `rnn` has means for samples.

mod run_time;

use tch::{Device, Kind, Tensor};
use world_model::Observation;

use crate::noise::Noise;
use crate::params::{Gru, Linear, Params};
use crate::preset::{Design, ModelSizes};
use crate::side::Side;

/// A diagonal Gaussian; mean and standard deviation have the same shape.
#[derive(Debug)]
pub struct Gaussian {
    /// Mean.
    pub mean: Tensor,
    /// Standard deviation.
    pub std: Tensor,
}

impl Gaussian {
    fn from_raw(raw: &Tensor, min_std: f64) -> Self {
        let parts = raw.chunk(2, -1);
        Self {
            mean: parts[0].shallow_clone(),
            std: parts[1].softplus() + min_std,
        }
    }

    /// Without gradient.
    pub fn detach(&self) -> Self {
        Self {
            mean: self.mean.detach(),
            std: self.std.detach(),
        }
    }

    /// The same tensors.
    pub fn shallow_clone(&self) -> Self {
        Self {
            mean: self.mean.shallow_clone(),
            std: self.std.shallow_clone(),
        }
    }

    /// KL divergence of `other` from `self`, summed over the last dimension.
    pub fn kl(&self, other: &Self) -> Tensor {
        let ratio = (&self.std / &other.std).square();
        let distance = ((&self.mean - &other.mean) / &other.std).square();
        ((&ratio + distance - 1.0 - ratio.log()) * 0.5).sum_dim_intlist(
            [-1i64].as_slice(),
            false,
            Kind::Float,
        )
    }
}

/// A latent state: deterministic `h`, `[B, belief]`, and stochastic `s`, `[B, stochastic]`.
#[derive(Debug)]
pub struct Latent {
    /// Deterministic part.
    pub h: Tensor,
    /// Stochastic part.
    pub s: Tensor,
}

/// What makes `h_t` of the hidden units.
#[derive(Debug)]
pub enum Cell {
    /// With the last `h`.
    Recurrent(Gru),
    /// Without: the hidden units themselves.
    FeedForward,
}

/// Filtered sequence: every tensor is `[L, B, ...]`.
#[derive(Debug)]
pub struct Filtered {
    /// Latents.
    pub latent: Latent,
    /// Posteriors.
    pub posterior: Gaussian,
    /// One-step priors.
    pub prior: Gaussian,
}

/// The whole world model.
#[derive(Debug)]
pub struct WorldModel {
    /// Sizes it was made with.
    pub sizes: ModelSizes,
    /// Width and height of the images that it sees; [`Side::default`] if it sees none.
    pub side: Side,
    /// Dimension of an action.
    pub action: i64,
    /// Where it computes.
    pub device: Device,
    /// Precision of encoder and decoder; all else is in 32 bits.
    pub convolutions: Kind,
    /// All parameters, in order.
    pub params: Params,
    /// Strided convolutions, as many as the side needs; none if the model sees no pictures.
    pub encoder: Vec<Linear>,
    /// `[s, a]` to hidden.
    pub input: Linear,
    /// The cell.
    pub cell: Cell,
    /// `h` to hidden, then to mean and raw standard deviation; the last step alone in an `ssm`.
    pub prior: Vec<Linear>,
    /// `[h, e]`, in an `ssm` the prior's mean and standard deviation and `e`, to hidden, then to mean and raw standard
    /// deviation; `e` is a picture's embedding, then the joints.
    pub posterior: [Linear; 2],
    /// Hidden layers and the scalar output.
    pub reward: Vec<Linear>,
    /// Dense layer, then transposed convolutions, as many as the side needs; none if the model sees no pictures.
    pub decoder: Vec<Linear>,
    /// Features to the joints' standardised state, sized like the reward head; none if the model does not see them.
    pub joints: Vec<Linear>,
}

impl WorldModel {
    /// A freshly initialised model for images of `side`, which a model that sees none does not look at; the same `seed` gives the same
    /// weights.
    pub fn new(sizes: &ModelSizes, side: Side, action: i64, seed: i64, device: Device) -> Self {
        tch::manual_seed(seed);
        let mut p = Params::on(device);
        let d = sizes.depth;
        let (pixels, joints) = (sizes.observation.pixels(), sizes.observation.joints());
        let image = embedding_of_images(d);
        let joint_numbers = sizes.observation.joint_numbers(action as usize) as i64;
        let embedding = if pixels { image } else { 0 } + joint_numbers;
        let features = match sizes.design {
            Design::Rssm | Design::Rnn => sizes.stochastic + sizes.belief,
            Design::Ssm => sizes.stochastic,
        };
        let side = if pixels { side } else { Side::default() };
        let channels = side.channels(d);
        let mut encoder = Vec::new();
        if pixels {
            let mut from = COLOURS;
            for (i, (&to, &kernel)) in channels.iter().zip(side.encoder_kernels()).enumerate() {
                encoder.push(p.conv(&format!("encoder.{i}"), from, to, kernel));
                from = to;
            }
        }
        let input = p.linear("input", sizes.stochastic + action, sizes.hidden);
        let mut sizes = sizes.clone();
        let gaussian = 2 * sizes.stochastic;
        let (cell, prior, known) = match sizes.design {
            Design::Rssm | Design::Rnn => {
                let cell = Cell::Recurrent(p.gru("gru", sizes.hidden, sizes.belief));
                let prior = vec![
                    p.linear("prior.0", sizes.belief, sizes.hidden),
                    p.linear("prior.1", sizes.hidden, gaussian),
                ];
                (cell, prior, sizes.belief)
            }
            Design::Ssm => {
                // What takes the place of `h` has as many units as what it is.
                sizes.belief = sizes.hidden;
                let prior = vec![p.linear("prior.0", sizes.hidden, gaussian)];
                (Cell::FeedForward, prior, gaussian)
            }
        };
        let posterior = [
            p.linear("posterior.0", known + embedding, sizes.hidden),
            p.linear("posterior.1", sizes.hidden, 2 * sizes.stochastic),
        ];
        let head = |p: &mut Params, name: &str, numbers: i64| -> Vec<Linear> {
            let mut widths = vec![features];
            widths.extend((0..sizes.reward_layers).map(|_| sizes.reward_units));
            widths.push(numbers);
            let layers = widths.windows(2).enumerate();
            layers
                .map(|(i, width)| p.linear(&format!("{name}.{i}"), width[0], width[1]))
                .collect()
        };
        let reward = head(&mut p, "reward", 1);
        let mut decoder = Vec::new();
        if pixels {
            decoder.push(p.linear("decoder.dense", features, image));
            let back = channels.iter().rev().skip(1).copied().chain([COLOURS]);
            let mut from = image;
            for (i, (to, &kernel)) in back.zip(side.decoder_kernels()).enumerate() {
                decoder.push(p.deconv(&format!("decoder.{i}"), from, to, kernel));
                from = to;
            }
        }
        let joints = if joints {
            head(&mut p, "joints", joint_numbers)
        } else {
            Vec::new()
        };
        Self {
            sizes,
            side,
            action,
            device,
            convolutions: Kind::Float,
            params: p,
            encoder,
            input,
            cell,
            prior,
            posterior,
            reward,
            decoder,
            joints,
        }
    }

    /// Length of a picture's embedding; 0 if the model sees none.
    pub fn image_embedding(&self) -> i64 {
        if self.sizes.observation.pixels() {
            embedding_of_images(self.sizes.depth)
        } else {
            0
        }
    }

    /// Numbers of an observation as the posterior takes it: a picture's embedding, then the joints.
    pub fn embedding(&self) -> i64 {
        self.image_embedding() + self.sizes.observation.joint_numbers(self.action as usize) as i64
    }

    /// What the posterior takes of images `[N, 3, S, S]` in [-0.5, 0.5] and of joints `[N, 2 A]` in their standard
    /// deviations, as far as the model sees them: `[N, E]`.
    pub fn observe(&self, image: &Tensor, joints: &Tensor) -> Tensor {
        match self.sizes.observation {
            Observation::Pixels => self.encode(image),
            Observation::Joints => joints.shallow_clone(),
            Observation::PixelsAndJoints => Tensor::cat(&[&self.encode(image), joints], -1),
        }
    }

    /// Images `[N, 3, S, S]` in [-0.5, 0.5], S pixels a side, to embeddings `[N, 32 depth]`.
    pub fn encode(&self, image: &Tensor) -> Tensor {
        self.encoder
            .iter()
            .fold(image.to_kind(self.convolutions), |x, layer| {
                layer.conv2(&x).relu()
            })
            .flatten(1, -1)
            .to_kind(Kind::Float)
    }

    /// Features `[N, F]` to images `[N, 3, S, S]`, S pixels a side.
    pub fn decode(&self, features: &Tensor) -> Tensor {
        let dense = self.decoder[0].dense(features).unsqueeze(-1).unsqueeze(-1);
        let last = self.decoder.len() - 1;
        let first = dense.to_kind(self.convolutions);
        let image = self.decoder[1..].iter().enumerate().fold(first, |x, (i, layer)| {
            let y = layer.deconv2(&x);
            if i + 1 == last { y } else { y.relu() }
        });
        image.to_kind(Kind::Float)
    }

    /// Features `[..., F]` to rewards `[...]`.
    pub fn reward(&self, features: &Tensor) -> Tensor {
        perceptron(&self.reward, features).squeeze_dim(-1)
    }

    /// Features `[..., F]` to the joints' standardised state `[..., 2 A]`.
    pub fn joints(&self, features: &Tensor) -> Tensor {
        perceptron(&self.joints, features)
    }

    /// The deterministic step: `h_t` from the last latent and `a_t`.
    pub fn recur(&self, from: &Latent, action: &Tensor) -> Tensor {
        let x = self.input.dense(&Tensor::cat(&[&from.s, action], -1)).relu();
        match &self.cell {
            Cell::Recurrent(gru) => gru.step(&x, &from.h),
            Cell::FeedForward => x,
        }
    }

    /// What heads see: `[s, h]` along the last dimension, or `s` alone.
    pub fn features(&self, latent: &Latent) -> Tensor {
        match self.sizes.design {
            Design::Rssm | Design::Rnn => Tensor::cat(&[&latent.s, &latent.h], -1),
            Design::Ssm => latent.s.shallow_clone(),
        }
    }

    /// A reparametrised sample, or the mean where the design has none.
    pub fn draw(&self, from: &Gaussian, noise: &mut Noise) -> Tensor {
        match self.sizes.design {
            Design::Rssm | Design::Ssm => &from.mean + &from.std * noise.normal(&from.std),
            Design::Rnn => from.mean.shallow_clone(),
        }
    }

    /// `p(s_t | h_t)`.
    pub fn prior(&self, h: &Tensor) -> Gaussian {
        let raw = perceptron(&self.prior, h);
        Gaussian::from_raw(&raw, self.sizes.min_std)
    }

    /// `q(s_t | h_t, e_t)`.
    pub fn posterior(&self, h: &Tensor, embedding: &Tensor) -> Gaussian {
        let known = match self.cell {
            Cell::Recurrent(_) => h.shallow_clone(),
            Cell::FeedForward => {
                let prior = self.prior(h);
                Tensor::cat(&[&prior.mean, &prior.std], -1)
            }
        };
        let raw = perceptron(&self.posterior, &Tensor::cat(&[&known, embedding], -1));
        Gaussian::from_raw(&raw, self.sizes.min_std)
    }

    /// The state before an episode: zeros.
    pub fn initial(&self, batch: i64) -> Latent {
        let zeros = |n| Tensor::zeros([batch, n], (Kind::Float, self.device));
        Latent {
            h: zeros(self.sizes.belief),
            s: zeros(self.sizes.stochastic),
        }
    }

    /// Filters a batch of sequences: `embedding` `[L, B, E]`, `action` `[L, B, A]`.
    pub fn filter(&self, embedding: &Tensor, action: &Tensor, noise: &mut Noise) -> Filtered {
        let (length, batch) = (embedding.size()[0], embedding.size()[1]);
        let mut state = self.initial(batch);
        let (mut hs, mut ss, mut means, mut stds) = (vec![], vec![], vec![], vec![]);
        for t in 0..length {
            let h = self.recur(&state, &action.get(t));
            let q = self.posterior(&h, &embedding.get(t));
            let s = self.draw(&q, noise);
            hs.push(h.shallow_clone());
            ss.push(s.shallow_clone());
            means.push(q.mean);
            stds.push(q.std);
            state = Latent { h, s };
        }
        let h = Tensor::stack(&hs, 0);
        let prior = self.prior(&h);
        Filtered {
            latent: Latent {
                h,
                s: Tensor::stack(&ss, 0),
            },
            posterior: Gaussian {
                mean: Tensor::stack(&means, 0),
                std: Tensor::stack(&stds, 0),
            },
            prior,
        }
    }
}

/// Channels of an image.
const COLOURS: i64 = 3;

/// Length of a picture's embedding: the encoder ends in 2 x 2 positions of `8 depth` channels at every side.
fn embedding_of_images(depth: i64) -> i64 {
    32 * depth
}

/// Dense layers with ReLU in between.
fn perceptron(layers: &[Linear], input: &Tensor) -> Tensor {
    let last = layers.len() - 1;
    let hidden = layers[..last]
        .iter()
        .fold(input.shallow_clone(), |x, layer| layer.dense(&x).relu());
    layers[last].dense(&hidden)
}
