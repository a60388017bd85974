//! Run logs to a LeRobotDataset.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, ListBuilder,
    StringBuilder,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use episode::{Episode, TickRecord, list_runs, read_episode};
use parquet::arrow::ArrowWriter;
use robot::Frame;
use serde_json::{Map, Value, json};

use super::columns;
use super::layout::{self, Own};
use super::stats::Stats;
use crate::{DatasetError, picture};

/// What an export made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Episodes: unbroken stretches of the logs.
    pub episodes: usize,
    /// Frames in them.
    pub frames: u64,
    /// Logs that were read.
    pub logs: usize,
}

/// Writes the logs below `runs` as a LeRobotDataset into `out`, which must not exist. An episode of it is an unbroken stretch of
/// a log: what training would use. `done` hears of each log.
///
/// # Errors
/// [`DatasetError`]; what was written until then is left for a look.
pub fn export(runs: &Path, out: &Path, done: &mut dyn FnMut(usize, usize)) -> Result<Exported, DatasetError> {
    let logs = list_runs(runs)?;
    if out.exists() {
        let problem = std::io::ErrorKind::AlreadyExists.into();
        return Err(DatasetError::io(out, "exists; name another folder", problem));
    }
    let mut set = None;
    for (index, path) in logs.iter().enumerate() {
        let log = read_episode(path)?;
        let set = match &mut set {
            Some(set) => set,
            empty => empty.insert(Set::begin(out, &log)?),
        };
        set.check(&log)?;
        for stretch in log.stretches() {
            set.add(&log, stretch)?;
        }
        done(index + 1, logs.len());
    }
    let Some(set) = set.filter(|set| !set.lengths.is_empty()) else {
        return Err(DatasetError::Empty {
            path: runs.to_owned(),
            what: "no log here has two usable frames in a row",
        });
    };
    set.finish(logs.len())
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
    stats: [(&'static str, Stats); 8],
}

impl Set {
    fn begin(root: &Path, first: &Episode) -> Result<Self, DatasetError> {
        let joints = first.info.joint_names.len();
        let schema = data_schema(joints);
        let robot = first.attachments.iter().find(|(name, _)| name == "robot.ron");
        Ok(Self {
            root: root.to_owned(),
            own: Own::of(&first.info),
            robot_text: robot.map(|(_, text)| text.clone()).unwrap_or_default(),
            writer: columns::create(&layout::data_path(root, 0), &schema)?,
            schema,
            file: 0,
            tasks: Vec::new(),
            lengths: Vec::new(),
            frames: 0,
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
        let fields = [
            ("robot", &log.info.robot, own.robot.clone()),
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

    fn add(&mut self, log: &Episode, stretch: std::ops::Range<usize>) -> Result<(), DatasetError> {
        if self.writer.bytes_written() > layout::FILE_BYTES {
            self.file += 1;
            let path = layout::data_path(&self.root, self.file);
            let next = columns::create(&path, &self.schema)?;
            let full = std::mem::replace(&mut self.writer, next);
            full.close().map_err(|source| {
                DatasetError::parquet(&layout::data_path(&self.root, self.file - 1), source)
            })?;
        }
        let path = layout::data_path(&self.root, self.file);
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
            let next = ticks.get(index + 1);
            let place = Place {
                episode: self.lengths.len(),
                frame: index,
                index: self.frames + index as u64,
                task,
                // LeRobot's reader checks that frames are a period apart.
                timestamp_s: (tick.edge_ns - first_ns) as f64 * 1e-9,
                next_reward: next.map_or(0.0, |next| next.capture.reward),
                done: index + 2 >= ticks.len(),
            };
            rows.push(&path, tick, frame, &place)?;
            self.note(tick, frame, &place);
        }
        let batch = rows.finish(&self.schema, &path)?;
        self.writer
            .write(&batch)
            .and_then(|()| self.writer.flush())
            .map_err(|source| DatasetError::parquet(&path, source))?;
        self.lengths.push((ticks.len() as u64, self.file, task));
        self.own.policies.push(log.info.policy.clone());
        self.frames += ticks.len() as u64;
        Ok(())
    }

    fn note(&mut self, tick: &TickRecord, frame: &Frame, place: &Place) {
        for (name, stats) in &mut self.stats {
            let vector: &[f32] = match *name {
                layout::STATE => &tick.capture.position_rad,
                layout::VELOCITY => &tick.capture.velocity_rad_s,
                layout::ACTION => &tick.actuate.set_point_rad,
                layout::SENT_ACTION => &tick.actuate.action,
                layout::REWARD => &[tick.capture.reward],
                layout::NEXT_REWARD => &[place.next_reward],
                layout::CAMERA => {
                    stats.add_picture(frame.rgb());
                    continue;
                }
                _ => &[place.timestamp_s as f32],
            };
            stats.add(vector.iter().map(|&value| f64::from(value)));
        }
    }

    fn finish(self, logs: usize) -> Result<Exported, DatasetError> {
        let root = &self.root;
        let last = layout::data_path(root, self.file);
        self.writer
            .close()
            .map_err(|source| DatasetError::parquet(&last, source))?;
        write_tasks(&layout::tasks_path(root), &self.tasks)?;
        write_episodes(&layout::episodes_path(root), &self.lengths, &self.tasks)?;
        let info = layout::info(&self.own, self.lengths.len(), self.frames, self.tasks.len());
        layout::write_json(&layout::info_path(root), &info)?;
        let stats: Map<String, Value> = self
            .stats
            .iter()
            .map(|(name, stats)| ((*name).to_owned(), stats.json(*name == layout::CAMERA)))
            .collect();
        layout::write_json(&root.join("meta/stats.json"), &stats)?;
        layout::write_json(&layout::own_path(root), &self.own)?;
        let robot = layout::robot_path(root);
        std::fs::write(&robot, &self.robot_text)
            .map_err(|error| DatasetError::io(&robot, "cannot write", error))?;
        Ok(Exported {
            episodes: self.lengths.len(),
            frames: self.frames,
            logs,
        })
    }
}

/// Where a row belongs.
struct Place {
    episode: usize,
    frame: usize,
    index: u64,
    task: usize,
    timestamp_s: f64,
    next_reward: f32,
    done: bool,
}

/// A vector; LeRobot has those of one number as that number.
fn vector_field(name: &str, joints: usize) -> Field {
    if joints == 1 {
        return Field::new(name, DataType::Float32, false);
    }
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    Field::new(name, DataType::FixedSizeList(item, joints as i32), false)
}

fn picture_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

fn data_schema(joints: usize) -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        vector_field(layout::STATE, joints),
        vector_field(layout::VELOCITY, joints),
        Field::new(layout::CAMERA, DataType::Struct(picture_fields()), false),
        vector_field(layout::ACTION, joints),
        Field::new(layout::NEXT_REWARD, DataType::Float32, false),
        Field::new(layout::NEXT_DONE, DataType::Boolean, false),
        vector_field(layout::SENT_ACTION, joints),
        Field::new(layout::REWARD, DataType::Float32, false),
        Field::new(layout::SENT, DataType::Boolean, false),
        Field::new("timestamp", DataType::Float32, false),
        Field::new(layout::FRAME, DataType::Int64, false),
        Field::new(layout::EPISODE, DataType::Int64, false),
        Field::new("index", DataType::Int64, false),
        Field::new(layout::TASK, DataType::Int64, false),
    ]))
}

/// Rows of one episode.
struct DataRows {
    joints: usize,
    vectors: [FixedSizeListBuilder<Float32Builder>; 4],
    pictures: BinaryBuilder,
    paths: StringBuilder,
    numbers: [Float32Builder; 3],
    flags: [BooleanBuilder; 2],
    indices: [Int64Builder; 4],
}

impl DataRows {
    fn new(joints: usize) -> Self {
        let vector = || FixedSizeListBuilder::new(Float32Builder::new(), joints as i32);
        Self {
            joints,
            vectors: [vector(), vector(), vector(), vector()],
            pictures: BinaryBuilder::new(),
            paths: StringBuilder::new(),
            numbers: [(); 3].map(|()| Float32Builder::new()),
            flags: [(); 2].map(|()| BooleanBuilder::new()),
            indices: [(); 4].map(|()| Int64Builder::new()),
        }
    }

    fn push(
        &mut self,
        path: &Path,
        tick: &TickRecord,
        frame: &Frame,
        place: &Place,
    ) -> Result<(), DatasetError> {
        let vectors = [
            &tick.capture.position_rad,
            &tick.capture.velocity_rad_s,
            &tick.actuate.set_point_rad,
            &tick.actuate.action,
        ];
        for (builder, values) in self.vectors.iter_mut().zip(vectors) {
            // The last row of a log has no action; zeros, and `armillary.sent` says so.
            let given = values.iter().copied().chain(std::iter::repeat(0.0));
            builder.values().extend(given.take(self.joints).map(Some));
            builder.append(true);
        }
        self.pictures.append_value(picture::to_png(path, frame)?);
        self.paths.append_value(format!("frame-{:06}.png", place.frame));
        let numbers = [place.next_reward, tick.capture.reward, place.timestamp_s as f32];
        for (builder, value) in self.numbers.iter_mut().zip(numbers) {
            builder.append_value(value);
        }
        for (builder, value) in self.flags.iter_mut().zip([place.done, tick.actuate.sent]) {
            builder.append_value(value);
        }
        let indices = [
            place.frame as i64,
            place.episode as i64,
            place.index as i64,
            place.task as i64,
        ];
        for (builder, value) in self.indices.iter_mut().zip(indices) {
            builder.append_value(value);
        }
        Ok(())
    }

    fn finish(mut self, schema: &Arc<Schema>, path: &Path) -> Result<RecordBatch, DatasetError> {
        let joints = self.joints;
        let [state, velocity, action, sent_action] = self.vectors.each_mut().map(|builder| {
            let list = builder.finish();
            if joints == 1 {
                Arc::clone(list.values())
            } else {
                Arc::new(list) as ArrayRef
            }
        });
        let [next_reward, reward, timestamp] = self
            .numbers
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [done, sent] = self
            .flags
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [frame, episode, index, task] = self
            .indices
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let pictures: [ArrayRef; 2] = [Arc::new(self.pictures.finish()), Arc::new(self.paths.finish())];
        let camera = Arc::new(StructArray::new(picture_fields(), pictures.to_vec(), None));
        let columns: Vec<ArrayRef> = vec![
            state,
            velocity,
            camera,
            action,
            next_reward,
            done,
            sent_action,
            reward,
            sent,
            timestamp,
            frame,
            episode,
            index,
            task,
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
            .map_err(|error| DatasetError::parquet(path, error.into()))
    }
}

/// Tasks as pandas has them: the text is the index.
fn write_tasks(path: &Path, tasks: &[String]) -> Result<(), DatasetError> {
    let fields = vec![
        Field::new("task_index", DataType::Int64, false),
        Field::new("task", DataType::Utf8, false),
    ];
    let column = |name: &str, pandas: &str, numpy: &str| json!({"name": name, "field_name": name, "pandas_type": pandas, "numpy_type": numpy, "metadata": null});
    let pandas = json!({
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [column("task_index", "int64", "int64"), column("task", "unicode", "object")],
        "creator": {"library": "armillary", "version": env!("CARGO_PKG_VERSION")},
        "pandas_version": "2.0.0",
    });
    let metadata = HashMap::from([("pandas".to_owned(), pandas.to_string())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..tasks.len() as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(tasks));
    write_one(path, &schema, vec![numbers, texts])
}

fn write_episodes(
    path: &Path,
    lengths: &[(u64, usize, usize)],
    tasks: &[String],
) -> Result<(), DatasetError> {
    let names = [
        "episode_index",
        "length",
        "data/chunk_index",
        "data/file_index",
        "dataset_from_index",
        "dataset_to_index",
        "meta/episodes/chunk_index",
        "meta/episodes/file_index",
    ];
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let mut fields = vec![Field::new("tasks", DataType::List(item), false)];
    fields.extend(names.map(|name| Field::new(name, DataType::Int64, false)));
    let mut texts = ListBuilder::new(StringBuilder::new());
    let mut numbers: [Vec<i64>; 8] = Default::default();
    let mut from = 0;
    for (index, &(length, file, task)) in lengths.iter().enumerate() {
        texts.values().append_value(&tasks[task]);
        texts.append(true);
        let row = [
            index as i64,
            length as i64,
            (file / layout::CHUNK_FILES) as i64,
            (file % layout::CHUNK_FILES) as i64,
            from as i64,
            (from + length) as i64,
            0,
            0,
        ];
        for (column, value) in numbers.iter_mut().zip(row) {
            column.push(value);
        }
        from += length;
    }
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(texts.finish())];
    arrays.extend(numbers.map(|values| Arc::new(Int64Array::from(values)) as ArrayRef));
    write_one(path, &Arc::new(Schema::new(fields)), arrays)
}

fn write_one(path: &Path, schema: &Arc<Schema>, arrays: Vec<ArrayRef>) -> Result<(), DatasetError> {
    let refuse = |source| DatasetError::parquet(path, source);
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|error| refuse(error.into()))?;
    let mut writer = columns::create(path, schema)?;
    writer.write(&batch).map_err(refuse)?;
    writer.close().map_err(refuse)?;
    Ok(())
}
