//! Exports a bundle: ONNX graphs, LibTorch's own outputs on random inputs, a manifest; proved before it gets its name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use robot::Config;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor, no_grad};
use world_model::manifest::{MANIFEST_VERSION, MANIFEST_VERSION_OF_PIXELS};
use world_model::{Bundle, BundleError, Dimensions, Manifest, Observation};

use crate::checkpoint::{Provenance, TaskOfLogs, bytes};
use crate::model::{Cell, Latent, WorldModel};
use crate::onnx::{GraphBuilder, Value, integer, integers};
use crate::params::Linear;
use crate::preset::Design;

/// Why no bundle was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file system refused.
    #[error("{path}: {action}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder is taken by something that is not a bundle.
    #[error("{path}: exists and is not a bundle; name another --out")]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The export does not reproduce LibTorch, or does not fit the robot.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// More than one task of the same robot.
    #[error("the model learned robot `{robot}` on tasks {tasks}; say which with --task")]
    SeveralTasks {
        /// The robot file's robot.
        robot: String,
        /// Its tasks.
        tasks: String,
    },
    /// The robot file is of another robot than all the logs.
    #[error(
        "the model learned on {known}, and robot `{robot}` at task `{task}` is not among them; pass the robot file of one as --robot, or its task as --task"
    )]
    UnknownRobot {
        /// The robot file's robot.
        robot: String,
        /// Its task.
        task: String,
        /// What the logs were of.
        known: String,
    },
    /// The robot file is not that of the logs.
    #[error(
        "the logs were recorded behind another joint mapping (order, names, action scale) than robot `{robot}` has; \
         pass the robot file they were recorded with as --robot"
    )]
    Calibration {
        /// The robot file's robot.
        robot: String,
    },
    /// A serialiser failed.
    #[error("{path}: cannot serialise: {problem}")]
    Serialise {
        /// File.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
}

/// A graph with its parity inputs and outputs: (index and name, shape, bytes).
struct Exported {
    name: &'static str,
    model: Vec<u8>,
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Tensor)>,
}

/// Rows of random inputs the parity vectors hold.
const PARITY_ROWS: i64 = 4;

