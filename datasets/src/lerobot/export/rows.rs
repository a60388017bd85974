//! Rows of frames, as LeRobot's Parquet files have them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use episode::TickRecord;
use robot::Frame;

use crate::lerobot::layout;
use crate::{DatasetError, picture};

/// Where a row belongs.
pub(super) struct Place {
    pub(super) episode: usize,
    pub(super) frame: usize,
    pub(super) index: u64,
    pub(super) task: usize,
    pub(super) timestamp_s: f64,
    /// NaN where nobody gave one.
    pub(super) next_reward: f32,
    pub(super) done: bool,
}

/// A vector; LeRobot has those of one number as that number.
pub(super) fn vector_field(name: &str, joints: usize) -> Field {
    if joints == 1 {
        return Field::new(name, DataType::Float32, false);
    }
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    Field::new(name, DataType::FixedSizeList(item, joints as i32), false)
}

pub(super) fn picture_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

/// The columns; those of rewards only where a reward is given.
pub(super) fn data_schema(joints: usize, rewarded: bool) -> Arc<Schema> {
    let mut fields = vec![
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
    ];
    fields
        .retain(|field| rewarded || ![layout::NEXT_REWARD, layout::REWARD].contains(&field.name().as_str()));
    Arc::new(Schema::new(fields))
}

/// Rows of one episode.
pub(super) struct DataRows {
    joints: usize,
    vectors: [FixedSizeListBuilder<Float32Builder>; 4],
    pictures: BinaryBuilder,
    paths: StringBuilder,
    numbers: [Float32Builder; 3],
    flags: [BooleanBuilder; 2],
    indices: [Int64Builder; 4],
}

impl DataRows {
    pub(super) fn new(joints: usize) -> Self {
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

    pub(super) fn push(
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
        let numbers = [
            place.next_reward,
            tick.capture.reward.unwrap_or(f32::NAN),
            place.timestamp_s as f32,
        ];
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

    pub(super) fn finish(mut self, schema: &Arc<Schema>, path: &Path) -> Result<RecordBatch, DatasetError> {
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
        let mut columns: Vec<ArrayRef> = vec![
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
        if schema.field_with_name(layout::REWARD).is_err() {
            // In the order above: `armillary.reward`, then `next.reward`.
            columns.remove(7);
            columns.remove(4);
        }
        RecordBatch::try_new(Arc::clone(schema), columns)
            .map_err(|error| DatasetError::parquet(path, error.into()))
    }
}
