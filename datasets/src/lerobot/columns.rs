//! Columns of Parquet files, by name, as the numbers and texts that they hold, whichever types they are stored in.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, LargeBinaryArray, LargeListArray, LargeStringArray, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::footer;
use crate::DatasetError;
use crate::folder;

/// Rows read at a time. Pictures take most of their memory.
const ROWS: usize = 256;

/// The rows of a file, in batches, with `columns` of it; `None` reads all. Columns that the file lacks are left out.
///
/// # Errors
/// [`DatasetError`] if the file cannot be read, is cut off or is no Parquet; likewise of each batch.
pub(super) fn batches<'a>(
    path: &'a Path,
    columns: Option<&[&str]>,
) -> Result<impl Iterator<Item = Result<Rows<'a>, DatasetError>>, DatasetError> {
    let builder = builder(path)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(columns) => {
            let schema = builder.schema();
            let wanted = columns.iter().filter_map(|name| schema.index_of(name).ok());
            ProjectionMask::roots(builder.parquet_schema(), wanted)
        }
    };
    let reader = guarded(path, || {
        builder.with_projection(mask).with_batch_size(ROWS).build()
    })?;
    let mut next = 0;
    let mut reader = reader;
    let next_batch = move || guarded(path, || reader.next().transpose().map_err(Into::into)).transpose();
    Ok(std::iter::from_fn(next_batch).map(move |batch| {
        let batch = batch?;
        let first = next;
        next += batch.num_rows() as u32;
        Ok(Rows { path, batch, first })
    }))
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, DatasetError> {
    let mut file = folder::open(path)?;
    footer::check(&mut file)
        .map_err(|problem| DatasetError::field(path, "whole file", problem, "fetch it again"))?;
    guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))
}

/// What the Parquet library makes of a file. It panics on some damaged files, which is the file's fault here.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DatasetError> {
    match files::guarded(read) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) if folder::is_lfs_pointer(path) => Err(DatasetError::field(
            path,
            "whole file",
            "is a Git LFS pointer and no Parquet: its contents were not fetched, or the copy was cut off",
            "fetch it with `git lfs pull`, or with the `hf` program",
        )),
        Ok(Err(error)) if error.to_string().contains("Disabled feature") => Err(DatasetError::field(
            path,
            "compression",
            "is a method that this program does not read",
            "write the file with zstd, snappy, gzip or lz4",
        )),
        Ok(Err(source)) => Err(DatasetError::parquet(path, source)),
        Err(_) => Err(DatasetError::field(
            path,
            "whole file",
            "is damaged: its description of itself cannot be",
            "fetch it again",
        )),
    }
}

/// The names of the columns of a file.
pub(super) fn names(path: &Path) -> Result<Vec<String>, DatasetError> {
    Ok(builder(path)?
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect())
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

/// A batch of rows and the file that they came from.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) path: &'a Path,
    batch: RecordBatch,
    /// Place of the first row in the file.
    pub(super) first: u32,
}

/// A column of vectors, read as numbers of 32 bits.
#[derive(Debug)]
pub(super) struct Vectors {
    name: String,
    values: ArrayRef,
    /// The elements of `values` in each row, or `None` where the row is null.
    ranges: Vec<Option<std::ops::Range<usize>>>,
}

impl Vectors {
    /// The vector in a row, or what is wrong with it. Numbers may be infinite or no number.
    pub(super) fn row(&self, row: usize) -> Result<&[f32], String> {
        let lacking = || format!("{} lacks a number", self.name);
        let range = self.ranges[row].clone().ok_or_else(lacking)?;
        if range.clone().any(|at| self.values.is_null(at)) {
            return Err(lacking());
        }
        Ok(&self.values.as_primitive::<Float32Type>().values()[range])
    }