/// Writes a bundle to `out`, replacing an older bundle there only once the new one has been loaded and has passed its
/// parity check. Returns the largest error against LibTorch. Of an agent with several tasks, the bundle is for the one of
/// `config`'s robot, or for that of its tasks which is named.
///
/// # Errors
/// [`ExportError`]; `out` is then what it was.
pub fn export(
    model: &WorldModel,
    provenance: &Provenance,
    config: &Config,
    with_decoder: bool,
    task: Option<&str>,
    out: &Path,
) -> Result<f32, ExportError> {
    let task = task_of(provenance, config, task)?;
    if out.exists() && !out.join(world_model::bundle::MANIFEST).exists() {
        return Err(ExportError::Occupied { path: out.to_owned() });
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = out.with_file_name(format!(".{name}.partial"));
    let io = |path: &Path, action| {
        let path = path.to_owned();
        move |source| ExportError::Io { path, action, source }
    };
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(io(&partial, "cannot clear the unfinished export"))?;
    }
    std::fs::create_dir_all(&partial).map_err(io(&partial, "cannot make the folder"))?;

    let model = &model.for_robot(task.robot.joint_names.len() as i64);
    let pixels = model.sizes.observation.pixels();
    let mut graphs = vec![filter(model), transition(model), reward(model)];
    if pixels {
        graphs.push(encoder(model));
    }
    if pixels && with_decoder {
        graphs.push(decoder(model));
    }
    let mut files = BTreeMap::new();
    let mut write = |file: String, data: &[u8]| {
        let path = partial.join(&file);
        files.insert(file, world_model::bundle::sha256(data));
        std::fs::write(&path, data).map_err(io(&path, "cannot write"))
    };
    for graph in &graphs {
        write(format!("{}.onnx", graph.name), &graph.model)?;
    }
    let parity = parity_file(&graphs).map_err(|problem| ExportError::Serialise {
        path: partial.join(world_model::bundle::PARITY),
        problem,
    })?;
    write(world_model::bundle::PARITY.to_owned(), &parity)?;
    let manifest = manifest(model, provenance, task, config, files);
    let path = partial.join(world_model::bundle::MANIFEST);
    let text = ron::ser::to_string_pretty(&manifest, ron::ser::PrettyConfig::default()).map_err(|error| {
        ExportError::Serialise {
            path: path.clone(),
            problem: error.to_string(),
        }
    })?;
    std::fs::write(&path, text + "\n").map_err(io(&path, "cannot write"))?;

    let mapping = calibration::JointMapping::of(config).sha256();
    if let Some(recorded) = &task.robot.joint_calibration_sha256
        && *recorded != mapping
    {
        return Err(ExportError::Calibration {
            robot: config.name.clone(),
        });
    }
    let bundle = Bundle::load(&partial)?;
    bundle.check_robot(config)?;
    if out.exists() {
        let old = out.with_file_name(format!(".{name}.old"));
        if old.exists() {
            // Left by an export that was killed between its last two steps.
            std::fs::remove_dir_all(&old).map_err(io(&old, "cannot remove the older bundle"))?;
        }
        std::fs::rename(out, &old).map_err(io(out, "cannot move the older bundle aside"))?;
        std::fs::rename(&partial, out).map_err(io(out, "cannot put the bundle in place"))?;
        std::fs::remove_dir_all(&old).map_err(io(&old, "cannot remove the older bundle"))?;
    } else {
        std::fs::rename(&partial, out).map_err(io(out, "cannot put the bundle in place"))?;
    }
    Ok(bundle.parity_error())
}

/// What the logs said of `config`'s robot, at the task that is named, or the robot file's own.
fn task_of<'a>(
    provenance: &'a Provenance,
    config: &Config,
    named: Option<&str>,
) -> Result<&'a TaskOfLogs, ExportError> {
    if let ([task], None) = (provenance.tasks.as_slice(), named) {
        return Ok(task);
    }
    let simulated = config.simulator.as_ref().map(|simulator| simulator.task.as_str());
    let wanted = named.or(simulated);
    let of_robot = || {
        let tasks = provenance.tasks.iter();
        tasks.filter(|task| task.robot.name == config.name)
    };
    let fits = |task: &&TaskOfLogs| wanted.is_none_or(|wanted| task.robot.task == wanted);
    let found: Vec<&TaskOfLogs> = of_robot().filter(fits).collect();
    let listed = |names: Vec<String>| names.join(", ");
    match found.as_slice() {
        [task] => Ok(task),
        [] => Err(ExportError::UnknownRobot {
            robot: config.name.clone(),
            task: wanted.unwrap_or("any").to_owned(),
            known: listed(
                provenance
                    .tasks
                    .iter()
                    .map(|task| format!("`{}` at `{}`", task.robot.name, task.robot.task))
                    .collect(),
            ),
        }),
        _ => Err(ExportError::SeveralTasks {
            robot: config.name.clone(),
            tasks: listed(of_robot().map(|task| format!("`{}`", task.robot.task)).collect()),
        }),
    }
}

