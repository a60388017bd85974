//! A LeRobotDataset to run logs.

mod meta;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use episode::EpisodeInfo;
use robot::config::made::Actuator;
use robot::{Frame, JointVec, MAX_JOINTS, joint};

pub(super) use self::meta::sorted;
use self::meta::{Info, read_json, tasks};
use super::columns::{self, Rows};
use super::layout::{self, Own};
use super::video::Video;
use crate::recording::{Imported, LastReward, Recording, Source, Step, rewards_to_next};
use crate::{DatasetError, picture};

/// A data set that was looked into.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    info: Info,
    camera: String,
    own: Option<Own>,
    robot_text: Option<String>,
    actuators: Vec<Actuator>,
    tasks: BTreeMap<i64, String>,
}

impl Dataset {
    /// Looks into the data set in `root`. Pictures come from `camera`, or from the first there is.
    ///
    /// # Errors
    /// [`DatasetError`], naming file, field and remedy.
    pub fn open(root: &Path, camera: Option<&str>) -> Result<Self, DatasetError> {
        super::checksums::verify(root)?;
        let path = layout::info_path(root);
        let info: Info = read_json(&path)?;
        let field =
            |field: &str, problem: String, remedy: &str| DatasetError::field(&path, field, problem, remedy);
        if info.codebase_version != layout::VERSION {
            let remedy = "convert it with LeRobot's `convert_dataset_v21_to_v30`";
            let problem = format!("is {}, not {}", info.codebase_version, layout::VERSION);
            return Err(field("codebase_version", problem, remedy));
        }
        if !(info.fps.is_finite() && info.fps > 0.0) {
            return Err(field(
                "fps",
                format!("is {}", info.fps),
                "give the frames a second",
            ));
        }
        let cameras: Vec<&String> = info
            .features
            .iter()
            .filter(|(_, feature)| feature.is_camera())
            .map(|(name, _)| name)
            .collect();
        let camera = match camera {
            Some(name) if cameras.iter().any(|camera| *camera == name) => name.to_owned(),
            Some(name) => {
                let problem = format!("has no camera `{name}`");
                return Err(field("features", problem, &format!("choose one of {cameras:?}")));
            }
            None => cameras.first().map(|name| (*name).clone()).ok_or_else(|| {
                field(
                    "features",
                    "has no camera".to_owned(),
                    "a model is learned from pictures: give a data set with some",
                )
            })?,
        };
        let action = info.features.get(layout::ACTION).ok_or_else(|| {
            field(
                "features",
                "has no `action`".to_owned(),
                "give a data set with actions",
            )
        })?;
        let width = match action.shape.as_slice() {
            &[width] if (1..=MAX_JOINTS).contains(&width) => width,
            shape => {
                let problem = format!("has the shape {shape:?}");
                let remedy = format!("one to {MAX_JOINTS} joints can be driven");
                return Err(field("features.action", problem, &remedy));
            }
        };
        let mut names = action.element_names();
        if names.len() != width {
            names = (0..width).map(|index| format!("joint-{index}")).collect();
        }
        let own = layout::own_path(root);
        let own: Option<Own> = if own.exists() {
            Some(read_json(&own)?)
        } else {
            None
        };
        let robot_text = match &own {
            Some(_) => {
                let path = layout::robot_path(root);
                let text = std::fs::read_to_string(&path);
                Some(text.map_err(|error| DatasetError::io(&path, "cannot read", error))?)
            }
            None => None,
        };
        let mut dataset = Self {
            root: root.to_owned(),
            camera,
            own,
            robot_text,
            actuators: Vec::new(),
            tasks: tasks(&layout::tasks_path(root))?,
            info,
        };
        dataset.actuators = dataset.ranges(names)?;
        Ok(dataset)
    }

    /// What the logs say of themselves. Joint mapping and file hash are the caller's to fill in for data that is not an export
    /// of ours.
    pub fn info(&self) -> EpisodeInfo {
        match &self.own {
            Some(own) => own.clone().info(),
            None => EpisodeInfo {
                robot: self
                    .info
                    .robot_type
                    .clone()
                    .unwrap_or_else(|| "lerobot".to_owned()),
                policy: "lerobot".to_owned(),
                pipeline: "immediate".to_owned(),
                period_s: (1.0 / self.info.fps) as f32,
                joint_names: self
                    .actuators
                    .iter()
                    .map(|actuator| actuator.name.clone())
                    .collect(),
                reward_source: if self.info.features.contains_key(layout::NEXT_REWARD) {
                    "next.reward"
                } else {
                    "none"
                }
                .to_owned(),
                ..EpisodeInfo::default()
            },
        }
    }

