//! Builds ONNX graphs node by node: opset 17, IR version 8, names the run-time reads.

use prost::Message;
use tch::Tensor;
use tract_onnx::pb;

use crate::checkpoint::bytes;

/// A graph under construction.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: pb::GraphProto,
    counter: usize,
}

/// Name of a value within a graph.
pub type Value = String;

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self {
            graph: pb::GraphProto {
                name: name.to_owned(),
                ..Default::default()
            },
            counter: 0,
        }
    }

    /// Declares an input of shape `[N, dims...]`.
    pub fn input(&mut self, name: &str, dims: &[i64]) -> Value {
        self.graph.input.push(value_info(name, dims));
        name.to_owned()
    }

    /// Declares `value` an output called `name`, of shape `[N, dims...]`.
    pub fn output(&mut self, value: &Value, name: &str, dims: &[i64]) {
        self.node("Identity", &[value], vec![], Some(name));
        self.graph.output.push(value_info(name, dims));
    }

    /// Adds a parameter once; later calls with the same name refer to it.
    pub fn weight(&mut self, name: &str, tensor: &Tensor) -> Value {
        if !self.graph.initializer.iter().any(|known| known.name == name) {
            self.graph.initializer.push(pb::TensorProto {
                name: name.to_owned(),
                dims: tensor.size(),
                data_type: pb::tensor_proto::DataType::Float as i32,
                raw_data: bytes(tensor),
                ..Default::default()
            });
        }
        name.to_owned()
    }

    /// Adds an integer constant, such as a shape.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> Value {
        self.graph.initializer.push(pb::TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: pb::tensor_proto::DataType::Int64 as i32,
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.to_owned()
    }

    /// Adds a node with one output and returns its name.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attribute: Vec<pb::AttributeProto>,
        name: Option<&str>,
    ) -> Value {
        self.nodes(op, inputs, attribute, 1, name).remove(0)
    }

    /// Adds a node with several outputs.
    pub fn nodes(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attribute: Vec<pb::AttributeProto>,
        outputs: usize,
        name: Option<&str>,
    ) -> Vec<Value> {
        self.counter += 1;
        let base = format!("{}_{}", op.to_lowercase(), self.counter);
        let output: Vec<Value> = (0..outputs)
            .map(|i| name.map_or_else(|| format!("{base}.{i}"), str::to_owned))
            .collect();
        self.graph.node.push(pb::NodeProto {
            name: base,
            op_type: op.to_owned(),
            input: inputs.iter().map(|&value| value.clone()).collect(),
            output: output.clone(),
            attribute,
            ..Default::default()
        });
        output
    }

    /// `x W^T + b` with named parameters.
    pub fn gemm(&mut self, x: &Value, weight: (&str, &Tensor), bias: (&str, &Tensor)) -> Value {
        let w = self.weight(weight.0, weight.1);
        let b = self.weight(bias.0, bias.1);
        self.node("Gemm", &[x, &w, &b], vec![integer("transB", 1)], None)
    }

    /// Joins values along dimension 1.
    pub fn concat(&mut self, values: &[&Value]) -> Value {
        self.node("Concat", values, vec![integer("axis", 1)], None)
    }

    /// An element-wise operator of one or two inputs.
    pub fn op(&mut self, op: &str, inputs: &[&Value]) -> Value {
        self.node(op, inputs, vec![], None)
    }

    /// The serialised model.
    pub fn finish(self) -> Vec<u8> {
        pb::ModelProto {
            ir_version: 8,
            producer_name: "armillary-train".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            opset_import: vec![pb::OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(self.graph),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

/// An integer attribute.
pub fn integer(name: &str, value: i64) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

/// A list-of-integers attribute.
pub fn integers(name: &str, values: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

fn value_info(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension};
    let batch = Dimension {
        value: Some(dimension::Value::DimParam("N".to_owned())),
        ..Default::default()
    };
    let fixed = dims.iter().map(|&n| Dimension {
        value: Some(dimension::Value::DimValue(n)),
        ..Default::default()
    });
    let shape = pb::TensorShapeProto {
        dim: std::iter::once(batch).chain(fixed).collect(),
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: pb::tensor_proto::DataType::Float as i32,
                shape: Some(shape),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
