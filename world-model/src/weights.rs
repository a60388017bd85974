//! Reads the transition's and the reward head's weights out of their ONNX graphs' initialisers.

use std::path::Path;

use tract_onnx::pb::{ModelProto, tensor_proto::DataType};
use tract_onnx::prelude::{Framework, TractResult};

use crate::error::BundleError;
use crate::manifest::Dimensions;

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

/// Everything a latent step needs.
#[derive(Debug, Clone)]
pub struct LatentWeights {
    /// Sizes.
    pub dimensions: Dimensions,
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

/// Parses an ONNX file's bytes.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<ModelProto, BundleError> {
    let parsed: TractResult<ModelProto> = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]);
    parsed.map_err(|error| BundleError::Graph {
        path: path.to_owned(),
        problem: format!("not ONNX: {error:#}"),
    })
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

    fn required_length(&self, name: &str) -> Result<usize, BundleError> {
        self.length(name)
            .ok_or_else(|| self.fault(format!("no initialiser `{name}`")))
    }
}

impl LatentWeights {
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
        while let Some(output) = r.length(&format!("reward.{}.bias", layers.len())) {
            let input = layers.last().map_or(stochastic + belief, |layer| layer.output);
            layers.push(r.layer(&format!("reward.{}", layers.len()), input, output)?);
        }
        if layers.last().is_none_or(|layer| layer.output != 1) {
            return Err(r.fault("the reward head does not end in one output".to_owned()));
        }
        Ok(Self {
            dimensions,
            input: t.layer("input", stochastic + action, hidden)?,
            gru_input: t.dense("gru.w_input", "gru.b_input", hidden, 3 * belief)?,
            gru_state: t.dense("gru.w_state", "gru.b_state", belief, 3 * belief)?,
            prior: {
                let inner = t.required_length("prior.0.bias")?;
                [
                    t.layer("prior.0", belief, inner)?,
                    t.layer("prior.1", inner, 2 * stochastic)?,
                ]
            },
            reward: layers,
            min_std: t.tensor("min_std", &[1])?[0],
        })
    }
}
