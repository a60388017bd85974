//! `parity.safetensors`: inputs, and what LibTorch made of them.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::BundleError;

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

/// The most rows of parity inputs. The trainer writes four.
pub(super) const ROWS_MAX: usize = 16;

/// Name under which the file holds pictures and their embeddings: the way from pixels to embedding, for no graph alone.
const PIXELS: &str = "pixels";

/// Pictures, and LibTorch's embeddings of them.
#[derive(Debug)]
pub struct Pictures {
    /// `[rows][side][side][3]`, colours as the camera's picture has them.
    pub rgb: Vec<u8>,
    /// Numbers of bytes of a picture's rows, columns and colours.
    pub shape: Vec<usize>,
    /// What the encoder makes of each.
    pub embedding: Vector,
}

/// The tensors of a parity file.
fn tensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, BundleError> {
    let fault = |problem: String| BundleError::Graph {
        path: path.to_owned(),
        problem,
    };
    files::guarded(|| SafeTensors::deserialize(bytes))
        .map_err(|panic| fault(panic.to_string()))?
        .map_err(|error| fault(format!("not SafeTensors: {error}")))
}

/// Pictures and their embeddings; `None` in files of earlier versions, which have none.
///
/// # Errors
/// [`BundleError::Graph`] if the file is malformed.
pub fn pictures(path: &Path, bytes: &[u8]) -> Result<Option<Pictures>, BundleError> {
    let fault = |problem: &str| BundleError::Graph {
        path: path.to_owned(),
        problem: format!("`{PIXELS}` {problem}"),
    };
    let tensors = tensors(path, bytes)?;
    if !tensors.names().iter().any(|name| name.starts_with(PIXELS)) {
        return Ok(None);
    }
    let rgb = tensors
        .tensor(&format!("{PIXELS}/in/0.rgb"))
        .map_err(|_| fault("has no `in/0.rgb`"))?;
    let embedding = tensors
        .tensor(&format!("{PIXELS}/out/0.embedding"))
        .map_err(|_| fault("has no `out/0.embedding`"))?;
    if rgb.dtype() != Dtype::U8 || embedding.dtype() != Dtype::F32 {
        return Err(fault("is not of bytes and 32-bit floats"));
    }
    Ok(Some(Pictures {
        rgb: rgb.data().to_vec(),
        shape: rgb.shape().to_vec(),
        embedding: Vector {
            name: "embedding".to_owned(),
            shape: embedding.shape().to_vec(),
            values: floats(embedding.data()),
        },
    }))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks::<4>().0;
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
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
    let tensors = tensors(path, bytes)?;
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
            let values = floats(view.data());
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
    let rows = |vector: &Vector| vector.shape.first().copied().unwrap_or(0);
    let count = rows(&inputs[0]);
    if !(1..=ROWS_MAX).contains(&count) || inputs.iter().chain(&outputs).any(|vector| rows(vector) != count) {
        return Err(fault(format!(
            "holds vectors for `{graph}` that are not of 1 to {ROWS_MAX} rows each"
        )));
    }
    Ok((inputs, outputs))
}
