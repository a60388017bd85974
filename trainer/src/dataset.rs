//! Sequence chunks from run logs, in memory that does not grow with their frames.
//!
//! Frames lie compressed in one file; an index in memory knows every usable stretch of every log with its
//! actions and rewards. Which chunks make up batch `n` depends on the seed and `n` alone: a resumed run draws what the run
//! never interrupted would have drawn. A [`Loader`] puts batches together ahead of time.

mod cache;
mod loader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use episode::{EpisodeError, TrainingEpisode};
use robot::philox::Stream;
use robot::{FRAME_BYTES, FRAME_SIDE};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use self::cache::Cache;
use self::loader::Readers;
use crate::checkpoint::RobotOfLogs;
use crate::loss::Batch;
use crate::preset::Optimiser;

pub use self::loader::Loader;

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
    /// The cache.
    #[error(
        "{path}: {action} the cache of frames: {source}; free some space, or remove it and it is built again"
    )]
    Cache {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Two trainers in one folder.
    #[error("{path}: another program is training into this folder; wait for it, or name another --out")]
    CacheInUse {
        /// The file.
        path: PathBuf,
    },
    /// A decompressor.
    #[error("cannot decompress frames: {0}; free some memory")]
    Decompressor(std::io::Error),
    /// A loader's thread.
    #[error("a thread that loads batches has ended; what it said is above")]
    LoaderLost,
}

/// A stretch that is long enough.
#[derive(Debug)]
struct Usable {
    log: PathBuf,
    part: usize,
}

/// Stretches of planned, or of random, episodes, with the number of chunks up to and with each.
#[derive(Debug, Default)]
struct Pool {
    stretches: Vec<Usable>,
    chunks: Vec<usize>,
}

impl Pool {
    fn add(&mut self, stretch: Usable, chunks: usize) {
        self.stretches.push(stretch);
        self.chunks.push(self.total() + chunks);
    }

    fn total(&self) -> usize {
        self.chunks.last().copied().unwrap_or(0)
    }

    /// The stretch of chunk number `choice`, and where in it the chunk starts.
    fn find(&self, choice: usize) -> (&Usable, usize) {
        let index = self.chunks.partition_point(|&up_to| up_to <= choice);
        let before = if index == 0 { 0 } else { self.chunks[index - 1] };
        (&self.stretches[index], choice - before)
    }
}

/// An indexed set of logs. Shared between threads as it is.
pub struct Dataset {
    cache: Cache,
    readers: Readers,
    planned: Pool,
    random: Pool,
    robot: RobotOfLogs,
    length: usize,
    steps: usize,
    logs: usize,
    fingerprint: String,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({} steps of {} logs)", self.steps, self.logs)
    }
}