    /// The robot file that an export of ours carries.
    pub fn robot_text(&self) -> Option<&str> {
        self.robot_text.as_deref()
    }

    /// Joints, and the ranges their goals have in the data: what -1 and 1 are to be.
    pub fn actuators(&self) -> &[Actuator] {
        &self.actuators
    }

    /// Writes the episodes as run logs into `out`, those of others with `last` for the reward after the last frame. `done`
    /// hears of the rows read.
    ///
    /// # Errors
    /// [`DatasetError`]; the logs written until then are whole.
    pub fn import(
        &self,
        out: &Path,
        source: &Source,
        last: LastReward,
        done: &mut dyn FnMut(u64),
    ) -> Result<Imported, DatasetError> {
        let mut imported = Imported::default();
        let mut open: Option<Recording> = None;
        let mut video = Video::open(
            &self.root,
            &self.camera,
            self.info.features[&self.camera].dtype == "video",
            self.info.fps,
        )?;
        for path in self.data_files()? {
            for batch in columns::open(&path, None)? {
                let batch = batch.map_err(|error| DatasetError::parquet(&path, error.into()))?;
                let rows = Rows { path: &path, batch };
                for row in 0..rows.len() {
                    let episode = rows.integer(layout::EPISODE, row)? as u64;
                    if open.as_ref().is_some_and(|recording| recording.index != episode) {
                        self.close(&mut open, out, source, last, &mut imported)?;
                    }
                    let recording = match &mut open {
                        Some(recording) => recording,
                        none => {
                            video.start(episode)?;
                            none.insert(Recording {
                                index: episode,
                                task: self.task(&rows, row)?,
                                steps: Vec::new(),
                            })
                        }
                    };
                    let frame = match video.next()? {
                        Some(frame) => frame,
                        None => picture::decode(&path, &self.camera, rows.picture(&self.camera, row)?)?,
                    };
                    let step = self.step(&rows, row, frame, recording.steps.last())?;
                    recording.steps.push(step);
                }
                done(rows.len() as u64);
            }
        }
        self.close(&mut open, out, source, last, &mut imported)?;
        Ok(imported)
    }

    fn close(
        &self,
        open: &mut Option<Recording>,
        out: &Path,
        source: &Source,
        last: LastReward,
        imported: &mut Imported,
    ) -> Result<(), DatasetError> {
        let Some(mut recording) = open.take() else {
            return Ok(());
        };
        // `next.reward` belongs to the frame after.
        if self.own.is_none() && rewards_to_next(&mut recording.steps, last) {
            imported.last_rewards += 1;
        }
        let out = &self.folder(out, &recording.task);
        let mut policies = self.own.iter().flat_map(|own| &own.policies);
        match policies.nth(recording.index as usize) {
            None => imported.write(out, source, &recording),
            Some(policy) => {
                let mut source = source.clone();
                source.info.policy.clone_from(policy);
                imported.write(out, &source, &recording)
            }
        }
    }

    /// Where the logs of `task` go: of several tasks, each has a folder of its own, as training takes them.
    fn folder(&self, out: &Path, task: &str) -> PathBuf {
        if self.tasks.len() < 2 {
            return out.to_owned();
        }
        let number = self
            .tasks
            .values()
            .position(|other| other == task)
            .unwrap_or_default();
        let words: Vec<String> = task
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let name: String = words.join("-").chars().take(60).collect();
        out.join(format!("{number}-{name}"))
    }

    fn task(&self, rows: &Rows<'_>, row: usize) -> Result<String, DatasetError> {
        let number = rows.integer(layout::TASK, row)?;
        self.tasks.get(&number).cloned().ok_or_else(|| {
            let problem = format!("{number} is not in meta/tasks.parquet");
            DatasetError::field(rows.path, layout::TASK, problem, "fetch the data set again")
        })
    }

