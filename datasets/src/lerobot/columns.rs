//! Columns of Parquet files, by name.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::DatasetError;

/// Rows read at a time: pictures are the bulk of them.
const ROWS: usize = 256;

/// Opens a file to read `columns` of it; `None` reads all. Columns the file lacks are left out.
pub(super) fn open(path: &Path, columns: Option<&[&str]>) -> Result<ParquetRecordBatchReader, DatasetError> {
    let file = files::open(path).map_err(|error| DatasetError::io(path, "cannot read", error))?;
    let refuse = |source| DatasetError::parquet(path, source);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(refuse)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(columns) => {
            let schema = builder.schema();
            let wanted = columns.iter().filter_map(|name| schema.index_of(name).ok());
            ProjectionMask::roots(builder.parquet_schema(), wanted)
        }
    };
    builder
        .with_projection(mask)
        .with_batch_size(ROWS)
        .build()
        .map_err(refuse)
}

/// A writer of rows of `schema`, compressed.
pub(super) fn create(path: &Path, schema: &Arc<Schema>) -> Result<ArrowWriter<File>, DatasetError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| DatasetError::io(parent, "cannot make the folder", error))?;
    }
    let file = File::create_new(path).map_err(|error| DatasetError::io(path, "cannot write", error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
        .map_err(|source| DatasetError::parquet(path, source))
}

/// A batch of rows and the file they came from.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) path: &'a Path,
    pub(super) batch: RecordBatch,
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.batch.column_by_name(name).is_some()
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, DatasetError> {
        self.batch.column_by_name(name).ok_or_else(|| {
            let problem = "is missing";
            DatasetError::field(self.path, name, problem, "give a data set that has this column")
        })
    }

    fn refuse(&self, name: &str, kind: &DataType) -> DatasetError {
        let problem = format!("holds {kind}");
        DatasetError::field(
            self.path,
            name,
            problem,
            "convert it to numbers in 32 bits, as LeRobot has them",
        )
    }

    pub(super) fn integer(&self, name: &str, row: usize) -> Result<i64, DatasetError> {
        let column = self.column(name)?;
        match column.as_primitive_opt::<Int64Type>() {
            Some(values) if values.is_valid(row) => Ok(values.value(row)),
            _ => Err(self.refuse(name, column.data_type())),
        }
    }

    pub(super) fn text(&self, name: &str, row: usize) -> Result<String, DatasetError> {
        let column = self.column(name)?;
        column
            .as_string_opt::<i32>()
            .map(|values| values.value(row).to_owned())
            .or_else(|| {
                column
                    .as_string_opt::<i64>()
                    .map(|values| values.value(row).to_owned())
            })
            .ok_or_else(|| self.refuse(name, column.data_type()))
    }

    /// A flag, as a boolean or as a list of one.
    pub(super) fn flag(&self, name: &str, row: usize) -> Result<bool, DatasetError> {
        let column = self.element(name, row)?;
        let at = usize::from(column.0) * row;
        match column.1.as_boolean_opt() {
            Some(values) if at < values.len() && values.is_valid(at) => Ok(values.value(at)),
            _ => Err(self.refuse(name, column.1.data_type())),
        }
    }

    /// A vector, or a number as a vector of one.
    pub(super) fn vector(&self, name: &str, row: usize) -> Result<Vec<f32>, DatasetError> {
        let (whole, values) = self.element(name, row)?;
        let range = if whole { row..row + 1 } else { 0..values.len() };
        if range.clone().any(|at| values.is_null(at)) {
            let problem = format!("row {row} lacks a number");
            let remedy = "leave that episode out of the data set, or repair it";
            return Err(DatasetError::field(self.path, name, problem, remedy));
        }
        if let Some(values) = values.as_primitive_opt::<Float32Type>() {
            return Ok(values.values()[range].to_vec());
        }
        if let Some(values) = values.as_primitive_opt::<Float64Type>() {
            return Ok(values.values()[range].iter().map(|&value| value as f32).collect());
        }
        if let Some(values) = values.as_primitive_opt::<Int64Type>() {
            return Ok(values.values()[range].iter().map(|&value| value as f32).collect());
        }
        Err(self.refuse(name, values.data_type()))
    }

    /// The column as it is (`true`), or the list that its row holds.
    fn element(&self, name: &str, row: usize) -> Result<(bool, ArrayRef), DatasetError> {
        let column = self.column(name)?;
        if let Some(list) = column.as_fixed_size_list_opt() {
            return Ok((false, list.value(row)));
        }
        if let Some(list) = column.as_list_opt::<i32>() {
            return Ok((false, list.value(row)));
        }
        if let Some(list) = column.as_list_opt::<i64>() {
            return Ok((false, list.value(row)));
        }
        Ok((true, Arc::clone(column)))
    }

    /// The bytes of an encoded picture: a struct of `bytes` and `path`, as the `datasets` library stores them.
    pub(super) fn picture(&self, name: &str, row: usize) -> Result<&[u8], DatasetError> {
        let column = self.column(name)?;
        let bytes = column
            .as_struct_opt()
            .and_then(|fields| fields.column_by_name("bytes"))
            .ok_or_else(|| self.refuse(name, column.data_type()))?;
        let found = bytes
            .as_binary_opt::<i32>()
            .map(|values| (values.is_valid(row), values.value(row)))
            .or_else(|| {
                bytes
                    .as_binary_opt::<i64>()
                    .map(|values| (values.is_valid(row), values.value(row)))
            });
        match found {
            Some((true, bytes)) if !bytes.is_empty() => Ok(bytes),
            Some(_) => Err(DatasetError::field(
                self.path,
                name,
                format!("row {row} has no picture in it"),
                "give a data set whose pictures are embedded",
            )),
            None => Err(self.refuse(name, bytes.data_type())),
        }
    }
}
