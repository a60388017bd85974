//! Sequence chunks from run logs, within a memory budget.
//!
//! The index knows every usable stretch of every log; frames are held while they fit the budget and read again from
//! the log when they do not. Which chunks make up batch `n` depends on the seed and `n` alone: a resumed run draws
//! what the run never interrupted would have drawn.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use episode::{EpisodeError, EpisodeInfo, TrainingEpisode};
use robot::philox::Stream;
use robot::{FRAME_BYTES, FRAME_SIDE};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::loss::Batch;
use crate::preset::Optimiser;

/// Why a set of runs cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A log could not be read.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// Logs of different robots.
    #[error(
        "{path}: field `{field}` is {found}, but {first} has {expected}; train on the runs of one robot at a time"
    )]
    Mixed {
        /// The odd one out.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// Its value.
        found: String,
        /// The log it was compared with.
        first: PathBuf,
        /// That log's value.
        expected: String,
    },
    /// Nothing long enough.
    #[error(
        "{dir}: none of the {logs} logs holds {length} consecutive steps; record longer episodes or lower `optimiser.length`"
    )]
    TooShort {
        /// The folder.
        dir: PathBuf,
        /// How many logs there are.
        logs: usize,
        /// Chunk length wanted.
        length: i64,
    },
    /// A reward or action that is not a number.
    #[error(
        "{path}: {field} at step {step} is {value}; run `armillary-train` on the other logs, or remove this one"
    )]
    NotFinite {
        /// The log.
        path: PathBuf,
        /// `reward` or `action`.
        field: &'static str,
        /// Step within the stretch.
        step: usize,
        /// The value.
        value: f32,
    },
}

struct Stretch {
    path: PathBuf,
    /// Which of the log's stretches this is.
    part: usize,
    length: usize,
    planned: bool,
    loaded: Option<TrainingEpisode>,
}

/// An indexed set of logs.
pub struct Dataset {
    stretches: Vec<Stretch>,
    /// Stretches in memory, oldest first.
    resident: VecDeque<usize>,
    resident_bytes: u64,
    budget_bytes: u64,
    info: EpisodeInfo,
    action: usize,
    length: usize,
    logs: usize,
    fingerprint: String,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Dataset({} stretches of {} logs)",
            self.stretches.len(),
            self.logs
        )
    }
}

impl Dataset {
    /// Indexes all logs below `dir`.
    ///
    /// # Errors
    /// [`DatasetError`], naming the log and what is wrong with it.
    pub fn open(dir: &Path, optimiser: &Optimiser) -> Result<Self, DatasetError> {
        let paths = one_an_episode(episode::list_runs(dir)?)?;
        let mut first: Option<(PathBuf, EpisodeInfo)> = None;
        let mut dataset: Option<Self> = None;
        let mut hasher = Sha256::new();
        for path in &paths {
            let log = episode::read_episode(path)?;
            if let Some(problem) = &log.problem {
                log::warn!(
                    "{}: using its {} whole steps: {problem}",
                    path.display(),
                    log.ticks.len()
                );
            }
            let (first_path, first_info) = first.get_or_insert_with(|| (path.clone(), log.info.clone()));
            same_robot(first_path, first_info, path, &log.info)?;
            let planned = log.info.policy.starts_with("planner");
            let parts = log.training()?;
            let dataset = dataset.get_or_insert_with(|| Self {
                stretches: Vec::new(),
                resident: VecDeque::new(),
                resident_bytes: 0,
                budget_bytes: optimiser.memory_mib << 20,
                info: log.info.clone(),
                action: log.info.joint_names.len(),
                length: optimiser.length as usize,
                logs: paths.len(),
                fingerprint: String::new(),
            });
            for (part, stretch) in parts.into_iter().enumerate() {
                finite(path, &stretch)?;
                hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
                hasher.update((stretch.length as u64).to_le_bytes());
                hasher.update(
                    stretch
                        .rewards
                        .iter()
                        .flat_map(|r| r.to_le_bytes())
                        .collect::<Vec<_>>(),
                );
                if stretch.length < dataset.length {
                    continue;
                }
                dataset.stretches.push(Stretch {
                    path: path.clone(),
                    part,
                    length: stretch.length,
                    planned,
                    loaded: None,
                });
                dataset.keep(dataset.stretches.len() - 1, stretch);
            }
        }
        match dataset {
            Some(mut dataset) if !dataset.stretches.is_empty() => {
                dataset.fingerprint = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
                Ok(dataset)
            }
            _ => Err(DatasetError::TooShort {
                dir: dir.to_owned(),
                logs: paths.len(),
                length: optimiser.length,
            }),
        }
    }

    /// What the logs say about their robot.
    pub fn info(&self) -> &EpisodeInfo {
        &self.info
    }

    /// Dimension of an action.
    pub fn action(&self) -> i64 {
        self.action as i64
    }

    /// Agent steps in the index: transitions, one less than frames a stretch.
    pub fn steps(&self) -> usize {
        self.stretches.iter().map(|s| s.length - 1).sum()
    }

    /// Logs read.
    pub fn logs(&self) -> usize {
        self.logs
    }

