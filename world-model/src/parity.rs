//! The trainer's own numbers, shipped with the bundle, and the check that this machine reproduces them.

mod vectors;

use std::path::Path;

use robot::Frame;

use crate::belief::Belief;
use crate::encoder::Encoder;
use crate::error::BundleError;
use crate::filter::Filter;
use crate::image::ImageForm;
use crate::manifest::Dimensions;
use crate::noise::NoiseKey;
use crate::rollout::Rollout;
use crate::scalar::ScalarRollout;
use crate::tract::{Graph, GraphSource};
use vectors::ROWS_MAX;
pub use vectors::{Pictures, Vector, pictures, vectors};

/// Largest error allowed between any back end and LibTorch, relative to the larger of 1 and the expected value.
pub const TOLERANCE: f32 = 1e-4;

/// Largest error allowed between imagined returns of two back ends that add in different orders, relative likewise: an
/// error of a step enters all later ones.
pub const RETURN_TOLERANCE: f32 = 1e-3;

/// Largest error allowed between the returns of a kernel with 16-bit inputs and the reference's, relative likewise.
pub const BF16_TOLERANCE: f32 = 5e-2;

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

/// Row `index` of a vector whose last dimension is a row; empty past the end.
fn row(vector: &Vector, index: usize, length: usize) -> &[f32] {
    vector
        .values
        .get(index * length..(index + 1) * length)
        .unwrap_or(&[])
}

/// One row of each input to one row of each output.
type Compute<'a> = dyn FnMut(&[&[f32]]) -> Vec<Vec<f32>> + 'a;

/// How many numbers a row of each input and each output has.
struct Widths<'a> {
    inputs: &'a [usize],
    outputs: &'a [usize],
}

impl Widths<'_> {
    /// Refuses vectors of other widths: they would not fit what computes.
    fn check(&self, path: &Path, inputs: &[Vector], outputs: &[Vector]) -> Result<(), BundleError> {
        let rows = inputs.first().and_then(|first| first.shape.first()).copied();
        let rows = rows.unwrap_or(0);
        let fit = |vectors: &[Vector], widths: &[usize]| {
            vectors.len() == widths.len()
                && vectors
                    .iter()
                    .zip(widths)
                    .all(|(vector, width)| rows.checked_mul(*width) == Some(vector.values.len()))
        };
        if rows > 0 && fit(inputs, self.inputs) && fit(outputs, self.outputs) {
            return Ok(());
        }
        let shapes = |vectors: &[Vector]| {
            let shapes: Vec<String> = vectors
                .iter()
                .map(|vector| format!("{} {:?}", vector.name, vector.shape))
                .collect();
            shapes.join(", ")
        };
        Err(BundleError::Graph {
            path: path.to_owned(),
            problem: format!(
                "its parity vectors are {} and {}, and rows of {:?} and {:?} numbers belong to the manifest",
                shapes(inputs),
                shapes(outputs),
                self.inputs,
                self.outputs
            ),
        })
    }
}

/// Compares what `compute` gives for every row of the inputs with the same row of each output.
///
/// # Errors
/// [`BundleError::Graph`] for vectors of other widths, [`BundleError::Parity`] naming the output and who computed it.
fn check_rows(
    name: &str,
    path: &Path,
    inputs: &[Vector],
    outputs: &[Vector],
    widths: &Widths<'_>,
    compute: &mut Compute<'_>,
) -> Result<f32, BundleError> {
    widths.check(path, inputs, outputs)?;
    let rows = inputs
        .first()
        .and_then(|first| first.shape.first())
        .copied()
        .unwrap_or(0);
    let length = |vector: &Vector| vector.values.len() / rows.max(1);
    let mut worst = if rows == 0 { f32::INFINITY } else { 0.0 };
    let fault = |output: &str, error: f32| BundleError::Parity {
        path: path.to_owned(),
        output: format!("{output} ({name})"),
        error,
        tolerance: TOLERANCE,
    };
    for index in 0..rows {
        let given: Vec<&[f32]> = inputs
            .iter()
            .map(|vector| row(vector, index, length(vector)))
            .collect();
        let found = compute(&given);
        for (position, expected) in outputs.iter().enumerate() {
            let error = found.get(position).map_or(f32::INFINITY, |values| {
                error(values, row(expected, index, length(expected)))
            });
            worst = worst.max(error);
            // Negated so that NaN fails.
            if !(error <= TOLERANCE) {
                return Err(fault(&expected.name, error));
            }
        }
    }
    if worst.is_finite() {
        Ok(worst)
    } else {
        Err(fault("every output", worst))
    }
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
    let d = scalar.dimensions();
    let widths = match inputs.len() {
        2 => Widths {
            inputs: &[d.belief, d.stochastic],
            outputs: &[1],
        },
        _ => Widths {
            inputs: &[d.belief, d.stochastic, d.action],
            outputs: &[d.belief, d.stochastic, d.stochastic],
        },
    };
    check_rows(
        "scalar",
        path,
        inputs,
        outputs,
        &widths,
        &mut |given| match *given {
            [h, s, action] => {
                let (mut belief, mut std) = (belief(h, s), vec![0.0; s.len()]);
                scalar.predict(&mut belief, action, &mut std);
                vec![belief.h, belief.s, std]
            }
            [h, s] => vec![vec![scalar.reward(&belief(h, s))]],
            _ => Vec::new(),
        },
    )
}