    /// The vector in a row, if it has `width` finite numbers.
    pub(super) fn finite(&self, row: usize, width: usize) -> Result<&[f32], String> {
        let values = self.row(row)?;
        if values.len() != width {
            return Err(format!("{} has {} numbers, not {width}", self.name, values.len()));
        }
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("{} is {value}", self.name)),
            None => Ok(values),
        }
    }
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
            let remedy = "give a data set that has this column, or fetch it again";
            DatasetError::field(self.path, name, "is missing", remedy)
        })
    }

    /// The column as `wanted`. A number that `wanted` cannot hold is refused.
    fn cast(&self, name: &str, wanted: &DataType, plainly: &str) -> Result<ArrayRef, DatasetError> {
        let column = self.column(name)?;
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(column, wanted, &options).map_err(|error| {
            let (first, last) = (self.first, self.first as usize + self.len().saturating_sub(1));
            let kind = column.data_type();
            let problem =
                format!("holds {kind}, which in a row from {first} to {last} is not {plainly}: {error}");
            let remedy = format!("store {plainly} in it, as LeRobot does");
            DatasetError::field(self.path, name, problem, remedy)
        })
    }

    /// The column as lists of `item`.
    fn lists(&self, name: &str, item: &DataType, plainly: &str) -> Result<LargeListArray, DatasetError> {
        let wanted = DataType::LargeList(Arc::new(Field::new("item", item.clone(), true)));
        Ok(self.cast(name, &wanted, plainly)?.as_list::<i64>().clone())
    }

    fn refuse(&self, name: &str, plainly: &str) -> DatasetError {
        let held = self
            .batch
            .column_by_name(name)
            .map(|column| column.data_type().to_string());
        let problem = format!("holds {}, not {plainly}", held.unwrap_or_default());
        DatasetError::field(
            self.path,
            name,
            problem,
            format!("store {plainly} in it, as LeRobot does"),
        )
    }

    /// Whole numbers of any width; `None` where a row has none. Whole numbers that are stored as fractions count.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<Option<i64>>, DatasetError> {
        const PLAINLY: &str = "a whole number";
        let kind = self.column(name)?.data_type().clone();
        if list_item(&kind).is_some_and(DataType::is_integer) {
            let lists = self.lists(name, &DataType::Int64, PLAINLY)?;
            let first = |list: ArrayRef| {
                let values = list.as_primitive::<Int64Type>();
                (values.len() == 1 && values.is_valid(0)).then(|| values.value(0))
            };
            return Ok(lists.iter().map(|list| list.and_then(first)).collect());
        }
        if !plain(&kind).is_numeric() {
            return Err(self.refuse(name, PLAINLY));
        }
        if plain(&kind).is_floating() {
            let values = self.numbers(name)?;
            let whole = values.iter().enumerate().map(|(row, value)| match value {
                // Whole numbers beyond 2^53 have no exact form here.
                Some(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => Ok(Some(*value as i64)),
                Some(value) => {
                    let row = self.first as usize + row;
                    let problem = format!("row {row} holds {value}, which is not {PLAINLY}");
                    let remedy = format!("store {PLAINLY} in it, as LeRobot does");
                    Err(DatasetError::field(self.path, name, problem, remedy))
                }
                None => Ok(None),
            });
            return whole.collect();
        }
        let cast = self.cast(name, &DataType::Int64, PLAINLY)?;
        Ok(cast.as_primitive::<Int64Type>().iter().collect())
    }

    /// Numbers; `None` where a row has none.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, DatasetError> {
        const PLAINLY: &str = "a number";
        let kind = self.column(name)?.data_type();
        if list_item(kind).is_some_and(DataType::is_numeric) {
            let lists = self.lists(name, &DataType::Float64, PLAINLY)?;
            let first = |list: ArrayRef| {
                let values = list.as_primitive::<Float64Type>();
                (values.len() == 1 && values.is_valid(0)).then(|| values.value(0))
            };
            return Ok(lists.iter().map(|list| list.and_then(first)).collect());
        }
        if !plain(kind).is_numeric() {
            return Err(self.refuse(name, PLAINLY));
        }
        let cast = self.cast(name, &DataType::Float64, PLAINLY)?;
        Ok(cast.as_primitive::<Float64Type>().iter().collect())
    }

    /// Texts of any type; an empty text where a row has none.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, DatasetError> {
        const PLAINLY: &str = "text";
        let kind = self.column(name)?.data_type();
        if !is_text(plain(kind)) {
            return Err(self.refuse(name, PLAINLY));
        }
        let cast = self.cast(name, &DataType::LargeUtf8, PLAINLY)?;
        let texts: &LargeStringArray = cast.as_string();
        Ok(texts
            .iter()
            .map(|text| text.unwrap_or_default().to_owned())
            .collect())
    }

    /// Lists of texts, as the episodes table has for tasks. A plain text is a list of one.
    pub(super) fn text_lists(&self, name: &str) -> Result<Vec<Vec<String>>, DatasetError> {
        const PLAINLY: &str = "a list of texts";
        let kind = self.column(name)?.data_type();
        match list_item(kind) {
            None => Ok(self.texts(name)?.into_iter().map(|text| vec![text]).collect()),
            Some(item) if !is_text(plain(item)) && *item != DataType::Null => Err(self.refuse(name, PLAINLY)),
            Some(_) => {
                let lists = self.lists(name, &DataType::LargeUtf8, PLAINLY)?;
                let texts = |list: ArrayRef| -> Vec<String> {
                    let texts: &LargeStringArray = list.as_string();
                    texts.iter().flatten().map(str::to_owned).collect()
                };
                Ok(lists
                    .iter()
                    .map(|list| list.map(texts).unwrap_or_default())
                    .collect())
            }
        }
    }

    /// Flags, as booleans or as lists of one; `None` where a row has none.
    pub(super) fn flags(&self, name: &str) -> Result<Vec<Option<bool>>, DatasetError> {
        let column = self.column(name)?;
        if let Some(values) = column.as_boolean_opt() {
            return Ok(values.iter().collect());
        }
        match list_item(column.data_type()) {
            Some(DataType::Boolean) => {
                let lists = self.lists(name, &DataType::Boolean, "a flag")?;
                let first = |list: ArrayRef| {
                    let flags = list.as_boolean();
                    (flags.len() == 1 && flags.is_valid(0)).then(|| flags.value(0))
                };
                Ok(lists.iter().map(|list| list.and_then(first)).collect())
            }
            _ if plain(column.data_type()).is_integer() => {
                let values = self.integers(name)?;
                match values.iter().flatten().find(|value| !matches!(value, 0 | 1)) {
                    None => Ok(values
                        .into_iter()
                        .map(|value| value.map(|value| value == 1))
                        .collect()),
                    Some(_) => Err(self.refuse(name, "a flag (boolean)")),
                }
            }
            _ => Err(self.refuse(name, "a flag (boolean)")),
        }
    }

    /// Vectors of numbers, of any type. A column of numbers holds vectors of one.
    pub(super) fn vectors(&self, name: &str) -> Result<Vectors, DatasetError> {
        const PLAINLY: &str = "a vector of numbers";
        let column = self.column(name)?;
        let (values, ranges) = match list_item(column.data_type()) {
            None if plain(column.data_type()).is_numeric() || *column.data_type() == DataType::Boolean => {
                let ranges = (0..self.len()).map(|row| column.is_valid(row).then_some(row..row + 1));
                (
                    self.cast(name, &DataType::Float32, PLAINLY)?,
                    ranges.collect::<Vec<_>>(),
                )
            }
            Some(item) if plain(item).is_numeric() => {
                let lists = self.lists(name, &DataType::Float32, PLAINLY)?;
                let ranges = lists.value_offsets().windows(2).enumerate();
                let ranges = ranges
                    .map(|(row, ends)| lists.is_valid(row).then_some(ends[0] as usize..ends[1] as usize))
                    .collect();
                (Arc::clone(lists.values()), ranges)
            }
            _ => return Err(self.refuse(name, PLAINLY)),
        };
        Ok(Vectors {
            name: name.to_owned(),
            values,
            ranges,
        })
    }

    /// The bytes of encoded pictures: a struct of `bytes` and `path`, as the `datasets` library stores them. `None` where a row
    /// has no picture in it.
    pub(super) fn pictures(&self, name: &str) -> Result<LargeBinaryArray, DatasetError> {
        let refuse = || self.refuse(name, "an encoded picture (a struct with `bytes`)");
        let column = self.column(name)?;
        let bytes = column
            .as_struct_opt()
            .and_then(|fields| fields.column_by_name("bytes"))
            .ok_or_else(refuse)?;
        let binary = matches!(
            bytes.data_type(),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        );
        if !binary && *bytes.data_type() != DataType::Null {
            return Err(refuse());
        }
        let cast = arrow_cast::cast(bytes, &DataType::LargeBinary).map_err(|_| refuse())?;
        Ok(cast.as_binary::<i64>().clone())
    }
}

/// The type of what a dictionary stands for, or the type itself.
fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, value) => value,
        kind => kind,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn list_item(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}
