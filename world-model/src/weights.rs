//! Reads the transition's and the reward head's weights out of their ONNX graphs' initialisers.

use std::path::Path;

use tract_onnx::pb::{ModelProto, tensor_proto::DataType};
use tract_onnx::prelude::{Framework, TractResult};

use crate::error::BundleError;
use crate::manifest::Dimensions;
use crate::shapes;

/// A dense layer: `weight` is `[out][in]`, row-major.
#[derive(Debug, Clone)]
pub struct Dense {
    /// Inputs.
    pub input: usize,
    /// Outputs.
    pub output: usize,
    /// Weights.
    pub weight: Vec<f32>,
    /// Biases.
    pub bias: Vec<f32>,
}

impl Dense {
    fn zeros(input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            weight: vec![0.0; input * output],
            bias: vec![0.0; output],
        }
    }

    fn identity(units: usize) -> Self {
        let mut layer = Self::zeros(units, units);
        for unit in 0..units {
            layer.weight[unit * units + unit] = 1.0;
        }
        layer
    }
}

/// How a deterministic state follows from the hidden units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// And from the last one.
    Gru,
    /// It is they: a model that remembers nothing but its stochastic state. Its posterior sees the prior's mean and standard
    /// deviation in place of it.
    FeedForward,
}

impl Cell {
    /// Numbers that the posterior sees beside the embedding.
    pub(crate) fn known(self, dimensions: &Dimensions) -> usize {
        match self {
            Self::Gru => dimensions.belief,
            Self::FeedForward => 2 * dimensions.stochastic,
        }
    }
}

/// Everything a latent step needs.
#[derive(Debug, Clone)]
pub struct LatentWeights {
    /// Sizes.
    pub dimensions: Dimensions,
    /// Which cell; all of the GRU's weights are 0 without one.
    pub cell: Cell,
    /// `[s, a]` to hidden.
    pub input: Dense,
    /// Hidden to the three gates (reset, update, new).
    pub gru_input: Dense,
    /// State to the three gates.
    pub gru_state: Dense,
    /// `h` to hidden, hidden to mean and raw standard deviation.
    pub prior: [Dense; 2],
    /// Hidden layers and output of the reward head over `[s, h]`.
    pub reward: Vec<Dense>,
    /// Added to the softplus.
    pub min_std: f32,
}

/// A convolution over square planes, without padding, followed by ReLU.
#[derive(Debug, Clone)]
pub struct Convolution {
    /// Channels it reads.
    pub input: usize,
    /// Channels it gives.
    pub output: usize,
    /// Height and width of its kernel.
    pub kernel: usize,
    /// Positions between two patches.
    pub stride: usize,
    /// Height and width of what it reads.
    pub side: usize,
    /// `[output][input][kernel][kernel]`.
    pub weight: Vec<f32>,
    /// `[output]`.
    pub bias: Vec<f32>,
}

impl Convolution {
    /// Height and width of what it gives.
    pub fn side_out(&self) -> usize {
        (self.side - self.kernel) / self.stride + 1
    }
}

/// The most units of a layer. The largest world models that are published have half as many.
pub(crate) const UNITS_MAX: usize = 1 << 13;

/// Parses an ONNX file's bytes.
///
/// # Errors
/// [`BundleError::Graph`] for bytes that are no ONNX, and for initialisers that are not whole.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<ModelProto, BundleError> {
    let fault = |problem: String| BundleError::Graph {
        path: path.to_owned(),
        problem,
    };
    let parse = || -> TractResult<ModelProto> { tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]) };
    let model = files::guarded(parse)
        .map_err(|panic| fault(panic.to_string()))?
        .map_err(|error| fault(format!("not ONNX: {error:#}")))?;
    shapes::check_initialisers(&model).map_err(fault)?;
    Ok(model)
}

struct Initialisers<'a> {
    path: &'a Path,
    model: &'a ModelProto,
}

