//! The tables beside the frames: tasks and episodes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;

use crate::DatasetError;
use crate::lerobot::columns;
use crate::lerobot::layout;

/// Tasks as pandas has them: the text is the index.
pub(super) fn write_tasks(path: &Path, tasks: &[String]) -> Result<(), DatasetError> {
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

pub(super) fn write_episodes(
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

pub(super) fn write_one(
    path: &Path,
    schema: &Arc<Schema>,
    arrays: Vec<ArrayRef>,
) -> Result<(), DatasetError> {
    let refuse = |source| DatasetError::parquet(path, source);
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|error| refuse(error.into()))?;
    let mut writer = columns::create(path, schema)?;
    writer.write(&batch).map_err(refuse)?;
    writer.close().map_err(refuse)?;
    Ok(())
}
