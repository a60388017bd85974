//! Checkpoints: weights, Adam's moments, position and provenance in one SafeTensors file, replaced atomically.

mod kept;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use files::OutputError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor, no_grad};
use world_model::JointScale;

use crate::learner::Learner;
use crate::loss::Batch;
use crate::preset::Preset;
use crate::side::Side;

pub use self::kept::{before, keep, step_back};

/// Version of the checkpoint's layout.
const FORMAT_VERSION: u32 = 2;

/// Why a checkpoint could not be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error(
        "{path}: {action}: {source}; the previous checkpoint, if any, is untouched: free space on its disk, then repeat the command"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something is in its place that this program did not make.
    #[error(transparent)]
    Output(OutputError),
    /// There is none, or it cannot be read.
    #[error(
        "{path}: cannot read the checkpoint: {source}; name the checkpoint.safetensors in the --out folder of `armillary-train train`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not a checkpoint of this program.
    #[error(
        "{path}: not a usable checkpoint: {problem}; start afresh with another --out, or restore the file"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl CheckpointError {
    /// With something more to know of a file that is not usable.
    fn about(mut self, more: &str) -> Self {
        if let Self::Malformed { problem, .. } = &mut self {
            problem.push_str("; ");
            problem.push_str(more);
        }
        self
    }
}

/// What a checkpoint says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    /// Layout version.
    pub format_version: u32,
    /// Updates done.
    pub update: u64,
    /// Adam's steps.
    pub adam_step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Preset in force.
    pub preset: Preset,
    /// Width and height of the images that it was trained on. One that does not say was trained on 64 pixels, or on none.
    #[serde(default, skip_serializing_if = "Side::is_planets")]
    pub side: Side,
    /// The robots of the logs, each with the task it was at; one as a rule.
    pub tasks: Vec<TaskOfLogs>,
    /// Fingerprint of the logs last trained on.
    pub data_fingerprint: String,
    /// Agent steps in those logs.
    pub data_steps: u64,
}

/// The robot whose logs were trained on: what a bundle must match later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotOfLogs {
    /// Robot name.
    pub name: String,
    /// Task name.
    pub task: String,
    /// Joint names, in order.
    pub joint_names: Vec<String>,
    /// Control period in seconds.
    pub period_s: f32,
    /// SHA-256 of the joint mapping, if the logs say it.
    #[serde(default)]
    pub joint_calibration_sha256: Option<String>,
    /// SHA-256 of the table that made images of a camera's pictures, if the logs say it.
    #[serde(default)]
    pub picture_sha256: Option<String>,
}

/// A robot at its task, as the trainer has come to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOfLogs {
    /// The robot.
    pub robot: RobotOfLogs,
    /// Its joints as the model sees them, from the logs of the first update; none if it does not.
    pub joint_scales: Vec<JointScale>,
}

/// Joints of the robot that has most: actions of the others are padded to as many.
pub fn widest_action(tasks: &[TaskOfLogs]) -> usize {
    tasks
        .iter()
        .map(|task| task.robot.joint_names.len())
        .max()
        .unwrap_or(0)
}

/// Names what a checkpoint says of itself, in its header.
const PROVENANCE: &str = "armillary";

/// Names the checksum among the tensors of a checkpoint.
const CHECKSUM: &str = "sha256";

/// SHA-256 of parts of a file, its tensors and its provenance, in the order of their names.
fn checksum(mut parts: Vec<(&str, &[u8])>) -> Vec<u8> {
    parts.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = Sha256::new();
    for (name, data) in parts {
        hasher.update(name.as_bytes());
        hasher.update((data.len() as u64).to_le_bytes());
        hasher.update(data);
    }
    hasher.finalize().to_vec()
}

