//! Run logs to a LeRobotDataset.

mod rows;
mod tables;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::Schema;
use episode::{Episode, EpisodeError, Reason, TickRecord, list_episodes, read_episode};
use files::NewFolder;
use parquet::arrow::ArrowWriter;
use robot::Frame;
use serde_json::{Map, Value};

use self::rows::{DataRows, Place, data_schema};
use self::tables::{write_episodes, write_tasks};
use super::checksums;
use super::columns;
use super::layout::{self, Own};
use super::stats::Stats;
use crate::DatasetError;

/// Rows that are in memory at a time: a column of pictures can be no longer than 2 GiB.
const ROWS_AT_A_TIME: usize = 4096;

/// What an export made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Episodes: unbroken stretches of the logs.
    pub episodes: usize,
    /// Frames in them.
    pub frames: u64,
    /// The logs that were read, in order.
    pub logs: Vec<ExportedLog>,
    /// Logs that were left out, since another attempt at the same episode is better.
    pub left_out: Vec<PathBuf>,
}

/// What became of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedLog {
    /// The log.
    pub path: PathBuf,
    /// Its ticks that can be read.
    pub ticks: usize,
    /// Episodes of the data set that its unbroken stretches made.
    pub episodes: usize,
    /// Frames in them.
    pub frames: usize,
    /// Whether the last of these episodes reaches the end of the episode that was recorded: `next.done` is true there, and nowhere
    /// else.
    pub ended: bool,
    /// What is wrong with a log that was cut off or damaged.
    pub problem: Option<String>,
}

