//! The graphs of a bundle, each with random inputs and LibTorch's own outputs for them.

use tch::{Device, Kind, Tensor, no_grad};

use crate::loss::bin_centre;
use crate::model::{Cell, Latent, WorldModel};
use tract_onnx::pb;

use crate::onnx::{GraphBuilder, Value, integer, integers};
use crate::params::Linear;

/// A graph with its parity inputs and outputs: (index and name, shape, bytes).
pub(super) struct Exported {
    pub(super) name: &'static str,
    pub(super) model: Vec<u8>,
    pub(super) inputs: Vec<(String, Tensor)>,
    pub(super) outputs: Vec<(String, Tensor)>,
}

/// Rows of random inputs the parity vectors hold.
const PARITY_ROWS: i64 = 4;

/// What a convolution with the kernel of `layer` and a stride of 2 says of itself.
fn strided(layer: &Linear) -> Vec<pb::AttributeProto> {
    let kernel = layer.weight.size()[2];
    vec![
        integers("kernel_shape", &[kernel, kernel]),
        integers("strides", &[2, 2]),
    ]
}

fn dense(g: &mut GraphBuilder, x: &Value, name: &str, layer: &Linear) -> Value {
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    g.gemm(x, (&weight, &layer.weight), (&bias, &layer.bias))
}

fn relu_dense(g: &mut GraphBuilder, x: &Value, name: &str, layer: &Linear) -> Value {
    let y = dense(g, x, name, layer);
    g.op("Relu", &[&y])
}

fn gaussian(g: &mut GraphBuilder, model: &WorldModel, raw: &Value) -> (Value, Value) {
    let halves = g.nodes("Split", &[raw], vec![integer("axis", 1)], 2, None);
    let min_std = g.weight("min_std", &Tensor::from_slice(&[model.sizes.min_std as f32]));
    let soft = softplus(g, &halves[1]);
    (halves[0].clone(), g.op("Add", &[&soft, &min_std]))
}

/// `max(x, 0) + ln(1 + e^-|x|)`: the operator of that name overflows in some engines where x is large.
fn softplus(g: &mut GraphBuilder, x: &Value) -> Value {
    let one = g.weight("one", &Tensor::from_slice(&[1f32]));
    let magnitude = g.op("Abs", &[x]);
    let negative = g.op("Neg", &[&magnitude]);
    let tail = g.op("Exp", &[&negative]);
    let sum = g.op("Add", &[&tail, &one]);
    let logarithm = g.op("Log", &[&sum]);
    let linear = g.op("Relu", &[x]);
    g.op("Add", &[&linear, &logarithm])
}

/// The deterministic step, in the same order of operations as the run-time's.
fn recur(g: &mut GraphBuilder, model: &WorldModel, h: &Value, s: &Value, a: &Value) -> Value {
    let x = g.concat(&[s, a]);
    let x = relu_dense(g, &x, "input", &model.input);
    let Cell::Recurrent(gru) = &model.cell else {
        return x;
    };
    let gi = g.gemm(&x, ("gru.w_input", &gru.w_input), ("gru.b_input", &gru.b_input));
    let gh = g.gemm(h, ("gru.w_state", &gru.w_state), ("gru.b_state", &gru.b_state));
    let from_input = g.nodes("Split", &[&gi], vec![integer("axis", 1)], 3, None);
    let from_state = g.nodes("Split", &[&gh], vec![integer("axis", 1)], 3, None);
    let gate = |g: &mut GraphBuilder, index: usize| {
        let sum = g.op("Add", &[&from_input[index], &from_state[index]]);
        g.op("Sigmoid", &[&sum])
    };
    let (r, z) = (gate(g, 0), gate(g, 1));
    let gated = g.op("Mul", &[&r, &from_state[2]]);
    let sum = g.op("Add", &[&from_input[2], &gated]);
    let n = g.op("Tanh", &[&sum]);
    let difference = g.op("Sub", &[h, &n]);
    let kept = g.op("Mul", &[&z, &difference]);
    g.op("Add", &[&kept, &n])
}

fn prior(g: &mut GraphBuilder, model: &WorldModel, h: &Value) -> (Value, Value) {
    let last = model.prior.len() - 1;
    let hidden = (0..last).fold(h.clone(), |x, i| {
        relu_dense(g, &x, &format!("prior.{i}"), &model.prior[i])
    });
    let raw = dense(g, &hidden, &format!("prior.{last}"), &model.prior[last]);
    gaussian(g, model, &raw)
}

