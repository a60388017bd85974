//! Sequence chunks from run logs, in memory that does not grow with their frames.
//!
//! Frames lie compressed in one file; an index in memory knows every usable stretch of every log with its
//! actions, joints and rewards. Which chunks make up batch `n` depends on the seed and `n` alone: a resumed run draws what the
//! run never interrupted would have drawn. A [`Loader`] puts batches together ahead of time.
//!
//! One agent can learn several tasks (PlaNet section 5, "one agent all tasks"): each has a folder of its own, a batch draws
//! them alike, and actions of robots with fewer joints are padded with zeros.

mod cache;
mod error;
mod loader;
mod logs;
mod numbers;
mod room;
mod task;

use std::path::{Path, PathBuf};

use robot::Frame;
use robot::philox::Stream;
use sha2::{Digest, Sha256};

use self::cache::Cache;
use self::loader::Readers;
use self::numbers::Numbers;
use self::task::{Moments, Pool, Task, Usable};
use crate::checkpoint::{RobotOfLogs, TaskOfLogs, widest_action};
use crate::loss::Batch;
use crate::preset::{Optimiser, Preset};
use crate::side::Side;

pub use self::error::DatasetError;
pub use self::loader::Loader;

/// An indexed set of logs. Shared between threads as it is.
pub struct Dataset {
    cache: Cache,
    readers: Readers,
    tasks: Vec<Task>,
    /// The side of all logs' pictures, and the log that it was first seen in; none if no picture is seen.
    side: Option<(PathBuf, Side)>,
    /// Joints of the robot that has most.
    action: usize,
    /// Whether batches hold frames, and joints.
    pixels: bool,
    joints: bool,
    length: usize,
    steps: usize,
    logs: usize,
    without_reward: usize,
    fingerprint: String,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({} steps of {} logs)", self.steps, self.logs)
    }
}

