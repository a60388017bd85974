//! The trainer's own numbers, shipped with the bundle, and the check that this machine reproduces them.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::BundleError;
use crate::filter::Belief;
use crate::scalar::ScalarRollout;
use crate::tract::{Graph, GraphSource};

/// Largest error allowed between any back end and LibTorch, relative to the larger of 1 and the expected value.
pub const TOLERANCE: f32 = 1e-4;

/// One tensor of the file.
#[derive(Debug)]
pub struct Vector {
    /// Name of the graph's input or output.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// Inputs of `graph` and LibTorch's outputs, in the graph's order.
///
/// # Errors
/// [`BundleError::Graph`] if the file is malformed or lacks the graph.
pub fn vectors(path: &Path, bytes: &[u8], graph: &str) -> Result<(Vec<Vector>, Vec<Vector>), BundleError> {
    let fault = |problem: String| BundleError::Graph {
        path: path.to_owned(),
        problem,
    };
    let tensors =
        SafeTensors::deserialize(bytes).map_err(|error| fault(format!("not SafeTensors: {error}")))?;
    let collect = |side: &str| -> Result<Vec<Vector>, BundleError> {
        let prefix = format!("{graph}/{side}/");
        let mut found: Vec<(usize, Vector)> = Vec::new();
        for (name, view) in tensors.iter() {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            // Names are `graph/in/0.image`: SafeTensors keeps no order of its own.
            let (index, name) = rest
                .split_once('.')
                .ok_or_else(|| fault(format!("odd name `{name}`")))?;
            let index = index.parse().map_err(|_| fault(format!("odd name `{name}`")))?;
            if view.dtype() != Dtype::F32 {
                return Err(fault(format!("`{name}` is {:?}, expected F32", view.dtype())));
            }
            let values = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            found.push((
                index,
                Vector {
                    name: name.to_owned(),
                    shape: view.shape().to_vec(),
                    values,
                },
            ));
        }
        found.sort_by_key(|(index, _)| *index);
        Ok(found.into_iter().map(|(_, vector)| vector).collect())
    };
    let (inputs, outputs) = (collect("in")?, collect("out")?);
    if inputs.is_empty() || outputs.is_empty() {
        return Err(fault(format!("holds no vectors for `{graph}`")));
    }
    Ok((inputs, outputs))
}

/// Largest error of `found` against `expected`, relative to the larger of 1 and the expected value; infinite if the
/// lengths differ or a value is not finite.
pub fn error(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    found.iter().zip(expected).fold(0.0, |worst: f32, (f, e)| {
        let error = (f - e).abs() / e.abs().max(1.0);
        if error.is_finite() {
            worst.max(error)
        } else {
            f32::INFINITY
        }
    })
}

/// Runs a graph on its parity inputs by tract and compares every output.
///
/// # Errors
/// [`BundleError::Parity`] naming the output, or what kept the graph from running.
pub fn check(source: &GraphSource<'_>, name: &str, parity: (&Path, &[u8])) -> Result<f32, BundleError> {
    let (inputs, outputs) = vectors(parity.0, parity.1, name)?;
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|v| v.shape.clone()).collect();
    let graph = Graph::new(source, &shapes)?;
    let values: Vec<&[f32]> = inputs.iter().map(|v| v.values.as_slice()).collect();
    let found = graph.run(&values).map_err(|problem| BundleError::Graph {
        path: source.path.to_owned(),
        problem,
    })?;
    let mut worst = 0.0f32;
    for (index, expected) in outputs.iter().enumerate() {
        let error = found
            .get(index)
            .map_or(f32::INFINITY, |values| error(values, &expected.values));
        // Negated so that NaN fails.
        if !(error <= TOLERANCE) {
            return Err(BundleError::Parity {
                path: source.path.to_owned(),
                output: expected.name.clone(),
                error,
                tolerance: TOLERANCE,
            });
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// Runs the scalar back end on the parity inputs of `transition` (h, s, action) or `reward` (h, s), and compares its
/// outputs, in the order (h, mean, standard deviation) or (reward).
///
/// # Errors
/// [`BundleError::Parity`] naming the output.
pub fn check_scalar(
    mut scalar: ScalarRollout,
    path: &Path,
    inputs: &[Vector],
    outputs: &[Vector],
) -> Result<f32, BundleError> {
    let width = |vector: &Vector| vector.shape.last().copied().unwrap_or(1).max(1);
    let rows = inputs.first().map_or(0, |h| h.values.len() / width(h));
    let row = |vector: &Vector, index: usize| -> Vec<f32> {
        let width = width(vector);
        vector
            .values
            .get(index * width..(index + 1) * width)
            .map_or_else(Vec::new, <[f32]>::to_vec)
    };
    let mut worst = 0.0f32;
    for index in 0..rows {
        let given: Vec<Vec<f32>> = inputs.iter().map(|vector| row(vector, index)).collect();
        let found = match given.as_slice() {
            [h, s, action] => {
                let (mut belief, mut std) = (
                    Belief {
                        h: h.clone(),
                        s: s.clone(),
                    },
                    vec![0.0; s.len()],
                );
                scalar.predict(&mut belief, action, &mut std);
                vec![belief.h, belief.s, std]
            }
            [h, s] => {
                let belief = Belief {
                    h: h.clone(),
                    s: s.clone(),
                };
                vec![vec![scalar.reward(&belief)]]
            }
            _ => Vec::new(),
        };
        for (position, expected) in outputs.iter().enumerate() {
            let error = found
                .get(position)
                .map_or(f32::INFINITY, |values| error(values, &row(expected, index)));
            // Negated so that NaN fails.
            if !(error <= TOLERANCE) {
                return Err(BundleError::Parity {
                    path: path.to_owned(),
                    output: format!("{} (scalar)", expected.name),
                    error,
                    tolerance: TOLERANCE,
                });
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}
