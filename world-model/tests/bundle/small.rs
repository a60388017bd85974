//! A bundle of a few kilobytes, with random weights, whose graphs have the form that the trainer gives them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use prost::Message;
use robot::Frame;
use robot::philox::Stream;
use safetensors::Dtype;
use tract_onnx::pb;
use world_model::bundle::{MANIFEST, PARITY, sha256};
use world_model::image::{ImageForm, to_planes};
use world_model::sums::{self, SUMS};
use world_model::tract::{Graph, GraphSource};
use world_model::{CAMERA_CALIBRATION, Dimensions, MANIFEST_VERSION, Manifest, Observation, Provenance};

/// Side of its pictures, in pixels.
pub(crate) const SIDE: usize = 32;

const FORM: &str = "rgb8-32x32-5bit-centre";

const HIDDEN: usize = 5;

pub(crate) const DIMENSIONS: Dimensions = Dimensions {
    belief: 4,
    stochastic: 2,
    embedding: 8,
    action: 1,
};

/// A graph under construction.
struct Builder {
    graph: pb::GraphProto,
    stream: Stream,
    count: usize,
}

impl Builder {
    fn new(name: &str, inputs: &[&str], seed: u64) -> Self {
        Self {
            graph: pb::GraphProto {
                name: name.to_owned(),
                input: inputs.iter().map(|name| float_value(name)).collect(),
                ..Default::default()
            },
            stream: Stream::new(seed, 1),
            count: 0,
        }
    }