impl Initialisers<'_> {
    fn fault(&self, problem: String) -> BundleError {
        BundleError::Graph {
            path: self.path.to_owned(),
            problem,
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, BundleError> {
        let tensor = self
            .model
            .graph
            .as_ref()
            .and_then(|graph| graph.initializer.iter().find(|tensor| tensor.name == name))
            .ok_or_else(|| self.fault(format!("no initialiser `{name}`")))?;
        let found: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
        if found != shape {
            return Err(self.fault(format!(
                "initialiser `{name}` has shape {found:?}, expected {shape:?}"
            )));
        }
        if tensor.data_type != DataType::Float as i32
            || tensor.raw_data.len() != 4 * shape.iter().product::<usize>()
        {
            return Err(self.fault(format!("initialiser `{name}` is not raw 32-bit floats")));
        }
        let values: Vec<f32> = tensor
            .raw_data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(self.fault(format!("initialiser `{name}`[{index}] is {}", values[index]))),
            None => Ok(values),
        }
    }

    /// Length of a named bias: the manifest does not repeat the sizes of hidden layers.
    fn length(&self, name: &str) -> Option<usize> {
        let graph = self.model.graph.as_ref()?;
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name)?;
        tensor.dims.first().map(|&n| n as usize)
    }

    fn dense(&self, weight: &str, bias: &str, input: usize, output: usize) -> Result<Dense, BundleError> {
        Ok(Dense {
            input,
            output,
            weight: self.tensor(weight, &[output, input])?,
            bias: self.tensor(bias, &[output])?,
        })
    }

    fn layer(&self, name: &str, input: usize, output: usize) -> Result<Dense, BundleError> {
        self.dense(&format!("{name}.weight"), &format!("{name}.bias"), input, output)
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let graph = self.model.graph.as_ref()?;
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name)?;
        Some(tensor.dims.iter().map(|&n| n as usize).collect())
    }

    fn required_length(&self, name: &str) -> Result<usize, BundleError> {
        match self.length(name) {
            None => Err(self.fault(format!("no initialiser `{name}`"))),
            Some(length) if !(1..=UNITS_MAX).contains(&length) => Err(self.fault(format!(
                "initialiser `{name}` has {length} numbers, and a layer has 1 to {UNITS_MAX} units"
            ))),
            Some(length) => Ok(length),
        }
    }
}

/// Sizes that a bundle's graphs have beside its manifest's [`Dimensions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Width of the layers around the GRU.
    pub width: usize,
    /// Widths of the reward head's hidden layers.
    pub reward: Vec<usize>,
}

impl LatentWeights {
    /// Random weights of the usual initialisation's size, for timing networks of other sizes than the bundle's.
    pub fn random(dimensions: Dimensions, hidden: &Hidden, seed: u64) -> Self {
        let mut stream = robot::philox::Stream::new(seed, 0x77);
        let mut dense = |input: usize, output: usize| {
            let limit = (6.0 / (input + output) as f32).sqrt();
            Dense {
                input,
                output,
                weight: (0..input * output).map(|_| stream.range(-limit, limit)).collect(),
                bias: vec![0.0; output],
            }
        };
        let Dimensions {
            belief,
            stochastic,
            action,
            ..
        } = dimensions;
        let mut reward = Vec::new();
        let mut width = stochastic + belief;
        for output in hidden.reward.iter().copied().chain([1]) {
            reward.push(dense(width, output));
            width = output;
        }
        Self {
            dimensions,
            cell: Cell::Gru,
            input: dense(stochastic + action, hidden.width),
            gru_input: dense(hidden.width, 3 * belief),
            gru_state: dense(belief, 3 * belief),
            prior: [dense(belief, hidden.width), dense(hidden.width, 2 * stochastic)],
            reward,
            min_std: 0.1,
        }
    }

    /// Multiply-adds of one latent step of one candidate; and how many of them all candidates share at step 0.
    pub fn multiply_adds(&self) -> (usize, usize) {
        let size = |layer: &Dense| layer.input * layer.output;
        let step = [&self.input, &self.gru_input, &self.gru_state];
        let all = step
            .into_iter()
            .chain(&self.prior)
            .chain(&self.reward)
            .map(size)
            .sum();
        let shared = self.dimensions.stochastic * self.input.output + size(&self.gru_state);
        (all, shared)
    }

