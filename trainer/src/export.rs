//! Exports a bundle: ONNX graphs, LibTorch's own outputs on random inputs, a manifest; proved before it gets its name.

mod graphs;
mod older;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use files::{NewFolder, OutputError};
use robot::Config;
use safetensors::tensor::{Dtype, TensorView};
use tch::Tensor;
use world_model::manifest::{MANIFEST_VERSION, MANIFEST_VERSION_OF_PIXELS};
use world_model::{Bundle, BundleError, Dimensions, Manifest, Observation, sums};

use self::graphs::{Exported, decoder, encoder, filter, reward, transition};
use crate::checkpoint::{Provenance, TaskOfLogs, bytes};
use crate::model::WorldModel;
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
    /// The bundle could not be put where it was to be.
    #[error(transparent)]
    Output(#[from] OutputError),
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
    /// The robot file asks for pictures of another size than the model learned from.
    #[error(
        "the model learned from pictures of {side}x{side} pixels, and `capture.side` of robot `{robot}` is {expected}; write \
         `side: {side}` into `capture` of the robot file, or pass the one that the logs were recorded with as --robot"
    )]
    Side {
        /// Of the model's images, in pixels.
        side: usize,
        /// The robot file's robot.
        robot: String,
        /// In the robot file, in pixels.
        expected: usize,
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

/// Writes a bundle to `out`, replacing an older bundle there only once the new one has been loaded and has passed its
/// parity check, and only if the folder holds nothing but the files that the older bundle was exported with. Returns the largest error against LibTorch. Of an agent with several tasks, the bundle is for the one of
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
    let mapping = calibration::JointMapping::of(config).sha256();
    if let Some(recorded) = &task.robot.joint_calibration_sha256
        && *recorded != mapping
    {
        return Err(ExportError::Calibration {
            robot: config.name.clone(),
        });
    }
    let side = model.side.pixels();
    if model.sizes.observation.pixels() && side != config.frame_side {
        return Err(ExportError::Side {
            side,
            robot: config.name.clone(),
            expected: config.frame_side,
        });
    }
    let older = older::files(out)?;
    let folder = NewFolder::begin_over(out)?;
    let partial = folder.path();
    let io = |path: &Path, action| {
        let path = path.to_owned();
        move |source| ExportError::Io { path, action, source }
    };

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
    let pictures = pixels.then(|| graphs::pictures(model));
    let parity = parity_file(&graphs, pictures.as_ref()).map_err(|problem| ExportError::Serialise {
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
    let text = text + "\n";
    std::fs::write(&path, &text).map_err(io(&path, "cannot write"))?;
    let mut hashes = manifest.files;
    let named = world_model::bundle::MANIFEST.to_owned();
    hashes.insert(named, world_model::bundle::sha256(text.as_bytes()));
    let path = partial.join(sums::SUMS);
    std::fs::write(&path, sums::text(&hashes)).map_err(io(&path, "cannot write"))?;

    let bundle = Bundle::load(partial)?;
    bundle.check_robot(config)?;
    folder.finish_over(&older)?;
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
        image: format!(
            "rgb8-{0}x{0}-{1}bit-centre",
            model.side.pixels(),
            model.sizes.image_bits
        ),
        joint_calibration_sha256: calibration::JointMapping::of(config).sha256(),
        picture_sha256: task.robot.picture_sha256.clone(),
        camera_calibration_sha256: world_model::CAMERA_CALIBRATION.to_owned(),
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

/// The parity vectors of `graphs`, and pictures with their embeddings if the model sees any.
fn parity_file(graphs: &[Exported], pictures: Option<&(Tensor, Tensor)>) -> Result<Vec<u8>, String> {
    let shape_of = |tensor: &Tensor| -> Vec<usize> { tensor.size().iter().map(|&n| n as usize).collect() };
    let mut entries = Vec::new();
    for graph in graphs {
        for (side, list) in [("in", &graph.inputs), ("out", &graph.outputs)] {
            for (index, (name, tensor)) in list.iter().enumerate() {
                entries.push((
                    format!("{}/{side}/{index}.{name}", graph.name),
                    Dtype::F32,
                    shape_of(tensor),
                    bytes(tensor),
                ));
            }
        }
    }
    if let Some((rgb, embedding)) = pictures {
        let mut pixels = vec![0u8; rgb.numel()];
        rgb.copy_data(&mut pixels, rgb.numel());
        entries.push(("pixels/in/0.rgb".to_owned(), Dtype::U8, shape_of(rgb), pixels));
        entries.push((
            "pixels/out/0.embedding".to_owned(),
            Dtype::F32,
            shape_of(embedding),
            bytes(embedding),
        ));
    }
    let views = entries
        .iter()
        .map(|(name, kind, shape, data)| Ok((name.as_str(), TensorView::new(*kind, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| error.to_string())?;
    safetensors::serialize(views, None::<HashMap<String, String>>).map_err(|error| error.to_string())
}