    fn step(
        &self,
        rows: &Rows<'_>,
        row: usize,
        frame: Frame,
        before: Option<&Step>,
    ) -> Result<Step, DatasetError> {
        let width = self.actuators.len();
        let vector = |name: &str, width: usize| self.vector(rows, row, name, width);
        let goal = vector(layout::ACTION, width)?;
        if self.own.is_some() {
            return Ok(Step {
                frame,
                reward: vector(layout::REWARD, 1)?[0],
                position_rad: vector(layout::STATE, width)?,
                velocity_rad_s: vector(layout::VELOCITY, width)?,
                action: vector(layout::SENT_ACTION, width)?,
                set_point_rad: goal,
                sent: rows.flag(layout::SENT, row)?,
            });
        }
        let reward = if rows.has(layout::NEXT_REWARD) {
            vector(layout::NEXT_REWARD, 1)?[0]
        } else {
            0.0
        };
        // What is not one number a joint (a whole scene, say) is no joint position.
        let measured = self.info.features.get(layout::STATE);
        let position_rad = if measured.is_some_and(|feature| feature.shape == [width]) {
            vector(layout::STATE, width)?
        } else {
            goal.clone()
        };
        let velocity_rad_s = match before {
            Some(before) => position_rad
                .iter()
                .zip(&before.position_rad)
                .map(|(now, then)| ((f64::from(*now) - f64::from(*then)) * self.info.fps) as f32)
                .collect(),
            None => joint::zeros(width),
        };
        let action = goal
            .iter()
            .zip(&self.actuators)
            .map(|(goal, actuator)| {
                let (middle, half) = (
                    0.5 * (actuator.low + actuator.high),
                    0.5 * (actuator.high - actuator.low),
                );
                ((goal - middle) / half).clamp(-1.0, 1.0)
            })
            .collect();
        Ok(Step {
            frame,
            reward,
            position_rad,
            velocity_rad_s,
            action,
            set_point_rad: goal,
            sent: true,
        })
    }

    /// A vector of `width` finite numbers.
    fn vector(
        &self,
        rows: &Rows<'_>,
        row: usize,
        name: &str,
        width: usize,
    ) -> Result<JointVec, DatasetError> {
        let values = rows.vector(name, row)?;
        let refuse = |problem: String| {
            let remedy = "leave that episode out of the data set, or repair it";
            DatasetError::field(rows.path, name, problem, remedy)
        };
        let place = || -> Result<String, DatasetError> {
            let episode = rows.integer(layout::EPISODE, row)?;
            let frame = rows.integer(layout::FRAME, row)?;
            Ok(format!("episode {episode}, frame {frame}"))
        };
        if values.len() != width {
            return Err(refuse(format!(
                "{}: {} numbers, not {width}",
                place()?,
                values.len()
            )));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(refuse(format!("{}: {value}", place()?)));
        }
        Ok(values.into_iter().collect())
    }

    fn data_files(&self) -> Result<Vec<PathBuf>, DatasetError> {
        let data = self.root.join("data");
        let mut files = Vec::new();
        for chunk in sorted(&data)? {
            files.extend(
                sorted(&chunk)?
                    .into_iter()
                    .filter(|path| path.extension().is_some_and(|extension| extension == "parquet")),
            );
        }
        if files.is_empty() {
            return Err(DatasetError::Empty {
                path: data,
                what: "no .parquet file is here",
            });
        }
        Ok(files)
    }

    fn ranges(&self, names: Vec<String>) -> Result<Vec<Actuator>, DatasetError> {
        let mut actuators: Vec<Actuator> = names
            .into_iter()
            .map(|name| Actuator {
                name,
                low: f32::INFINITY,
                high: f32::NEG_INFINITY,
            })
            .collect();
        for path in self.data_files()? {
            let columns = [layout::ACTION, layout::EPISODE, layout::FRAME];
            for batch in columns::open(&path, Some(&columns))? {
                let batch = batch.map_err(|error| DatasetError::parquet(&path, error.into()))?;
                let rows = Rows { path: &path, batch };
                for row in 0..rows.len() {
                    let goal = self.vector(&rows, row, layout::ACTION, actuators.len())?;
                    for (actuator, value) in actuators.iter_mut().zip(goal) {
                        actuator.low = actuator.low.min(value);
                        actuator.high = actuator.high.max(value);
                    }
                }
            }
        }
        for actuator in &mut actuators {
            if !(actuator.low < actuator.high) {
                // A joint that never moved: any range will do.
                (actuator.low, actuator.high) = (actuator.low - 0.5, actuator.low + 0.5);
            }
        }
        Ok(actuators)
    }
}