    /// Reads `transition.onnx` and `reward.onnx`.
    ///
    /// # Errors
    /// [`BundleError::Graph`], naming the initialiser.
    pub fn read(
        dimensions: Dimensions,
        transition: (&Path, &[u8]),
        reward: (&Path, &[u8]),
    ) -> Result<Self, BundleError> {
        let Dimensions {
            belief,
            stochastic,
            action,
            ..
        } = dimensions;
        let model = parse(transition.0, transition.1)?;
        let t = Initialisers {
            path: transition.0,
            model: &model,
        };
        let hidden = t.required_length("input.bias")?;
        let model = parse(reward.0, reward.1)?;
        let r = Initialisers {
            path: reward.0,
            model: &model,
        };
        let mut layers: Vec<Dense> = Vec::new();
        while r.length(&format!("reward.{}.bias", layers.len())).is_some() {
            let output = r.required_length(&format!("reward.{}.bias", layers.len()))?;
            let input = layers.last().map_or(stochastic + belief, |layer| layer.output);
            layers.push(r.layer(&format!("reward.{}", layers.len()), input, output)?);
        }
        if layers.last().is_none_or(|layer| layer.output != 1) {
            return Err(r.fault("the reward head does not end in one output".to_owned()));
        }
        let recurrent = t.length("gru.b_input").is_some();
        if !recurrent && hidden != belief {
            return Err(t.fault(format!(
                "has no recurrent cell, and {hidden} hidden units where the manifest says {belief}"
            )));
        }
        Ok(Self {
            dimensions,
            cell: if recurrent { Cell::Gru } else { Cell::FeedForward },
            input: t.layer("input", stochastic + action, hidden)?,
            gru_input: if recurrent {
                t.dense("gru.w_input", "gru.b_input", hidden, 3 * belief)?
            } else {
                // Of the three parts the last makes the new state: the hidden units as they are.
                let mut layer = Dense::zeros(hidden, 3 * belief);
                layer.weight[2 * belief * hidden..].copy_from_slice(&Dense::identity(belief).weight);
                layer
            },
            gru_state: if recurrent {
                t.dense("gru.w_state", "gru.b_state", belief, 3 * belief)?
            } else {
                Dense::zeros(belief, 3 * belief)
            },
            prior: if recurrent {
                let inner = t.required_length("prior.0.bias")?;
                [
                    t.layer("prior.0", belief, inner)?,
                    t.layer("prior.1", inner, 2 * stochastic)?,
                ]
            } else {
                // Hidden units are none below zero: a rectifier leaves them as they are.
                [
                    Dense::identity(belief),
                    t.layer("prior.0", belief, 2 * stochastic)?,
                ]
            },
            reward: layers,
            min_std: t.tensor("min_std", &[1])?[0],
        })
    }
}

/// Stride of the encoder's convolutions (PlaNet, appendix A).
const STRIDE: usize = 2;

/// Reads `encoder.onnx`: convolutions from an image of `side` x `side` pixels down to an embedding of `embedding` numbers.
///
/// # Errors
/// [`BundleError::Graph`], naming the initialiser.
pub fn encoder(
    graph: (&Path, &[u8]),
    side: usize,
    embedding: usize,
) -> Result<Vec<Convolution>, BundleError> {
    let model = parse(graph.0, graph.1)?;
    let e = Initialisers {
        path: graph.0,
        model: &model,
    };
    let mut layers: Vec<Convolution> = Vec::new();
    let (mut channels, mut side) = (3, side);
    while let Some(shape) = e.shape(&format!("encoder.{}.weight", layers.len())) {
        let name = format!("encoder.{}.weight", layers.len());
        let &[output, input, kernel, width] = shape.as_slice() else {
            return Err(e.fault(format!(
                "initialiser `{name}` has shape {shape:?}, expected four numbers"
            )));
        };
        if input != channels
            || width != kernel
            || !(1..=side).contains(&kernel)
            || !(1..=UNITS_MAX).contains(&output)
        {
            return Err(e.fault(format!(
                "initialiser `{name}` has shape {shape:?}, which does not fit {channels} planes of {side} x {side}"
            )));
        }
        let layer = Convolution {
            input,
            output,
            kernel,
            stride: STRIDE,
            side,
            weight: e.tensor(&name, &shape)?,
            bias: e.tensor(&format!("encoder.{}.bias", layers.len()), &[output])?,
        };
        (channels, side) = (output, layer.side_out());
        layers.push(layer);
    }
    if layers.is_empty() {
        return Err(e.fault("no initialiser `encoder.0.weight`".to_owned()));
    }
    if channels * side * side != embedding {
        return Err(e.fault(format!(
            "gives {} numbers, the manifest says {embedding}",
            channels * side * side
        )));
    }
    Ok(layers)
}

/// Reads the posterior's layers, over `[h, embedding]`, or over the prior's mean and standard deviation and the embedding
/// without a recurrent cell, from `filter.onnx`.
///
/// # Errors
/// [`BundleError::Graph`], naming the initialiser.
pub fn posterior(
    graph: (&Path, &[u8]),
    dimensions: Dimensions,
    cell: Cell,
) -> Result<[Dense; 2], BundleError> {
    let model = parse(graph.0, graph.1)?;
    let f = Initialisers {
        path: graph.0,
        model: &model,
    };
    let hidden = f.required_length("posterior.0.bias")?;
    Ok([
        f.layer(
            "posterior.0",
            cell.known(&dimensions) + dimensions.embedding,
            hidden,
        )?,
        f.layer("posterior.1", hidden, 2 * dimensions.stochastic)?,
    ])
}