fn named(names: &[&str], tensors: Vec<Tensor>) -> Vec<(String, Tensor)> {
    names.iter().map(|name| (*name).to_owned()).zip(tensors).collect()
}

/// Random latents as a filter would hold: `h` in (-1, 1), `s` a few units wide.
fn random_latent(model: &WorldModel) -> Latent {
    let normal = |n| Tensor::randn([PARITY_ROWS, n], (Kind::Float, Device::Cpu));
    Latent {
        h: normal(model.sizes.belief).tanh(),
        s: normal(model.sizes.stochastic) * 1.5,
    }
}

fn random_action(model: &WorldModel) -> Tensor {
    Tensor::rand([PARITY_ROWS, model.action], (Kind::Float, Device::Cpu)) * 2.0 - 1.0
}

pub(super) fn encoder(model: &WorldModel) -> Exported {
    let mut g = GraphBuilder::new("encoder");
    let side = model.side.size();
    let mut x = g.input("image", &[3, side, side]);
    for (i, layer) in model.encoder.iter().enumerate() {
        let w = g.weight(&format!("encoder.{i}.weight"), &layer.weight);
        let b = g.weight(&format!("encoder.{i}.bias"), &layer.bias);
        x = g.node("Conv", &[&x, &w, &b], strided(layer), None);
        x = g.op("Relu", &[&x]);
    }
    let x = g.node("Flatten", &[&x], vec![integer("axis", 1)], None);
    g.output(&x, "embedding", &[model.image_embedding()]);
    let image = Tensor::rand([PARITY_ROWS, 3, side, side], (Kind::Float, Device::Cpu)) - 0.5;
    let embedding = no_grad(|| model.encode(&image));
    Exported {
        name: "encoder",
        model: g.finish(),
        inputs: named(&["image"], vec![image]),
        outputs: named(&["embedding"], vec![embedding]),
    }
}

/// Random pictures as a camera's are, and what the model makes of them: from their bytes, by the preparation that the manifest names,
/// to embeddings. Returns bytes `[rows][side][side][3]` and 32-bit floats `[rows][embedding]`.
pub(super) fn pictures(model: &WorldModel) -> (Tensor, Tensor) {
    let side = model.side.size();
    let rgb = Tensor::randint(256, [PARITY_ROWS, side, side, 3], (Kind::Uint8, Device::Cpu));
    let planes = bin_centre(&rgb.permute([0, 3, 1, 2]), model.sizes.image_bits);
    (rgb, no_grad(|| model.encode(&planes)))
}

pub(super) fn filter(model: &WorldModel) -> Exported {
    let sizes = &model.sizes;
    let mut g = GraphBuilder::new("filter");
    let h = g.input("h", &[sizes.belief]);
    let s = g.input("s", &[sizes.stochastic]);
    let a = g.input("action", &[model.action]);
    let e = g.input("embedding", &[model.embedding()]);
    let next = recur(&mut g, model, &h, &s, &a);
    let (prior_mean, prior_std) = prior(&mut g, model, &next);
    let joined = match model.cell {
        Cell::Recurrent(_) => g.concat(&[&next, &e]),
        Cell::FeedForward => g.concat(&[&prior_mean, &prior_std, &e]),
    };
    let hidden = relu_dense(&mut g, &joined, "posterior.0", &model.posterior[0]);
    let raw = dense(&mut g, &hidden, "posterior.1", &model.posterior[1]);
    let (mean, std) = gaussian(&mut g, model, &raw);
    g.output(&next, "h_next", &[sizes.belief]);
    for (value, name) in [
        (&mean, "mean"),
        (&std, "std"),
        (&prior_mean, "prior_mean"),
        (&prior_std, "prior_std"),
    ] {
        g.output(value, name, &[sizes.stochastic]);
    }
    let (latent, action) = (random_latent(model), random_action(model));
    let normal = Tensor::randn([PARITY_ROWS, model.embedding()], (Kind::Float, Device::Cpu));
    // A picture's embedding comes out of a rectifier, joints have either sign.
    let embedding = Tensor::cat(
        &[
            &normal.narrow(1, 0, model.image_embedding()).relu(),
            &normal.narrow(
                1,
                model.image_embedding(),
                model.embedding() - model.image_embedding(),
            ),
        ],
        1,
    );
    let outputs = no_grad(|| {
        let h = model.recur(&latent, &action);
        let q = model.posterior(&h, &embedding);
        let p = model.prior(&h);
        vec![h, q.mean, q.std, p.mean, p.std]
    });
    Exported {
        name: "filter",
        model: g.finish(),
        inputs: named(
            &["h", "s", "action", "embedding"],
            vec![latent.h, latent.s, action, embedding],
        ),
        outputs: named(&["h_next", "mean", "std", "prior_mean", "prior_std"], outputs),
    }
}