/// Writes the logs below `runs` as a LeRobotDataset into `out`, which must not exist and appears when it is whole. An episode of it
/// is an unbroken stretch of a log: what training would use. `done` hears of each log.
///
/// # Errors
/// [`DatasetError`]; there is then no `out`.
pub fn export(runs: &Path, out: &Path, done: &mut dyn FnMut(usize, usize)) -> Result<Exported, DatasetError> {
    let found = list_episodes(runs)?;
    let mut set = None;
    let mut logs = Vec::new();
    for (index, path) in found.logs.iter().enumerate() {
        let log = match read_episode(path) {
            Ok(log) => log,
            // It was cut off before it had begun: there was no power, or no room on the disk.
            Err(EpisodeError::NotALog { problem, .. }) => {
                logs.push(ExportedLog {
                    path: path.clone(),
                    ticks: 0,
                    episodes: 0,
                    frames: 0,
                    ended: false,
                    problem: Some(problem),
                });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let stretches = log.stretches();
        let end = end_of_episode(&log);
        logs.push(ExportedLog {
            path: path.clone(),
            ticks: log.ticks.len(),
            episodes: stretches.len(),
            frames: stretches.iter().map(ExactSizeIterator::len).sum(),
            ended: stretches.last().is_some_and(|last| Some(last.end) == end),
            problem: log.problem.clone(),
        });
        // A log without a usable step says nothing of the others, such as whether there are rewards.
        if !stretches.is_empty() {
            let (_, set) = match &mut set {
                Some(begun) => begun,
                empty => {
                    let folder = NewFolder::begin(out)?;
                    let set = Set::begin(folder.path(), &log)?;
                    empty.insert((folder, set))
                }
            };
            set.check(&log)?;
            for stretch in stretches {
                set.add(&log, stretch, end)?;
            }
        }
        done(index + 1, found.logs.len());
    }
    let Some((folder, set)) = set.filter(|(_, set)| !set.lengths.is_empty()) else {
        return Err(DatasetError::Empty {
            path: runs.to_owned(),
            what: "no log here has two usable frames in a row",
        });
    };
    let (episodes, frames) = (set.lengths.len(), set.frames);
    set.finish()?;
    checksums::write(folder.path())?;
    folder.finish()?;
    Ok(Exported {
        episodes,
        frames,
        logs,
        left_out: found.left_out,
    })
}

/// Where the recorded episode ended: the number of ticks of a whole log whose last tick says that the episode was over. A log that
/// was cut off, or whose arm was stopped by the guard or by a person, ends where nobody knows what came next.
fn end_of_episode(log: &Episode) -> Option<usize> {
    let over = log.ticks.last()?.guard.reason == Reason::EpisodeEnd;
    (log.complete && over).then_some(log.ticks.len())
}

/// Whether somebody gave a reward in the log.
fn has_reward(log: &Episode) -> bool {
    log.ticks.iter().any(|tick| tick.capture.reward.is_some())
}

/// Width and height of a log's pictures, in pixels.
fn side_of(log: &Episode) -> usize {
    log.frame_side().unwrap_or_default()
}

/// A data set in the making.
struct Set {
    root: PathBuf,
    own: Own,
    robot_text: Vec<u8>,
    schema: Arc<Schema>,
    file: usize,
    writer: ArrowWriter<File>,
    tasks: Vec<String>,
    /// Length, data file and task of each episode.
    lengths: Vec<(u64, usize, usize)>,
    frames: u64,
    /// Width and height of its pictures, in pixels: those of the first log.
    side: usize,
    /// Whether there are columns of rewards: whether the first log has one.
    rewarded: bool,
    stats: [(&'static str, Stats); 8],
}

impl Set {
    fn begin(root: &Path, first: &Episode) -> Result<Self, DatasetError> {
        let joints = first.info.joint_names.len();
        let rewarded = has_reward(first);
        let schema = data_schema(joints, rewarded);
        let robot = first.attachments.iter().find(|(name, _)| name == "robot.ron");
        Ok(Self {
            root: root.to_owned(),
            own: Own::of(&first.info),
            robot_text: robot.map(|(_, text)| text.clone()).unwrap_or_default(),
            writer: columns::create(&layout::numbered_data_path(root, 0), &schema)?,
            schema,
            file: 0,
            tasks: Vec::new(),
            lengths: Vec::new(),
            frames: 0,
            side: side_of(first),
            rewarded,
            stats: [
                (layout::STATE, Stats::new(joints)),
                (layout::VELOCITY, Stats::new(joints)),
                (layout::ACTION, Stats::new(joints)),
                (layout::SENT_ACTION, Stats::new(joints)),
                (layout::REWARD, Stats::new(1)),
                (layout::NEXT_REWARD, Stats::new(1)),
                ("timestamp", Stats::new(1)),
                (layout::CAMERA, Stats::new(3)),
            ],
        })
    }

    fn check(&self, log: &Episode) -> Result<(), DatasetError> {
        let own = &self.own;
        if !self.rewarded && has_reward(log) {
            return Err(DatasetError::Mixed {
                path: log.path.clone(),
                field: "reward",
                found: "present".to_owned(),
                expected: "missing".to_owned(),
            });
        }
        let fields = [
            ("robot", &log.info.robot, own.robot.clone()),
            (
                "size of pictures",
                &side_of(log).to_string(),
                self.side.to_string(),
            ),
            ("period", &log.info.period_s.to_string(), own.period_s.to_string()),
            (
                "list of joints",
                &log.info.joint_names.join(", "),
                own.joint_names.join(", "),
            ),
            (
                "joint mapping",
                &log.info.joint_calibration_sha256.clone().unwrap_or_default(),
                own.joint_calibration_sha256.clone().unwrap_or_default(),
            ),
        ];
        match fields.into_iter().find(|(_, found, expected)| *found != expected) {
            None => Ok(()),
            Some((field, found, expected)) => Err(DatasetError::Mixed {
                path: log.path.clone(),
                field,
                found: found.clone(),
                expected,
            }),
        }
    }

    /// Adds a stretch of `log`, whose episode ended after `end` ticks, if it did.
    fn add(
        &mut self,
        log: &Episode,
        stretch: std::ops::Range<usize>,
        end: Option<usize>,
    ) -> Result<(), DatasetError> {
        let ended = end == Some(stretch.end);
        if self.writer.bytes_written() > layout::FILE_BYTES {
            self.file += 1;
            let path = layout::numbered_data_path(&self.root, self.file);
            let next = columns::create(&path, &self.schema)?;
            let full = std::mem::replace(&mut self.writer, next);
            full.close().map_err(|source| {
                DatasetError::parquet(&layout::numbered_data_path(&self.root, self.file - 1), source)
            })?;
        }
        let path = layout::numbered_data_path(&self.root, self.file);
        let task = match self.tasks.iter().position(|task| *task == log.info.task) {
            Some(task) => task,
            None => {
                self.tasks.push(log.info.task.clone());
                self.tasks.len() - 1
            }
        };
        let mut rows = DataRows::new(self.own.joint_names.len());
        let ticks = &log.ticks[stretch.clone()];
        let frames = log.frames[stretch].iter().flatten();
        let first_ns = ticks.first().map_or(0, |tick| tick.edge_ns);
        for (index, (tick, frame)) in ticks.iter().zip(frames).enumerate() {
            self.measured(log, tick)?;
            let next = ticks.get(index + 1);
            let place = Place {
                episode: self.lengths.len(),
                frame: index,
                index: self.frames + index as u64,
                task,
                // LeRobot's reader checks that frames are a period apart.
                timestamp_s: (tick.edge_ns - first_ns) as f64 * 1e-9,
                // The last frame has none after it; LeRobot's own data has 0 there.
                next_reward: next.map_or(0.0, |next| next.capture.reward.unwrap_or(f32::NAN)),
                // At the row of the last action, which led to the end, and at the last frame.
                done: ended && index + 2 >= ticks.len(),
            };
            rows.push(&path, tick, frame, &place)?;
            self.note(tick, frame, &place);
            if (index + 1) % ROWS_AT_A_TIME == 0 {
                let full = std::mem::replace(&mut rows, DataRows::new(self.own.joint_names.len()));
                self.write(full, &path)?;
            }
        }
        self.write(rows, &path)?;
        self.lengths.push((ticks.len() as u64, self.file, task));
        self.own.policies.push(log.info.policy.clone());
        self.frames += ticks.len() as u64;
        Ok(())
    }

    fn write(&mut self, rows: DataRows, path: &Path) -> Result<(), DatasetError> {
        let batch = rows.finish(&self.schema, path)?;
        self.writer
            .write(&batch)
            .and_then(|()| self.writer.flush())
            .map_err(|source| DatasetError::parquet(path, source))
    }

    /// A data set has a number for every joint.
    fn measured(&self, log: &Episode, tick: &TickRecord) -> Result<(), DatasetError> {
        for (field, values) in [
            ("position_rad", &tick.capture.position_rad),
            ("velocity_rad_s", &tick.capture.velocity_rad_s),
        ] {
            let missing = |joint: &usize| values.get(*joint).is_none_or(|value| !value.is_finite());
            if let Some(joint) = (0..self.own.joint_names.len()).find(missing) {
                let problem = format!(
                    "joint {} has no number at tick {}",
                    self.own.joint_names[joint], tick.tick
                );
                return Err(DatasetError::field(
                    &log.path,
                    field,
                    problem,
                    "leave this log out",
                ));
            }
        }
        Ok(())
    }

    fn note(&mut self, tick: &TickRecord, frame: &Frame, place: &Place) {
        for (name, stats) in &mut self.stats {
            let vector: &[f32] = match *name {
                layout::STATE => &tick.capture.position_rad,
                layout::VELOCITY => &tick.capture.velocity_rad_s,
                layout::ACTION => &tick.actuate.set_point_rad,
                layout::SENT_ACTION => &tick.actuate.action,
                layout::REWARD => tick.capture.reward.as_slice(),
                layout::NEXT_REWARD if place.next_reward.is_nan() => &[],
                layout::NEXT_REWARD => &[place.next_reward],
                layout::CAMERA => {
                    stats.add_picture(frame.rgb());
                    continue;
                }
                _ => &[place.timestamp_s as f32],
            };
            if vector.is_empty() {
                continue;
            }
            stats.add(vector.iter().map(|&value| f64::from(value)));
        }
    }

    fn finish(self) -> Result<(), DatasetError> {
        let root = &self.root;
        let last = layout::numbered_data_path(root, self.file);
        self.writer
            .close()
            .map_err(|source| DatasetError::parquet(&last, source))?;
        write_tasks(&layout::tasks_path(root), &self.tasks)?;
        write_episodes(&layout::episodes_path(root), &self.lengths, &self.tasks)?;
        let info = layout::info(
            &self.own,
            self.side,
            self.lengths.len(),
            self.frames,
            self.tasks.len(),
            self.rewarded,
        );
        layout::write_json(&layout::info_path(root), &info)?;
        let stats: Map<String, Value> = self
            .stats
            .iter()
            .filter(|(name, _)| self.rewarded || ![layout::NEXT_REWARD, layout::REWARD].contains(name))
            .map(|(name, stats)| ((*name).to_owned(), stats.json(*name == layout::CAMERA)))
            .collect();
        layout::write_json(&root.join("meta/stats.json"), &stats)?;
        layout::write_json(&layout::own_path(root), &self.own)?;
        let robot = layout::robot_path(root);
        std::fs::write(&robot, &self.robot_text)
            .map_err(|error| DatasetError::io(&robot, "cannot write", error))
    }
}