/// Saves `learner` to `path`: temporary file, fsync, rename. A checkpoint that is there is replaced, another file is not.
///
/// # Errors
/// [`CheckpointError::Io`], [`CheckpointError::Output`]; the file under `path` is then still the old one.
pub fn save(path: &Path, learner: &Learner, provenance: &Provenance) -> Result<(), CheckpointError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let entries = learner.model.params.entries();
    for (prefix, list) in [("adam.m/", &learner.adam.m), ("adam.v/", &learner.adam.v)] {
        for ((name, _), tensor) in entries.iter().zip(list) {
            tensors.push((format!("{prefix}{name}"), shape(tensor), bytes(tensor)));
        }
    }
    for (name, tensor) in entries {
        tensors.push((format!("model/{name}"), shape(tensor), bytes(tensor)));
    }
    let malformed = |problem: String| CheckpointError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let text = serde_json::to_string(provenance).map_err(|error| malformed(error.to_string()))?;
    let mut parts: Vec<_> = tensors
        .iter()
        .map(|(name, _, data)| (name.as_str(), data.as_slice()))
        .collect();
    parts.push((PROVENANCE, text.as_bytes()));
    // A tensor, since entries of the header come in any order: the same checkpoint is the same file.
    let checksum = checksum(parts);
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name.as_str(), Dtype::F32, shape.clone(), data.as_slice()))
        .chain([(CHECKSUM, Dtype::U8, vec![checksum.len()], checksum.as_slice())])
        .map(|(name, kind, shape, data)| Ok((name, TensorView::new(kind, shape, data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| malformed(error.to_string()))?;
    let metadata = HashMap::from([(PROVENANCE.to_owned(), text)]);
    let data = safetensors::serialize(views, Some(metadata)).map_err(|error| malformed(error.to_string()))?;
    files::put(path, &data, &is_ours).map_err(not_written(path, "cannot write the checkpoint"))
}

/// Whether a file is a checkpoint of this program, or a batch that it kept, by the first bytes.
pub(crate) fn is_ours(head: &[u8]) -> bool {
    // The header's metadata come first, behind its length.
    let own = format!("\"{PROVENANCE}\":");
    head.windows(own.len()).any(|window| window == own.as_bytes())
}

/// What became of `action` on `path`.
fn not_written(path: &Path, action: &'static str) -> impl FnOnce(OutputError) -> CheckpointError {
    let path = path.to_owned();
    move |error| match error {
        OutputError::Io { source, .. } => CheckpointError::Io { path, action, source },
        other => CheckpointError::Output(other),
    }
}

/// Loads a learner onto `device`.
///
/// # Errors
/// [`CheckpointError`], naming the file and the problem.
pub fn load(path: &Path, device: Device) -> Result<(Learner, Provenance), CheckpointError> {
    let (data, provenance) = read(path).map_err(|error| {
        let before = before(path);
        if before.exists() {
            error.about(&format!("{} is the one before it", before.display()))
        } else {
            error
        }
    })?;
    let malformed = |problem: String| CheckpointError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let tensors = SafeTensors::deserialize(&data).map_err(|error| malformed(error.to_string()))?;
    let action = widest_action(&provenance.tasks) as i64;
    let mut learner = Learner::new(
        provenance.preset.clone(),
        provenance.side,
        action,
        provenance.seed,
        device,
    );
    learner.update = provenance.update;
    learner.adam.step = provenance.adam_step;
    let restore = |name: String, into: &Tensor| -> Result<(), CheckpointError> {
        let view = tensors
            .tensor(&name)
            .map_err(|error| malformed(format!("{name}: {error}")))?;
        if view.shape() != shape(into) {
            return Err(malformed(format!(
                "{name}: shape {:?}, expected {:?}",
                view.shape(),
                shape(into)
            )));
        }
        let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        no_grad(|| {
            into.detach()
                .copy_(&Tensor::from_data_size(view.data(), &size, Kind::Float));
        });
        Ok(())
    };
    for (index, (name, parameter)) in learner.model.params.entries().iter().enumerate() {
        restore(format!("model/{name}"), parameter)?;
        restore(format!("adam.m/{name}"), &learner.adam.m[index])?;
        restore(format!("adam.v/{name}"), &learner.adam.v[index])?;
    }
    Ok((learner, provenance))
}

/// What a checkpoint says of itself.
///
/// # Errors
/// [`CheckpointError`], naming the file and the problem.
pub fn provenance(path: &Path) -> Result<Provenance, CheckpointError> {
    read(path).map(|(_, provenance)| provenance)
}

fn read(path: &Path) -> Result<(Vec<u8>, Provenance), CheckpointError> {
    let data = files::read(path).map_err(|source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    })?;
    let malformed = |problem: String| CheckpointError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let (_, header) = SafeTensors::read_metadata(&data).map_err(|error| malformed(error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let text = metadata
        .get(PROVENANCE)
        .ok_or_else(|| malformed(format!("no `{PROVENANCE}` entry in its header")))?;
    let tensors = SafeTensors::deserialize(&data).map_err(|error| malformed(error.to_string()))?;
    // The first programs wrote none.
    if let Ok(expected) = tensors.tensor(CHECKSUM) {
        let all = tensors.tensors();
        let mut parts: Vec<_> = all
            .iter()
            .filter(|(name, _)| name != CHECKSUM)
            .map(|(name, view)| (name.as_str(), view.data()))
            .collect();
        parts.push((PROVENANCE, text.as_bytes()));
        if checksum(parts).as_slice() != expected.data() {
            return Err(malformed("it is not what was saved (checksum)".to_owned()));
        }
    }
    let in_header = |error: serde_json::Error| malformed(format!("its header: {error}"));
    let mut header: serde_json::Value = serde_json::from_str(text).map_err(in_header)?;
    match header["format_version"].as_u64() {
        Some(1) => {
            // It knew one robot, and saw no joints.
            let robot = header["robot"].take();
            header["tasks"] = serde_json::json!([{ "robot": robot, "joint_scales": [] }]);
            header["format_version"] = FORMAT_VERSION.into();
            // A setting of the loader that is gone: it changed nothing of what was learned.
            if let Some(optimiser) = header["preset"]["optimiser"].as_object_mut() {
                optimiser.remove("memory_mib");
            }
        }
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        _ => {
            let problem = format!(
                "format version {}, this program reads 1 and {FORMAT_VERSION}",
                header["format_version"]
            );
            return Err(malformed(problem));
        }
    }
    let provenance = serde_json::from_value(header).map_err(in_header)?;
    Ok((data, provenance))
}

impl Provenance {
    /// Describes `learner` as it is now.
    pub fn of(learner: &Learner, tasks: &[TaskOfLogs], data_fingerprint: &str, data_steps: u64) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            update: learner.update,
            adam_step: learner.adam.step,
            seed: learner.seed,
            preset: learner.preset.clone(),
            side: learner.model.side,
            tasks: tasks.to_vec(),
            data_fingerprint: data_fingerprint.to_owned(),
            data_steps,
        }
    }
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&n| n as usize).collect()
}