impl Dataset {
    /// Indexes all logs below each of `dirs`, which hold those of one robot at one task each, with a cache of their frames
    /// in `cache`; `progress` hears how many of a folder's are there.
    ///
    /// # Errors
    /// [`DatasetError`], naming the log and what is wrong with it.
    pub fn open(
        dirs: &[PathBuf],
        cache: &Path,
        preset: &Preset,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DatasetError> {
        let mut dataset = Self {
            cache: Cache::open(cache)?,
            readers: Readers::default(),
            tasks: Vec::new(),
            side: None,
            action: 0,
            pixels: preset.model.observation.pixels(),
            joints: preset.model.observation.joints(),
            length: preset.optimiser.length as usize,
            steps: 0,
            logs: 0,
            without_reward: 0,
            fingerprint: String::new(),
        };
        let mut hasher = Sha256::new();
        for (index, dir) in dirs.iter().enumerate() {
            let task = dataset.take_in(dir, &mut hasher, progress)?;
            let same = |other: &Task| {
                let (a, b) = (&task.name.robot, &other.name.robot);
                (&a.name, &a.task, &a.joint_names) == (&b.name, &b.task, &b.joint_names)
            };
            if let Some(first) = dataset.tasks.iter().position(same) {
                return Err(DatasetError::SameTask {
                    first: dirs[first].clone(),
                    second: dirs[index].clone(),
                    robot: task.name.robot.name,
                    task: task.name.robot.task,
                });
            }
            dataset.tasks.push(task);
        }
        dataset.action = widest_action(&dataset.tasks());
        if dataset.side() != Side::default() {
            // The same episodes in pictures of another size are other data.
            hasher.update((dataset.side().pixels() as u64).to_le_bytes());
        }
        dataset.fingerprint = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(dataset)
    }

    /// The logs below one folder.
    fn take_in(
        &mut self,
        dir: &Path,
        hasher: &mut Sha256,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Task, DatasetError> {
        let episode::Episodes {
            logs: paths,
            left_out,
        } = episode::list_episodes(dir)?;
        if let Some(first) = left_out.first() {
            log::info!(
                "{}: {} logs are attempts at episodes of which another is better, and are left out; the first is {}",
                dir.display(),
                left_out.len(),
                first.display()
            );
        }
        self.cache.take_in(&paths, progress)?;
        let mut first: Option<(&Path, &RobotOfLogs)> = None;
        let (mut planned, mut random, mut steps) = (Pool::default(), Pool::default(), 0);
        let mut moments = Moments::default();
        let mut rewards = (f32::INFINITY, f32::NEG_INFINITY);
        // Frames that are trained on, and those of them that have no reward.
        let (mut used, mut without) = (0, 0);
        let mut measured = false;
        // Who gave the rewards, and the log that said so first.
        let mut source = None;
        let mut taken = 0;
        // Stretches too short for a chunk, and their frames.
        let mut short = (0, 0);
        for path in &paths {
            let key = cache::key(path);
            let Some(entry) = self.cache.entry(&key) else {
                continue;
            };
            taken += 1;
            if let Some(problem) = &entry.problem {
                log::warn!("{}: {problem}", path.display());
            }
            let (first_path, first_robot) = *first.get_or_insert((path, &entry.robot));
            if self.pixels
                && let Some(pixels) = entry.side()
            {
                logs::same_side(&mut self.side, path, pixels)?;
            }
            logs::same_robot(first_path, first_robot, path, &entry.robot)?;
            logs::same_reward(&mut source, path, &entry.reward_source)?;
            let width = entry.robot.joint_names.len();
            measured |= entry.measured;
            for (part, stretch) in entry.stretches.iter().enumerate() {
                let frames = stretch.rewards.len();
                // Recording that was cut off and gone on with has recorded the same.
                let name = episode::first_attempt(path);
                hasher.update(name.file_name().unwrap_or_default().as_encoded_bytes());
                hasher.update((frames as u64).to_le_bytes());
                for reward in &stretch.rewards {
                    // No reward that was given is NaN.
                    hasher.update(reward.unwrap_or(f32::NAN).to_le_bytes());
                }
                if frames < self.length {
                    short = (short.0 + 1, short.1 + frames);
                    continue;
                }
                for reward in stretch.rewards.iter().flatten() {
                    rewards = (rewards.0.min(*reward), rewards.1.max(*reward));
                }
                used += frames;
                without += stretch.rewards.iter().filter(|reward| reward.is_none()).count();
                if self.joints && width > 0 {
                    logs::all_finite(path, "joints", &stretch.joints, 2 * width)?;
                    moments.add(&stretch.joints, width);
                }
                steps += frames - 1;
                let usable = Usable {
                    log: key.clone(),
                    part,
                };
                let pool = if entry.planned { &mut planned } else { &mut random };
                pool.add(usable, frames + 1 - self.length);
            }
        }
        if short.0 > 0 && steps > 0 {
            log::warn!(
                "{}: {} stretches, {} frames in all, are shorter than `optimiser.length` {} and are not trained on ({steps} steps are); \
                 a smaller `optimiser.length` would take them",
                dir.display(),
                short.0,
                short.1,
                self.length
            );
        }
        if let Some((_, source)) = &source {
            log::info!(
                "{}: the reward that is learned is that of `{source}`",
                dir.display()
            );
        }
        if without > 0 && without == used {
            log::warn!(
                "{}: no frame has a reward: a model of them can be looked at, but it gives a planner nothing to choose by",
                dir.display()
            );
        } else if without > 0 {
            log::info!(
                "{}: {without} of {used} frames have no reward: they teach pictures and motion, and are left out of the reward's loss",
                dir.display()
            );
        }
        if rewards.0 == rewards.1 {
            log::warn!(
                "{}: all rewards are {}: a model of them can be looked at, but it gives a planner nothing to choose by",
                dir.display(),
                rewards.0
            );
        }
        let Some((_, robot)) = first.filter(|_| steps > 0) else {
            return Err(DatasetError::TooShort {
                dir: dir.to_owned(),
                logs: paths.len(),
                length: self.length as i64,
            });
        };
        if self.joints && !measured {
            return Err(DatasetError::NotMeasured { dir: dir.to_owned() });
        }
        let name = TaskOfLogs {
            robot: robot.clone(),
            joint_scales: moments.scales(),
        };
        self.steps += steps;
        self.without_reward += without;
        self.logs += taken;
        Ok(Task {
            name,
            planned,
            random,
        })
    }

    /// What the logs say about their robots, in the order of their folders, and the terms in which joints are seen.
    pub fn tasks(&self) -> Vec<TaskOfLogs> {
        self.tasks.iter().map(|task| task.name.clone()).collect()
    }

    /// Shows joints in the terms of `tasks`, those of the same robots that a model has learned in already.
    #[must_use]
    pub fn in_terms_of(mut self, tasks: &[TaskOfLogs]) -> Self {
        for (task, known) in self.tasks.iter_mut().zip(tasks) {
            task.name.joint_scales.clone_from(&known.joint_scales);
        }
        self
    }

    /// Width and height of the pictures of all logs; [`Side::default`] if none are seen.
    pub fn side(&self) -> Side {
        self.side.as_ref().map_or(Side::default(), |(_, side)| *side)
    }

    /// Dimension of an action: joints of the robot that has most.
    pub fn action(&self) -> i64 {
        self.action as i64
    }

    /// Agent steps in the index: transitions, one less than frames a stretch.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Logs read.
    pub fn logs(&self) -> usize {
        self.logs
    }

    /// Frames trained on that have no reward, and are left out of its loss.
    pub fn without_reward(&self) -> usize {
        self.without_reward
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
        let (batch, length, width) = (optimiser.batch as usize, self.length, self.action);
        let seen = if self.joints { 2 * width } else { 0 };
        let mut stream = Stream::new(seed, update);
        let from_planned = optimiser
            .planned_fraction
            .map(|fraction| (fraction * batch as f64).round() as usize);
        let side = if self.pixels { self.side().pixels() } else { 0 };
        let frame_bytes = Frame::bytes(side);
        // Channels come last in memory, as in the logs: no copy to turn them, and convolutions are faster for it.
        let mut frames = Numbers::<u8>::new(&[length, batch, side, side, 3]);
        let mut actions = Numbers::<f32>::new(&[length, batch, width]);
        let mut joints = Numbers::<f32>::new(&[length, batch, seen]);
        let mut rewards = Numbers::<f32>::new(&[length, batch]);
        let mut rewarded = Numbers::<f32>::new(&[length, batch]);
        let mut all_rewarded = true;
        let mut chunk = vec![0; length * frame_bytes];
        for row in 0..batch {
            let task = match self.tasks.as_slice() {
                [task] => task,
                tasks => &tasks[stream.below(tasks.len())],
            };
            let (usable, start) = task.draw(&mut stream, row, from_planned);
            let stretch = self
                .cache
                .entry(&usable.log)
                .and_then(|entry| entry.stretches.get(usable.part))
                .ok_or_else(|| DatasetError::Cache {
                    path: usable.log.clone(),
                    action: "is no longer in",
                    source: std::io::ErrorKind::NotFound.into(),
                })?;
            if self.pixels {
                self.readers
                    .with(|reader| self.cache.read(stretch, start, &mut chunk, reader))?;
                for (t, frame) in chunk.chunks_exact(frame_bytes).enumerate() {
                    let at = t * batch + row;
                    frames.all()[at * frame_bytes..(at + 1) * frame_bytes].copy_from_slice(frame);
                }
            }
            // What a robot with fewer joints does not have stays zero.
            let own = task.name.robot.joint_names.len();
            for t in 0..length {
                let (at, from) = (t * batch + row, start + t);
                actions.all()[at * width..at * width + own]
                    .copy_from_slice(&stretch.actions[from * own..(from + 1) * own]);
                let reward = stretch.rewards[from];
                rewards.all()[at] = reward.unwrap_or(0.0);
                rewarded.all()[at] = f32::from(u8::from(reward.is_some()));
                all_rewarded &= reward.is_some();
                // None if the model does not see joints.
                for (joint, scale) in task.name.joint_scales.iter().enumerate() {
                    let state = &stretch.joints[2 * (from * own + joint)..];
                    joints.all()[at * seen + 2 * joint..at * seen + 2 * joint + 2]
                        .copy_from_slice(&scale.standardise(state[0], state[1]));
                }
            }
        }
        Ok(Batch {
            frames: frames.tensor.permute([0, 1, 4, 2, 3]),
            action: actions.tensor,
            joints: joints.tensor,
            reward: rewards.tensor,
            rewarded: (!all_rewarded).then_some(rewarded.tensor),
        })
    }
}