fn belief(h: &[f32], s: &[f32]) -> Belief {
    Belief {
        h: h.to_vec(),
        s: s.to_vec(),
    }
}

/// Runs the encoder, which gives `embedding` numbers, on the parity images.
///
/// # Errors
/// [`BundleError::Parity`] naming the output; [`BundleError::Graph`] if the images are of another size.
pub fn check_encoder(
    mut encoder: Encoder,
    embedding: usize,
    path: &Path,
    inputs: &[Vector],
    outputs: &[Vector],
) -> Result<f32, BundleError> {
    let widths = Widths {
        inputs: &[encoder.image_numbers()],
        outputs: &[embedding],
    };
    check_rows("kernel", path, inputs, outputs, &widths, &mut |given| {
        let mut embedding = vec![0.0; embedding];
        encoder.encode_planes(given[0], &mut embedding);
        vec![embedding]
    })
}

/// Runs the way from a camera's pixels to the embedding, with the preparation that the manifest names, on the parity pictures.
///
/// # Errors
/// [`BundleError::Parity`] if the embeddings are others than LibTorch's; [`BundleError::Graph`] if the pictures are of another size.
pub fn check_pictures(
    mut encoder: Encoder,
    embedding: usize,
    form: ImageForm,
    path: &Path,
    pictures: &Pictures,
) -> Result<f32, BundleError> {
    let side = form.side();
    let fault = |problem: String| BundleError::Graph {
        path: path.to_owned(),
        problem,
    };
    let &[rows @ 1..=ROWS_MAX, height, width, 3] = pictures.shape.as_slice() else {
        return Err(fault(format!(
            "its parity pictures have the shape {:?}, expected rows, {side}, {side}, 3",
            pictures.shape
        )));
    };
    if (height, width) != (side, side) || pictures.embedding.values.len() != rows * embedding {
        return Err(fault(format!(
            "its parity pictures are of {height}x{width} pixels with {} numbers of embeddings, and {side}x{side} with {embedding} each \
             belong to the manifest",
            pictures.embedding.values.len()
        )));
    }
    let mut frame = Frame::new(side);
    let mut found = vec![0.0; embedding];
    let mut worst = 0.0_f32;
    for (index, rgb) in pictures.rgb.chunks_exact(Frame::bytes(side)).enumerate() {
        frame.rgb_mut().copy_from_slice(rgb);
        encoder.encode(&frame, &mut found);
        let error = error(&found, row(&pictures.embedding, index, embedding));
        // Negated so that NaN fails.
        if !(error <= TOLERANCE) {
            return Err(BundleError::Parity {
                path: path.to_owned(),
                output: format!("embedding of pictures prepared as {form}"),
                error,
                tolerance: TOLERANCE,
            });
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// Runs the filter on the parity inputs (h, s, action, embedding) and compares h, then mean and standard deviation of
/// posterior and prior.
///
/// # Errors
/// [`BundleError::Parity`] naming the output.
pub fn check_filter(
    mut filter: Filter,
    dimensions: Dimensions,
    path: &Path,
    inputs: &[Vector],
    outputs: &[Vector],
) -> Result<f32, BundleError> {
    let Dimensions {
        belief: h,
        stochastic: s,
        embedding,
        action,
    } = dimensions;
    let widths = Widths {
        inputs: &[h, s, action, embedding],
        outputs: &[h, s, s, s, s],
    };
    check_rows("kernel", path, inputs, outputs, &widths, &mut |given| {
        let &[h, s, action, embedding] = given else {
            return Vec::new();
        };
        let mut belief = belief(h, s);
        filter.posterior(&mut belief, action, embedding);
        let mut found = vec![belief.h];
        found.extend(filter.gaussians().map(<[f32]>::to_vec));
        found
    })
}

/// Lets a back end imagine a few random sequences from a random belief, and compares it with the reference. A tolerance
/// of 0 asks for the same numbers.
///
/// # Errors
/// [`BundleError::Parity`].
pub fn check_rollout(
    rollout: &mut dyn Rollout,
    mut scalar: ScalarRollout,
    path: &Path,
    tolerance: f32,
) -> Result<(), BundleError> {
    const CANDIDATES: usize = 37;
    const HORIZON: usize = 3;
    let d = scalar.dimensions();
    let mut stream = robot::philox::Stream::new(1, 0x9A);
    let start = Belief {
        h: (0..d.belief).map(|_| stream.range(-1.0, 1.0)).collect(),
        s: (0..d.stochastic).map(|_| stream.range(-2.0, 2.0)).collect(),
    };
    let actions: Vec<f32> = (0..CANDIDATES * HORIZON * d.action)
        .map(|_| stream.range(-1.0, 1.0))
        .collect();
    let key = NoiseKey {
        seed: 1,
        tick: 0,
        iteration: 0,
        sampled: true,
    };
    let imagine = |rollout: &mut dyn Rollout| {
        let mut returns = vec![f32::NAN; CANDIDATES];
        rollout.begin(&start);
        let done = rollout.returns(&actions, HORIZON, key, 0, &mut returns);
        done.map(|()| returns).unwrap_or_default()
    };
    let (expected, found) = (imagine(&mut scalar), imagine(rollout));
    let error = error(&found, &expected);
    // Negated so that NaN fails.
    if !(error <= tolerance) {
        return Err(BundleError::Parity {
            path: path.to_owned(),
            output: format!("return ({})", rollout.name()),
            error,
            tolerance,
        });
    }
    Ok(())
}