    fn weight(&mut self, name: &str, dims: &[usize]) -> String {
        let numbers: usize = dims.iter().product();
        let raw = (0..numbers).flat_map(|_| self.stream.range(-0.5, 0.5).to_le_bytes());
        self.graph.initializer.push(pb::TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|n| *n as i64).collect(),
            data_type: pb::tensor_proto::DataType::Float as i32,
            raw_data: raw.collect(),
            ..Default::default()
        });
        name.to_owned()
    }

    fn nodes(&mut self, op: &str, inputs: &[&str], given: &[(&str, &[i64])], outputs: usize) -> Vec<String> {
        self.count += 1;
        let name = format!("{op}_{}", self.count);
        let output: Vec<String> = (0..outputs).map(|index| format!("{name}.{index}")).collect();
        let attribute = given.iter().map(|(name, value)| attribute(name, value)).collect();
        self.graph.node.push(pb::NodeProto {
            name,
            op_type: op.to_owned(),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: output.clone(),
            attribute,
            ..Default::default()
        });
        output
    }

    fn node(&mut self, op: &str, inputs: &[&str], given: &[(&str, &[i64])]) -> String {
        self.nodes(op, inputs, given, 1).remove(0)
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.node(op, inputs, &[])
    }

    fn gemm(&mut self, x: &str, (weight, bias): (&str, &str), inputs: usize, outputs: usize) -> String {
        let (w, b) = (
            self.weight(weight, &[outputs, inputs]),
            self.weight(bias, &[outputs]),
        );
        self.node("Gemm", &[x, &w, &b], &[("transB", &[1])])
    }

    fn layer(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> String {
        let names = (format!("{name}.weight"), format!("{name}.bias"));
        self.gemm(x, (&names.0, &names.1), inputs, outputs)
    }

    fn relu(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> String {
        let y = self.layer(x, name, inputs, outputs);
        self.op("Relu", &[&y])
    }

    /// The deterministic step.
    fn recur(&mut self) -> String {
        let Dimensions {
            belief,
            stochastic,
            action,
            ..
        } = DIMENSIONS;
        let x = self.node("Concat", &["s", "action"], &[("axis", &[1])]);
        let x = self.relu(&x, "input", stochastic + action, HIDDEN);
        let gi = self.gemm(&x, ("gru.w_input", "gru.b_input"), HIDDEN, 3 * belief);
        let gh = self.gemm("h", ("gru.w_state", "gru.b_state"), belief, 3 * belief);
        let gi = self.nodes("Split", &[&gi], &[("axis", &[1])], 3);
        let gh = self.nodes("Split", &[&gh], &[("axis", &[1])], 3);
        let [r, z] = [0, 1].map(|index: usize| {
            let sum = self.op("Add", &[&gi[index], &gh[index]]);
            self.op("Sigmoid", &[&sum])
        });
        let gated = self.op("Mul", &[&r, &gh[2]]);
        let sum = self.op("Add", &[&gi[2], &gated]);
        let n = self.op("Tanh", &[&sum]);
        let difference = self.op("Sub", &["h", &n]);
        let kept = self.op("Mul", &[&z, &difference]);
        self.op("Add", &[&kept, &n])
    }

    fn gaussian(&mut self, raw: &str) -> [String; 2] {
        let halves = self.nodes("Split", &[raw], &[("axis", &[1])], 2);
        let soft = self.op("Softplus", &[&halves[1]]);
        let std = self.op("Add", &[&soft, "min_std"]);
        [halves[0].clone(), std]
    }

    fn prior(&mut self, h: &str) -> [String; 2] {
        let Dimensions {
            belief, stochastic, ..
        } = DIMENSIONS;
        self.weight("min_std", &[1]);
        // A standard deviation is positive.
        if let Some(min_std) = self.graph.initializer.last_mut() {
            min_std.raw_data = 0.1_f32.to_le_bytes().to_vec();
        }
        let hidden = self.relu(h, "prior.0", belief, HIDDEN);
        let raw = self.layer(&hidden, "prior.1", HIDDEN, 2 * stochastic);
        self.gaussian(&raw)
    }

    fn finish(mut self, outputs: &[(&str, &str)]) -> pb::ModelProto {
        for (value, name) in outputs {
            self.op("Identity", &[value]);
            if let Some(node) = self.graph.node.last_mut() {
                node.output = vec![(*name).to_owned()];
            }
            self.graph.output.push(float_value(name));
        }
        pb::ModelProto {
            ir_version: 8,
            opset_import: vec![pb::OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(self.graph),
            ..Default::default()
        }
    }
}

/// A value of 32-bit floats.
fn float_value(name: &str) -> pb::ValueInfoProto {
    let tensor = pb::type_proto::Tensor {
        elem_type: pb::tensor_proto::DataType::Float as i32,
        shape: None,
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn attribute(name: &str, value: &[i64]) -> pb::AttributeProto {
    use pb::attribute_proto::AttributeType::{Int, Ints};
    let (kind, i, ints) = match value {
        [one] => (Int, *one, Vec::new()),
        several => (Ints, 0, several.to_vec()),
    };
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: kind as i32,
        i,
        ints,
        ..Default::default()
    }
}

/// The graphs, each with its inputs: how many numbers a row of them has.
fn graphs() -> Vec<(&'static str, pb::ModelProto, Vec<Vec<usize>>)> {
    let Dimensions {
        belief,
        stochastic,
        embedding,
        action,
    } = DIMENSIONS;
    let mut encoder = Builder::new("encoder", &["image"], 1);
    let mut x = "image".to_owned();
    for (index, (input, output)) in [(3, 1), (1, 1), (1, 2)].into_iter().enumerate() {
        let weight = encoder.weight(&format!("encoder.{index}.weight"), &[output, input, 4, 4]);
        let bias = encoder.weight(&format!("encoder.{index}.bias"), &[output]);
        let given: [(&str, &[i64]); 2] = [("kernel_shape", &[4, 4]), ("strides", &[2, 2])];
        x = encoder.node("Conv", &[&x, &weight, &bias], &given);
        x = encoder.op("Relu", &[&x]);
    }
    let x = encoder.node("Flatten", &[&x], &[("axis", &[1])]);
    let encoder = encoder.finish(&[(&x, "embedding")]);

    let mut filter = Builder::new("filter", &["h", "s", "action", "embedding"], 2);
    let next = filter.recur();
    let [mean, std] = filter.prior(&next);
    let joined = filter.node("Concat", &[&next, "embedding"], &[("axis", &[1])]);
    let hidden = filter.relu(&joined, "posterior.0", belief + embedding, HIDDEN);
    let raw = filter.layer(&hidden, "posterior.1", HIDDEN, 2 * stochastic);
    let [q_mean, q_std] = filter.gaussian(&raw);
    let filter = filter.finish(&[
        (&next, "h_next"),
        (&q_mean, "mean"),
        (&q_std, "std"),
        (&mean, "prior_mean"),
        (&std, "prior_std"),
    ]);

    // The same seed gives the same weights as in the filter.
    let mut transition = Builder::new("transition", &["h", "s", "action"], 2);
    let next = transition.recur();
    let [mean, std] = transition.prior(&next);
    let transition = transition.finish(&[(&next, "h_next"), (&mean, "prior_mean"), (&std, "prior_std")]);

    let mut reward = Builder::new("reward", &["h", "s"], 3);
    let x = reward.node("Concat", &["s", "h"], &[("axis", &[1])]);
    let x = reward.relu(&x, "reward.0", stochastic + belief, HIDDEN);
    let x = reward.layer(&x, "reward.1", HIDDEN, 1);
    let reward = reward.finish(&[(&x, "reward")]);

    let (h, s, a) = (vec![belief], vec![stochastic], vec![action]);
    vec![
        ("encoder", encoder, vec![vec![3, SIDE, SIDE]]),
        (
            "filter",
            filter,
            vec![h.clone(), s.clone(), a.clone(), vec![embedding]],
        ),
        ("transition", transition, vec![h.clone(), s.clone(), a]),
        ("reward", reward, vec![h, s]),
    ]
}

struct Tensor {
    kind: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl safetensors::View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.kind
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor {
        kind: Dtype::F32,
        shape: shape.to_vec(),
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// Writes the bundle into `dir`, with pictures among its parity vectors if `pictures`.
pub(crate) fn write(dir: &Path, pictures: bool) {
    let mut stream = Stream::new(9, 9);
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    let graph_path = dir.join("graph.onnx");
    for (name, model, widths) in graphs() {
        let bytes = model.encode_to_vec();
        let shapes: Vec<Vec<usize>> = widths
            .iter()
            .map(|width| [&[1], width.as_slice()].concat())
            .collect();
        let values: Vec<Vec<f32>> = shapes
            .iter()
            .map(|shape| {
                let numbers = shape.iter().product();
                (0..numbers).map(|_| stream.range(-0.5, 0.5)).collect()
            })
            .collect();
        let source = GraphSource {
            path: &graph_path,
            bytes: &bytes,
        };
        let graph = Graph::new(&source, &shapes).unwrap();
        let inputs: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        let outputs = graph.run(&inputs).unwrap();
        for (index, (shape, values)) in shapes.iter().zip(&values).enumerate() {
            tensors.insert(format!("{name}/in/{index}.x"), floats(shape, values));
        }
        for (index, values) in outputs.iter().enumerate() {
            tensors.insert(
                format!("{name}/out/{index}.y"),
                floats(&[1, values.len()], values),
            );
        }
        if name == "encoder" && pictures {
            let mut frame = Frame::new(SIDE);
            for byte in frame.rgb_mut() {
                *byte = stream.range(0.0, 256.0) as u8;
            }
            let mut planes = vec![0.0; 3 * SIDE * SIDE];
            to_planes(&frame, ImageForm::from_name(FORM).unwrap(), &mut planes);
            let embedding = graph.run(&[&planes]).unwrap().remove(0);
            let rgb = Tensor {
                kind: Dtype::U8,
                shape: vec![1, SIDE, SIDE, 3],
                bytes: frame.rgb().to_vec(),
            };
            tensors.insert("pixels/in/0.rgb".to_owned(), rgb);
            let embedding = floats(&[1, embedding.len()], &embedding);
            tensors.insert("pixels/out/0.embedding".to_owned(), embedding);
        }
        fs::write(dir.join(format!("{name}.onnx")), bytes).unwrap();
    }
    let views: Vec<(&str, &Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let parity = safetensors::serialize(views, None::<HashMap<String, String>>).unwrap();
    fs::write(dir.join(PARITY), parity).unwrap();
    let manifest = Manifest {
        format_version: MANIFEST_VERSION,
        dimensions: DIMENSIONS,
        period_s: 0.1,
        robot: "small".to_owned(),
        task: "reach".to_owned(),
        joint_names: vec!["one".to_owned()],
        action: robot::ActionMode::default(),
        action_scale_rad_s: vec![0.5],
        sampled_latents: true,
        observation: Observation::Pixels,
        joint_scales: Vec::new(),
        image: FORM.to_owned(),
        joint_calibration_sha256: "00".repeat(32),
        picture_sha256: None,
        camera_calibration_sha256: CAMERA_CALIBRATION.to_owned(),
        provenance: Provenance {
            software: "test".to_owned(),
            updates: 1,
            seed: 1,
            agent_steps: 1,
            data_fingerprint: String::new(),
            preset: String::new(),
        },
        files: BTreeMap::new(),
    };
    write_manifest(dir, manifest);
}

/// Writes a manifest with the hashes of the files that are there, and the list of hashes.
pub(crate) fn write_manifest(dir: &Path, mut manifest: Manifest) {
    let names = [
        "encoder.onnx",
        "filter.onnx",
        "transition.onnx",
        "reward.onnx",
        PARITY,
    ];
    for name in names {
        let hash = sha256(&fs::read(dir.join(name)).unwrap());
        manifest.files.insert(name.to_owned(), hash);
    }
    let text = ron::ser::to_string_pretty(&manifest, ron::ser::PrettyConfig::default()).unwrap();
    fs::write(dir.join(MANIFEST), text).unwrap();
    write_sums(dir);
}

/// The manifest that is there.
pub(crate) fn manifest(dir: &Path) -> Manifest {
    ron::from_str(&fs::read_to_string(dir.join(MANIFEST)).unwrap()).unwrap()
}

/// Writes the list of hashes that the manifest, as it is there, asks for.
pub(crate) fn write_sums(dir: &Path) {
    let mut hashes = manifest(dir).files;
    hashes.insert(
        MANIFEST.to_owned(),
        sha256(&fs::read(dir.join(MANIFEST)).unwrap()),
    );
    fs::write(dir.join(SUMS), sums::text(&hashes)).unwrap();
}

/// Changes a graph, and has all hashes fit it again.
pub(crate) fn change_graph(dir: &Path, name: &str, change: impl FnOnce(&mut pb::ModelProto)) {
    let path = dir.join(name);
    let mut model = pb::ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    change(&mut model);
    fs::write(&path, model.encode_to_vec()).unwrap();
    write_manifest(dir, manifest(dir));
}
