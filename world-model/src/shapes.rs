//! What an ONNX graph of a bundle may be: the operators that the trainer writes, on values whose sizes fit each other.
//!
//! The library that runs graphs panics, or asks for all memory, on graphs that make no sense. They are looked at first, so that
//! what reaches the library is bounded.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

/// Numbers that all values of a graph may have together, for each row of its inputs. The paper's largest graph has a tenth of it.
const NUMBERS_MAX: usize = 1 << 24;

/// The most operators of a graph. The trainer's have 40.
const NODES_MAX: usize = 512;

/// The most inputs or outputs of an operator.
const VALUES_MAX: usize = 8;

/// Positions between two patches of a convolution.
const STRIDE: usize = 2;

/// Refuses initialisers whose numbers are not all there in the file, or which lie in other files.
///
/// # Errors
/// What is wrong, naming the initialiser.
pub(crate) fn check_initialisers(model: &ModelProto) -> Result<(), String> {
    let graph = model.graph.as_ref().ok_or("holds no graph")?;
    for tensor in &graph.initializer {
        let name = &tensor.name;
        let shape = dims(tensor).ok_or_else(|| format!("initialiser `{name}` has a negative size"))?;
        let bytes = match DataType::try_from(tensor.data_type) {
            Ok(DataType::Float) => 4,
            Ok(DataType::Int64) => 8,
            _ => {
                return Err(format!(
                    "initialiser `{name}` holds neither 32-bit floats nor 64-bit integers"
                ));
            }
        };
        let here = tensor.raw_data.len();
        if !tensor.external_data.is_empty()
            || product(&shape).and_then(|n| n.checked_mul(bytes)) != Some(here)
        {
            return Err(format!(
                "initialiser `{name}` has the shape {shape:?}, and {here} bytes that do not make it"
            ));
        }
    }
    Ok(())
}

/// Refuses a graph that is not one of the trainer's operators alone, or whose values do not fit each other, for inputs of the shapes
/// `inputs`, whose first number is that of rows.
///
/// # Errors
/// What is wrong, naming the operator.
pub(crate) fn check(model: &ModelProto, inputs: &[Vec<usize>]) -> Result<(), String> {
    check_initialisers(model)?;
    let graph = model.graph.as_ref().ok_or("holds no graph")?;
    if !model.functions.is_empty() || !graph.sparse_initializer.is_empty() {
        return Err("holds functions or sparse numbers, which the trainer does not write".to_owned());
    }
    if graph.node.len() > NODES_MAX {
        return Err(format!("holds {} operators", graph.node.len()));
    }
    if graph.input.len() != inputs.len() {
        return Err(format!(
            "has {} inputs, and {} are given",
            graph.input.len(),
            inputs.len()
        ));
    }
    let rows = inputs.iter().filter_map(|shape| shape.first()).max();
    let mut values = Values {
        left: NUMBERS_MAX.saturating_mul(rows.copied().unwrap_or(0)),
        shapes: BTreeMap::new(),
        integers: BTreeMap::new(),
    };
    for (input, shape) in graph.input.iter().zip(inputs) {
        values.add(&input.name, shape.clone())?;
    }
    for tensor in &graph.initializer {
        values.add(&tensor.name, dims(tensor).unwrap_or_default())?;
        if tensor.data_type == DataType::Int64 as i32 {
            let numbers = tensor.raw_data.as_chunks::<8>().0;
            let numbers = numbers.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
            values.integers.insert(tensor.name.clone(), numbers);
        }
    }
    for node in &graph.node {
        let shapes = values
            .outputs(node)
            .map_err(|problem| format!("operator {} `{}`: {problem}", node.op_type, node.name))?;
        for (name, shape) in node.output.iter().zip(shapes) {
            values.add(name, shape)?;
        }
    }
    match graph
        .output
        .iter()
        .find(|output| !values.shapes.contains_key(&output.name))
    {
        Some(output) => Err(format!("nothing gives its output `{}`", output.name)),
        None => Ok(()),
    }
}

/// The shapes of a graph's values.
struct Values {
    /// Numbers that further values may have.
    left: usize,
    shapes: BTreeMap<String, Vec<usize>>,
    /// Values of integers, by which others are shaped.
    integers: BTreeMap<String, Vec<i64>>,
}

impl Values {
    fn add(&mut self, name: &str, shape: Vec<usize>) -> Result<(), String> {
        let numbers = product(&shape).filter(|numbers| *numbers > 0);
        self.left = numbers
            .and_then(|numbers| self.left.checked_sub(numbers))
            .ok_or_else(|| {
                format!("value `{name}` of shape {shape:?} is empty, or larger than a graph may be")
            })?;
        if name.is_empty() || self.shapes.insert(name.to_owned(), shape).is_some() {
            return Err(format!("value `{name}` has no name of its own"));
        }
        Ok(())
    }