fn manifest(
    model: &WorldModel,
    provenance: &Provenance,
    task: &TaskOfLogs,
    config: &Config,
    files: BTreeMap<String, String>,
) -> Manifest {
    let joints = config.envelope.joints();
    let mode = config.envelope.mode();
    Manifest {
        format_version: match model.sizes.observation {
            Observation::Pixels => MANIFEST_VERSION_OF_PIXELS,
            Observation::Joints | Observation::PixelsAndJoints => MANIFEST_VERSION,
        },
        dimensions: Dimensions {
            belief: model.sizes.belief as usize,
            stochastic: model.sizes.stochastic as usize,
            embedding: model.embedding() as usize,
            action: model.action as usize,
        },
        period_s: task.robot.period_s,
        robot: task.robot.name.clone(),
        task: task.robot.task.clone(),
        joint_names: task.robot.joint_names.clone(),
        action: mode,
        action_scale_rad_s: joints.iter().map(|joint| joint.action_scale(mode)).collect(),
        sampled_latents: model.sizes.design != Design::Rnn,
        observation: model.sizes.observation,
        joint_scales: task.joint_scales.clone(),
        image: format!("rgb8-64x64-{}bit-centre", model.sizes.image_bits),
        joint_calibration_sha256: calibration::JointMapping::of(config).sha256(),
        camera_calibration_sha256: calibration::Crop::FULL.sha256(),
        provenance: world_model::Provenance {
            software: concat!("armillary-train ", env!("CARGO_PKG_VERSION")).to_owned(),
            updates: provenance.update,
            seed: provenance.seed,
            agent_steps: provenance.data_steps,
            data_fingerprint: provenance.data_fingerprint.clone(),
            preset: ron::to_string(&provenance.preset).unwrap_or_default(),
        },
        files,
    }
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

fn encoder(model: &WorldModel) -> Exported {
    let mut g = GraphBuilder::new("encoder");
    let mut x = g.input("image", &[3, 64, 64]);
    for (i, layer) in model.encoder.iter().enumerate() {
        let w = g.weight(&format!("encoder.{i}.weight"), &layer.weight);
        let b = g.weight(&format!("encoder.{i}.bias"), &layer.bias);
        let attributes = vec![integers("kernel_shape", &[4, 4]), integers("strides", &[2, 2])];
        x = g.node("Conv", &[&x, &w, &b], attributes, None);
        x = g.op("Relu", &[&x]);
    }
    let x = g.node("Flatten", &[&x], vec![integer("axis", 1)], None);
    g.output(&x, "embedding", &[model.image_embedding()]);
    let image = Tensor::rand([PARITY_ROWS, 3, 64, 64], (Kind::Float, Device::Cpu)) - 0.5;
    let embedding = no_grad(|| model.encode(&image));
    Exported {
        name: "encoder",
        model: g.finish(),
        inputs: named(&["image"], vec![image]),
        outputs: named(&["embedding"], vec![embedding]),
    }
}

fn filter(model: &WorldModel) -> Exported {
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

fn transition(model: &WorldModel) -> Exported {
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

fn reward(model: &WorldModel) -> Exported {
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

fn decoder(model: &WorldModel) -> Exported {
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
        let kernel = layer.weight.size()[2];
        let attributes = vec![
            integers("kernel_shape", &[kernel, kernel]),
            integers("strides", &[2, 2]),
        ];
        x = g.node("ConvTranspose", &[&x, &w, &b], attributes, None);
        if i != last {
            x = g.op("Relu", &[&x]);
        }
    }
    g.output(&x, "image", &[3, 64, 64]);
    let latent = random_latent(model);
    let image = no_grad(|| model.decode(&model.features(&latent)));
    Exported {
        name: "decoder",
        model: g.finish(),
        inputs: named(&["h", "s"], vec![latent.h, latent.s]),
        outputs: named(&["image"], vec![image]),
    }
}

fn parity_file(graphs: &[Exported]) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for graph in graphs {
        for (side, list) in [("in", &graph.inputs), ("out", &graph.outputs)] {
            for (index, (name, tensor)) in list.iter().enumerate() {
                let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
                entries.push((
                    format!("{}/{side}/{index}.{name}", graph.name),
                    shape,
                    bytes(tensor),
                ));
            }
        }
    }
    let views = entries
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| error.to_string())?;
    safetensors::serialize(views, None::<HashMap<String, String>>).map_err(|error| error.to_string())
}
