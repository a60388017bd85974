//! Exported graphs run by tract: the decoder, the parity check, and rollouts by another route.

use std::path::Path;
use std::sync::Arc;

use robot::Frame;
use tract_onnx::prelude::{
    Datum, Framework, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, TVec, Tensor, TractResult,
    TypedRunnableModel,
};

use crate::belief::Belief;
use crate::error::BundleError;
use crate::image::from_planes;
use crate::manifest::Dimensions;
use crate::noise::{NoiseKey, Purpose};
use crate::rollout::Rollout;
use crate::{shapes, weights};

/// A graph's file and bytes.
#[derive(Debug, Clone, Copy)]
pub struct GraphSource<'a> {
    /// For messages.
    pub path: &'a Path,
    /// The ONNX file.
    pub bytes: &'a [u8],
}

/// A graph specialised to fixed input shapes.
pub struct Graph {
    plan: Arc<TypedRunnableModel>,
    shapes: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph(inputs {:?})", self.shapes)
    }
}

impl Graph {
    /// Parses, fixes the input shapes, optimises. The first number of a shape is that of rows.
    ///
    /// # Errors
    /// [`BundleError::Graph`] if the graph does not accept these shapes, or holds something else than what the trainer writes.
    pub fn new(source: &GraphSource<'_>, shapes: &[Vec<usize>]) -> Result<Self, BundleError> {
        let fault = |problem: String| BundleError::Graph {
            path: source.path.to_owned(),
            problem,
        };
        let proto = weights::parse(source.path, source.bytes)?;
        shapes::check(&proto, shapes).map_err(fault)?;
        let build = || -> TractResult<Arc<TypedRunnableModel>> {
            let mut model = tract_onnx::onnx().model_for_proto_model(&proto)?;
            for (index, shape) in shapes.iter().enumerate() {
                model = model.with_input_fact(index, InferenceFact::dt_shape(f32::datum_type(), shape))?;
            }
            model.into_optimized()?.into_runnable()
        };
        let misfit = |said: String| fault(format!("does not run with inputs of shapes {shapes:?}: {said}"));
        let plan = files::guarded(build)
            .map_err(|panic| misfit(panic.to_string()))?
            .map_err(|error| misfit(format!("{error:#}")))?;
        Ok(Self {
            plan,
            shapes: shapes.to_vec(),
        })
    }

    /// Runs once; inputs are flat, in the order and of the shapes given at construction.
    ///
    /// # Errors
    /// What the executor says.
    pub fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, String> {
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let mut values = TVec::new();
            for (shape, data) in self.shapes.iter().zip(inputs) {
                values.push(Tensor::from_shape(shape, data)?.into_tvalue());
            }
            let outputs = self.plan.run(values)?;
            outputs
                .iter()
                .map(|value| Ok(value.to_plain_array_view::<f32>()?.iter().copied().collect()))
                .collect()
        };
        files::guarded(run)
            .map_err(|panic| panic.to_string())?
            .map_err(|error| format!("{error:#}"))
    }
}

/// Beliefs to images, for people to look at.
#[derive(Debug)]
pub struct Decoder {
    graph: Graph,
}

impl Decoder {
    /// Prepares `decoder.onnx` for one belief at a time.
    ///
    /// # Errors
    /// [`BundleError::Graph`].
    pub fn new(source: &GraphSource<'_>, dimensions: Dimensions) -> Result<Self, BundleError> {
        let shapes = [vec![1, dimensions.belief], vec![1, dimensions.stochastic]];
        Ok(Self {
            graph: Graph::new(source, &shapes)?,
        })
    }

    /// Draws what a belief looks like into `frame`, which is of the model's side.
    ///
    /// # Errors
    /// What the graph executor says; a graph that draws another size.
    pub fn decode(&self, belief: &Belief, frame: &mut Frame) -> Result<(), String> {
        let outputs = self.graph.run(&[&belief.h, &belief.s])?;
        let planes = outputs.first().ok_or("decoder.onnx lacks its output")?;
        if from_planes(planes, frame) {
            return Ok(());
        }
        Err(format!(
            "decoder.onnx draws {} numbers, not an image of {1}x{1}",
            planes.len(),
            frame.side()
        ))
    }
}

/// Rollouts by the exported graphs. Slow and allocating: it exists to check the others against.
#[derive(Debug)]
pub struct TractRollout {
    dimensions: Dimensions,
    batch: usize,
    start: Belief,
    transition: Graph,
    reward: Graph,
}

impl TractRollout {
    /// Specialises `transition.onnx` and `reward.onnx` to `batch` candidates at a time.
    ///
    /// # Errors
    /// [`BundleError::Graph`].
    pub fn new(
        dimensions: Dimensions,
        transition: &GraphSource<'_>,
        reward: &GraphSource<'_>,
        batch: usize,
    ) -> Result<Self, BundleError> {
        let Dimensions {
            belief,
            stochastic,
            action,
            ..
        } = dimensions;
        let shapes = [vec![batch, belief], vec![batch, stochastic], vec![batch, action]];
        Ok(Self {
            dimensions,
            batch,
            start: Belief::initial(&dimensions),
            transition: Graph::new(transition, &shapes)?,
            reward: Graph::new(reward, &[vec![batch, belief], vec![batch, stochastic]])?,
        })
    }
}

impl Rollout for TractRollout {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn begin(&mut self, start: &Belief) {
        self.start.copy_from(start);
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String> {
        let Dimensions {
            stochastic, action, ..
        } = self.dimensions;
        let mut eps = vec![0.0; stochastic];
        for (chunk_index, chunk) in returns.chunks_mut(self.batch).enumerate() {
            let first = chunk_index * self.batch;
            let mut h = self.start.h.repeat(self.batch);
            let mut s = self.start.s.repeat(self.batch);
            let mut a = vec![0.0; self.batch * action];
            chunk.fill(0.0);
            for step in 0..horizon {
                for candidate in 0..chunk.len() {
                    let from = ((first + candidate) * horizon + step) * action;
                    a[candidate * action..][..action].copy_from_slice(&actions[from..from + action]);
                }
                let mut outputs = self.transition.run(&[&h, &s, &a])?;
                let (Some(std), Some(mean), Some(next)) = (outputs.pop(), outputs.pop(), outputs.pop())
                else {
                    return Err("transition.onnx lacks an output".to_owned());
                };
                (h, s) = (next, mean);
                if noise.sampled {
                    for candidate in 0..chunk.len() {
                        let name = first_candidate + (first + candidate) as u32;
                        noise.normals(Purpose::Latent, name, step as u32, &mut eps);
                        for i in 0..stochastic {
                            let at = candidate * stochastic + i;
                            s[at] = std[at].mul_add(eps[i], s[at]);
                        }
                    }
                }
                let rewards = self.reward.run(&[&h, &s])?;
                let rewards = rewards.first().ok_or("reward.onnx lacks its output")?;
                for (sum, reward) in chunk.iter_mut().zip(rewards) {
                    *sum += reward;
                }
            }
        }
        Ok(())
    }
}