pub(super) fn transition(model: &WorldModel) -> Exported {
    let sizes = &model.sizes;
    let mut g = GraphBuilder::new("transition");
    let h = g.input("h", &[sizes.belief]);
    let s = g.input("s", &[sizes.stochastic]);
    let a = g.input("action", &[model.action]);
    let next = recur(&mut g, model, &h, &s, &a);
    let (mean, std) = prior(&mut g, model, &next);
    g.output(&next, "h_next", &[sizes.belief]);
    g.output(&mean, "prior_mean", &[sizes.stochastic]);
    g.output(&std, "prior_std", &[sizes.stochastic]);
    let (latent, action) = (random_latent(model), random_action(model));
    let outputs = no_grad(|| {
        let h = model.recur(&latent, &action);
        let p = model.prior(&h);
        vec![h, p.mean, p.std]
    });
    Exported {
        name: "transition",
        model: g.finish(),
        inputs: named(&["h", "s", "action"], vec![latent.h, latent.s, action]),
        outputs: named(&["h_next", "prior_mean", "prior_std"], outputs),
    }
}

fn features(g: &mut GraphBuilder, model: &WorldModel) -> Value {
    let h = g.input("h", &[model.sizes.belief]);
    let s = g.input("s", &[model.sizes.stochastic]);
    g.concat(&[&s, &h])
}

pub(super) fn reward(model: &WorldModel) -> Exported {
    let mut g = GraphBuilder::new("reward");
    let mut x = features(&mut g, model);
    let last = model.reward.len() - 1;
    for (i, layer) in model.reward.iter().enumerate() {
        let name = format!("reward.{i}");
        let first = (i == 0).then(|| model.run_time_layer(layer));
        let layer = first.as_ref().unwrap_or(layer);
        x = if i == last {
            dense(&mut g, &x, &name, layer)
        } else {
            relu_dense(&mut g, &x, &name, layer)
        };
    }
    g.output(&x, "reward", &[1]);
    let latent = random_latent(model);
    let value = no_grad(|| model.reward(&model.features(&latent)).unsqueeze(-1));
    Exported {
        name: "reward",
        model: g.finish(),
        inputs: named(&["h", "s"], vec![latent.h, latent.s]),
        outputs: named(&["reward"], vec![value]),
    }
}

pub(super) fn decoder(model: &WorldModel) -> Exported {
    let mut g = GraphBuilder::new("decoder");
    let x = features(&mut g, model);
    let first = model.run_time_layer(&model.decoder[0]);
    let x = dense(&mut g, &x, "decoder.dense", &first);
    let shape = g.integers("spatial", &[-1, model.image_embedding(), 1, 1]);
    let mut x = g.op("Reshape", &[&x, &shape]);
    let last = model.decoder.len() - 2;
    for (i, layer) in model.decoder[1..].iter().enumerate() {
        let w = g.weight(&format!("decoder.{i}.weight"), &layer.weight);
        let b = g.weight(&format!("decoder.{i}.bias"), &layer.bias);
        x = g.node("ConvTranspose", &[&x, &w, &b], strided(layer), None);
        if i != last {
            x = g.op("Relu", &[&x]);
        }
    }
    let side = model.side.size();
    g.output(&x, "image", &[3, side, side]);
    let latent = random_latent(model);
    let image = no_grad(|| model.decode(&model.features(&latent)));
    Exported {
        name: "decoder",
        model: g.finish(),
        inputs: named(&["h", "s"], vec![latent.h, latent.s]),
        outputs: named(&["image"], vec![image]),
    }
}