    /// The shapes of a node's outputs.
    fn outputs(&self, node: &NodeProto) -> Result<Vec<Vec<usize>>, String> {
        if !node.domain.is_empty() || node.input.len() > VALUES_MAX || node.output.len() > VALUES_MAX {
            return Err("is none of the operators that the trainer writes".to_owned());
        }
        let inputs = node
            .input
            .iter()
            .map(|name| {
                let shape = self.shapes.get(name).map(Vec::as_slice);
                shape.ok_or_else(|| format!("its input `{name}` is not known here"))
            })
            .collect::<Result<Vec<&[usize]>, String>>()?;
        let given = |expected: &[(&str, &[i64])]| attributes(&node.attribute, expected);
        let misfit = || format!("its inputs of shapes {inputs:?} do not fit each other");
        let outputs = node.output.len();
        let one = match (node.op_type.as_str(), inputs.as_slice()) {
            ("Identity" | "Relu" | "Sigmoid" | "Tanh" | "Abs" | "Neg" | "Exp" | "Log" | "Softplus", &[x]) => {
                given(&[])?;
                x.to_vec()
            }
            ("Add" | "Sub" | "Mul", &[a, b]) => {
                given(&[])?;
                broadcast(a, b).ok_or_else(misfit)?
            }
            ("Gemm", &[&[rows, inner], &[units, weights], &[biases]]) => {
                given(&[("transB", &[1])])?;
                if inner != weights || units != biases {
                    return Err(misfit());
                }
                vec![rows, units]
            }
            ("Concat", parts @ [first, ..]) => {
                given(&[("axis", &[1])])?;
                let widths = parts.iter().map(|part| match (*part, *first) {
                    (&[rows, width], &[expected, _]) if rows == expected => Some(width),
                    _ => None,
                });
                vec![first[0], widths.sum::<Option<usize>>().ok_or_else(misfit)?]
            }
            ("Split", &[&[rows, width]]) if outputs > 0 && width % outputs == 0 => {
                given(&[("axis", &[1])])?;
                return Ok(vec![vec![rows, width / outputs]; outputs]);
            }
            ("Flatten", &[&[rows, ref rest @ ..]]) => {
                given(&[("axis", &[1])])?;
                vec![rows, product(rest).ok_or_else(misfit)?]
            }
            ("Reshape", &[x, _]) => {
                given(&[])?;
                let target = self.integers.get(&node.input[1]).ok_or_else(misfit)?;
                reshape(x, target).ok_or_else(misfit)?
            }
            (
                "Conv",
                &[
                    &[rows, channels, height, width],
                    &[units, inner, kernel, kernel_width],
                    &[biases],
                ],
            ) if channels == inner && units == biases && kernel == kernel_width => {
                given(&convolution(&[kernel as i64; 2]))?;
                let shrunk = |side: usize| Some(side.checked_sub(kernel)? / STRIDE + 1);
                let sides = shrunk(height).zip(shrunk(width)).filter(|_| kernel > 0);
                let (height, width) = sides.ok_or_else(misfit)?;
                vec![rows, units, height, width]
            }
            (
                "ConvTranspose",
                &[
                    &[rows, channels, height, width],
                    &[inner, units, kernel, kernel_width],
                    &[biases],
                ],
            ) if channels == inner && units == biases && kernel == kernel_width => {
                given(&convolution(&[kernel as i64; 2]))?;
                let grown = |side: usize| side.checked_sub(1)?.checked_mul(STRIDE)?.checked_add(kernel);
                let (height, width) = grown(height).zip(grown(width)).ok_or_else(misfit)?;
                vec![rows, units, height, width]
            }
            _ => {
                return Err(format!(
                    "with inputs of shapes {inputs:?} and {outputs} outputs it is none of the operators that the trainer writes"
                ));
            }
        };
        if outputs == 1 {
            Ok(vec![one])
        } else {
            Err(format!("has {outputs} outputs"))
        }
    }
}

/// The attributes of a convolution.
fn convolution(kernel: &[i64; 2]) -> [(&'static str, &[i64]); 2] {
    [("kernel_shape", kernel), ("strides", &[STRIDE as i64; 2])]
}

/// Refuses attributes other than these: a whole number for a slice of one, otherwise a list of them.
fn attributes(found: &[AttributeProto], expected: &[(&str, &[i64])]) -> Result<(), String> {
    let fits = |attribute: &AttributeProto| {
        expected.iter().any(|(name, value)| {
            *name == attribute.name
                && match value {
                    [one] => attribute.i == *one && attribute.ints.is_empty(),
                    several => attribute.ints == *several,
                }
                && attribute.g.is_none()
                && attribute.graphs.is_empty()
        })
    };
    match found.iter().find(|attribute| !fits(attribute)) {
        Some(attribute) => Err(format!("its attribute `{}` is not the trainer's", attribute.name)),
        None if found.len() != expected.len() => Err("lacks an attribute, or has one twice".to_owned()),
        None => Ok(()),
    }
}

/// The sizes of a tensor, if none is negative.
fn dims(tensor: &TensorProto) -> Option<Vec<usize>> {
    tensor
        .dims
        .iter()
        .map(|&size| usize::try_from(size).ok())
        .collect()
}

fn product(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
}

/// The shape of two values taken together, as numpy has it.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (a, b) if a == b || b == 1 => Some(a),
            (1, b) => Some(b),
            _ => None,
        })
        .collect()
}

/// The shape `target` of the numbers of a value, where one of its sizes may be -1: what is left.
fn reshape(shape: &[usize], target: &[i64]) -> Option<Vec<usize>> {
    let numbers = product(shape)?;
    let known: Vec<usize> = target
        .iter()
        .filter(|size| **size != -1)
        .map(|size| usize::try_from(*size).ok())
        .collect::<Option<_>>()?;
    let known = product(&known).filter(|known| *known > 0)?;
    let open = target.iter().filter(|size| **size == -1).count();
    let left = numbers / known;
    if open > 1 || left * known != numbers || (open == 0 && left != 1) {
        return None;
    }
    Some(
        target
            .iter()
            .map(|size| if *size == -1 { left } else { *size as usize })
            .collect(),
    )
}