/// Saves a batch for a look: `frames` (u8), `action`, `joints`, `reward` and, if some frames have none, `rewarded`, as they were
/// trained on.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn save_batch(path: &Path, batch: &Batch) -> Result<(), CheckpointError> {
    let fail = |source| CheckpointError::Io {
        path: path.to_owned(),
        action: "cannot write the batch",
        source,
    };
    let frames = batch.frames.to_device(Device::Cpu).contiguous().view([-1]);
    let mut pixels = vec![0u8; frames.numel()];
    frames.copy_data(&mut pixels, frames.numel());
    let [action, joints, reward] = [&batch.action, &batch.joints, &batch.reward].map(bytes);
    let view = |kind, shape, data| {
        TensorView::new(kind, shape, data).map_err(|error| fail(std::io::Error::other(error.to_string())))
    };
    let rewarded = batch.rewarded.as_ref().map(|mask| (shape(mask), bytes(mask)));
    let mut views = vec![
        (
            "frames",
            view(Dtype::U8, shape(&batch.frames), pixels.as_slice())?,
        ),
        (
            "action",
            view(Dtype::F32, shape(&batch.action), action.as_slice())?,
        ),
        (
            "joints",
            view(Dtype::F32, shape(&batch.joints), joints.as_slice())?,
        ),
        (
            "reward",
            view(Dtype::F32, shape(&batch.reward), reward.as_slice())?,
        ),
    ];
    if let Some((shape, mask)) = &rewarded {
        views.push(("rewarded", view(Dtype::F32, shape.clone(), mask.as_slice())?));
    }
    let metadata = HashMap::from([(PROVENANCE.to_owned(), "a batch".to_owned())]);
    let data = safetensors::serialize(views, Some(metadata))
        .map_err(|error| fail(std::io::Error::other(error.to_string())))?;
    files::put(path, &data, &is_ours).map_err(not_written(path, "cannot write the batch"))
}

/// The numbers of a tensor, in row-major order.
pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(Device::Cpu).contiguous().view([-1]);
    let mut values = vec![0f32; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    values
}

/// Little-endian f32 bytes of a tensor, in row-major order.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    numbers(tensor)
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