    /// Names the data: equal for equal logs.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Batch number `update` of the run named by `seed`.
    ///
    /// # Errors
    /// A log that was evicted and can no longer be read.
    pub fn batch(&mut self, seed: u64, update: u64, optimiser: &Optimiser) -> Result<Batch, DatasetError> {
        let (batch, length) = (optimiser.batch as usize, self.length);
        let mut stream = Stream::new(seed, update);
        let from_planned = (optimiser.planned_fraction * batch as f64).round() as usize;
        let has_planned = self.stretches.iter().any(|s| s.planned);
        let has_random = self.stretches.iter().any(|s| !s.planned);
        let mut frames = vec![0u8; batch * length * FRAME_BYTES];
        let mut actions = Vec::with_capacity(batch * length * self.action);
        let mut rewards = Vec::with_capacity(batch * length);
        for row in 0..batch {
            let planned = match (has_planned, has_random) {
                (true, true) => row < from_planned,
                (planned, _) => planned,
            };
            let (index, start) = self.draw(&mut stream, planned);
            self.load(index)?;
            let Some(stretch) = &self.stretches[index].loaded else {
                continue;
            };
            let bytes = start * FRAME_BYTES..(start + length) * FRAME_BYTES;
            frames[row * length * FRAME_BYTES..(row + 1) * length * FRAME_BYTES]
                .copy_from_slice(&stretch.frames[bytes]);
            actions.extend_from_slice(&stretch.actions[start * self.action..(start + length) * self.action]);
            rewards.extend_from_slice(&stretch.rewards[start..start + length]);
        }
        let (b, l, side) = (batch as i64, length as i64, FRAME_SIDE as i64);
        let frames = Tensor::from_data_size(&frames, &[b, l, side, side, 3], Kind::Uint8);
        Ok(Batch {
            frames: frames.permute([1, 0, 4, 2, 3]).contiguous(),
            action: Tensor::from_slice(&actions)
                .view([b, l, self.action as i64])
                .transpose(0, 1)
                .contiguous(),
            reward: Tensor::from_slice(&rewards)
                .view([b, l])
                .transpose(0, 1)
                .contiguous(),
        })
    }

    /// A chunk start, uniform over all chunks of planned or of random episodes.
    fn draw(&self, stream: &mut Stream, planned: bool) -> (usize, usize) {
        let chunks = |s: &Stretch| {
            if s.planned == planned {
                s.length + 1 - self.length
            } else {
                0
            }
        };
        let mut choice = stream.below(self.stretches.iter().map(chunks).sum());
        for (index, stretch) in self.stretches.iter().enumerate() {
            let n = chunks(stretch);
            if choice < n {
                return (index, choice);
            }
            choice -= n;
        }
        (0, 0)
    }

    fn load(&mut self, index: usize) -> Result<(), DatasetError> {
        if self.stretches[index].loaded.is_some() {
            return Ok(());
        }
        let (path, part) = (self.stretches[index].path.clone(), self.stretches[index].part);
        if let Some(stretch) = episode::read_episode(&path)?.training()?.into_iter().nth(part) {
            self.keep(index, stretch);
        }
        Ok(())
    }

    fn keep(&mut self, index: usize, stretch: TrainingEpisode) {
        self.resident_bytes += stretch.frames.len() as u64;
        self.stretches[index].loaded = Some(stretch);
        self.resident.push_back(index);
        while self.resident_bytes > self.budget_bytes && self.resident.len() > 1 {
            if let Some(oldest) = self.resident.pop_front()
                && let Some(gone) = self.stretches[oldest].loaded.take()
            {
                self.resident_bytes -= gone.frames.len() as u64;
            }
        }
    }
}

/// Of several attempts at an episode (`episode-N.mcap`, `episode-N-2.mcap`, ...) the whole one, or else the longest: what
/// was cut off and recorded again is not trained on twice.
fn one_an_episode(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut attempts: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let first = match stem
            .strip_prefix("episode-")
            .and_then(|rest| rest.split_once('-'))
        {
            Some((number, _)) => path.with_file_name(format!("episode-{number}.mcap")),
            None => path.clone(),
        };
        attempts.entry(first).or_default().push(path);
    }
    let mut chosen = Vec::with_capacity(attempts.len());
    for paths in attempts.into_values() {
        let mut best: Option<((bool, usize), PathBuf)> = None;
        let alone = paths.len() == 1;
        for path in paths {
            let worth = if alone {
                (false, 0)
            } else {
                let log = episode::read_episode(&path)?;
                (log.complete, log.ticks.len())
            };
            if best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, path));
            }
        }
        chosen.extend(best.map(|(_, path)| path));
    }
    Ok(chosen)
}

fn same_robot(
    first: &Path,
    expected: &EpisodeInfo,
    path: &Path,
    found: &EpisodeInfo,
) -> Result<(), DatasetError> {
    let pairs = [
        (
            "robot",
            format!("{:?}", found.robot),
            format!("{:?}", expected.robot),
        ),
        (
            "task",
            format!("{:?}", found.task),
            format!("{:?}", expected.task),
        ),
        (
            "joint_calibration_sha256",
            format!("{:?}", found.joint_calibration_sha256),
            format!("{:?}", expected.joint_calibration_sha256),
        ),
        (
            "joint_names",
            format!("{:?}", found.joint_names),
            format!("{:?}", expected.joint_names),
        ),
        (
            "period_s",
            found.period_s.to_string(),
            expected.period_s.to_string(),
        ),
    ];
    for (field, found, expected) in pairs {
        if found != expected {
            return Err(DatasetError::Mixed {
                path: path.to_owned(),
                field,
                found,
                first: first.to_owned(),
                expected,
            });
        }
    }
    Ok(())
}

fn finite(path: &Path, stretch: &TrainingEpisode) -> Result<(), DatasetError> {
    let width = stretch.action_dim.max(1);
    for (field, values, width) in [
        ("reward", &stretch.rewards, 1),
        ("action", &stretch.actions, width),
    ] {
        if let Some((index, &value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(DatasetError::NotFinite {
                path: path.to_owned(),
                field,
                step: index / width,
                value,
            });
        }
    }
    Ok(())
}