impl Dataset {
    /// Indexes all logs below `dir`, with a cache of their frames in `cache`; `progress` hears how many of them are there.
    ///
    /// # Errors
    /// [`DatasetError`], naming the log and what is wrong with it.
    pub fn open(
        dir: &Path,
        cache: &Path,
        optimiser: &Optimiser,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DatasetError> {
        let paths = one_an_episode(episode::list_runs(dir)?)?;
        let mut cache = Cache::open(cache)?;
        cache.take_in(&paths, progress)?;
        let length = optimiser.length as usize;
        let mut first: Option<(&Path, &RobotOfLogs)> = None;
        let (mut planned, mut random, mut steps) = (Pool::default(), Pool::default(), 0);
        let mut hasher = Sha256::new();
        for path in &paths {
            let Some(entry) = cache.entry(path) else { continue };
            let (first_path, first_robot) = *first.get_or_insert((path, &entry.robot));
            same_robot(first_path, first_robot, path, &entry.robot)?;
            for (part, stretch) in entry.stretches.iter().enumerate() {
                let frames = stretch.rewards.len();
                hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
                hasher.update((frames as u64).to_le_bytes());
                for reward in &stretch.rewards {
                    hasher.update(reward.to_le_bytes());
                }
                if frames < length {
                    continue;
                }
                steps += frames - 1;
                let usable = Usable {
                    log: path.clone(),
                    part,
                };
                let pool = if entry.planned { &mut planned } else { &mut random };
                pool.add(usable, frames + 1 - length);
            }
        }
        let robot = first.map(|(_, robot)| robot.clone());
        match robot {
            Some(robot) if steps > 0 => Ok(Self {
                cache,
                readers: Readers::default(),
                planned,
                random,
                robot,
                length,
                steps,
                logs: paths.len(),
                fingerprint: hasher.finalize().iter().map(|b| format!("{b:02x}")).collect(),
            }),
            _ => Err(DatasetError::TooShort {
                dir: dir.to_owned(),
                logs: paths.len(),
                length: optimiser.length,
            }),
        }
    }

    /// What the logs say about their robot.
    pub fn robot(&self) -> &RobotOfLogs {
        &self.robot
    }

    /// Dimension of an action.
    pub fn action(&self) -> i64 {
        self.robot.joint_names.len() as i64
    }

    /// Agent steps in the index: transitions, one less than frames a stretch.
    pub fn steps(&self) -> usize {
        self.steps
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
    /// A cache that can no longer be read.
    pub fn batch(&self, seed: u64, update: u64, optimiser: &Optimiser) -> Result<Batch, DatasetError> {
        self.assemble(seed, update, optimiser).map(Assembled::tensors)
    }

    /// The same before it is tensors: LibTorch keeps threads for each thread that calls it.
    fn assemble(&self, seed: u64, update: u64, optimiser: &Optimiser) -> Result<Assembled, DatasetError> {
        let (batch, length) = (optimiser.batch as usize, self.length);
        let width = self.robot.joint_names.len();
        let mut stream = Stream::new(seed, update);
        let from_planned = optimiser
            .planned_fraction
            .map(|fraction| (fraction * batch as f64).round() as usize);
        let all = self.planned.total() + self.random.total();
        let mut out = Assembled {
            shape: [length, batch, width],
            frames: vec![0; batch * length * FRAME_BYTES],
            actions: vec![0.0; batch * length * width],
            rewards: vec![0.0; batch * length],
        };
        let mut chunk = vec![0; length * FRAME_BYTES];
        for row in 0..batch {
            let of_planned = match from_planned {
                None => stream.below(all) < self.planned.total(),
                Some(_) if self.random.total() == 0 => true,
                Some(rows) => row < rows && self.planned.total() > 0,
            };
            let pool = if of_planned { &self.planned } else { &self.random };
            let (usable, start) = pool.find(stream.below(pool.total()));
            let stretch = self
                .cache
                .entry(&usable.log)
                .and_then(|entry| entry.stretches.get(usable.part))
                .ok_or_else(|| DatasetError::Cache {
                    path: usable.log.clone(),
                    action: "is no longer in",
                    source: std::io::ErrorKind::NotFound.into(),
                })?;
            self.readers
                .with(|reader| self.cache.read(stretch, start, &mut chunk, reader))?;
            for (t, frame) in chunk.chunks_exact(FRAME_BYTES).enumerate() {
                let at = t * batch + row;
                out.frames[at * FRAME_BYTES..(at + 1) * FRAME_BYTES].copy_from_slice(frame);
                let from = start + t;
                out.actions[at * width..(at + 1) * width]
                    .copy_from_slice(&stretch.actions[from * width..(from + 1) * width]);
                out.rewards[at] = stretch.rewards[from];
            }
        }
        Ok(out)
    }
}

/// A batch as plain numbers, already in the order of its tensors.
#[derive(Debug)]
struct Assembled {
    /// L, B, A.
    shape: [usize; 3],
    /// `[L][B][64][64][3]`.
    frames: Vec<u8>,
    /// `[L][B][A]`.
    actions: Vec<f32>,
    /// `[L][B]`.
    rewards: Vec<f32>,
}

impl Assembled {
    fn tensors(self) -> Batch {
        let [l, b, a] = self.shape.map(|n| n as i64);
        let side = FRAME_SIDE as i64;
        // Channels come last in memory, as in the logs: no copy to turn them, and convolutions are faster for it.
        let frames = Tensor::from_data_size(&self.frames, &[l, b, side, side, 3], Kind::Uint8);
        Batch {
            frames: frames.permute([0, 1, 4, 2, 3]),
            action: Tensor::from_slice(&self.actions).view([l, b, a]),
            reward: Tensor::from_slice(&self.rewards).view([l, b]),
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
    expected: &RobotOfLogs,
    path: &Path,
    found: &RobotOfLogs,
) -> Result<(), DatasetError> {
    let fields = |robot: &RobotOfLogs| {
        [
            ("robot", format!("{:?}", robot.name)),
            ("task", format!("{:?}", robot.task)),
            (
                "joint_calibration_sha256",
                format!("{:?}", robot.joint_calibration_sha256),
            ),
            ("joint_names", format!("{:?}", robot.joint_names)),
            ("period_s", robot.period_s.to_string()),
        ]
    };
    for ((field, found), (_, expected)) in fields(found).into_iter().zip(fields(expected)) {
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
