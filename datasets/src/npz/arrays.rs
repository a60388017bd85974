//! Arrays of an `.npz` archive, believed only as far as their bytes are there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use image::RgbImage;
use npyz::{NpyFile, TypeChar};
use robot::Frame;
use zip::ZipArchive;

use super::refuse;
use crate::{DatasetError, folder, picture};

/// Names under which the pictures go.
const IMAGES: [&str; 2] = ["image", "observation"];

/// The largest array that is read, in bytes: a small archive can claim, and even unpack to, much more.
const LARGEST: u64 = 1 << 30;

/// The longest header of an array.
const LONGEST_HEADER: usize = 64 << 10;

/// An archive of arrays.
pub(super) struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<File>,
}

/// Numbers and the shape that they have.
pub(super) struct Floats {
    pub(super) shape: Vec<u64>,
    pub(super) values: Vec<f32>,
}

impl<'a> Archive<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DatasetError> {
        let file = folder::open(path)?;
        let zip = ZipArchive::new(file).map_err(|error| {
            refuse(
                path,
                "archive",
                format!("is no whole `.npz` archive, and may be cut off: {error}"),
            )
        })?;
        Ok(Self { path, zip })
    }

    fn refuse(&self, field: &str, problem: impl Into<String>) -> DatasetError {
        refuse(self.path, field, problem)
    }

    /// An array's bytes, with its header.
    fn entry(&mut self, name: &str) -> Result<Option<Vec<u8>>, DatasetError> {
        let path = self.path;
        let file = match self.zip.by_name(&format!("{name}.npy")) {
            Ok(file) => file,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(refuse(path, name, error.to_string())),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refuse(path, name, format!("cannot be unpacked: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(refuse(path, name, "has more than 1 GiB"));
        }
        Ok(Some(bytes))
    }

    /// Opens an array, if its header promises what its bytes hold.
    fn array<'b>(&self, name: &str, bytes: &'b [u8]) -> Result<NpyFile<&'b [u8]>, DatasetError> {
        let damaged = |error: std::io::Error| self.refuse(name, format!("is no sound array: {error}"));
        let header = match bytes {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => {
                10 + usize::from(u16::from_le_bytes([*low, *high]))
            }
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
                12 + u32::from_le_bytes([*a, *b, *c, *d]) as usize
            }
            _ => return Err(self.refuse(name, "is no array of numpy's (`.npy`)")),
        };
        if header > bytes.len().min(LONGEST_HEADER) {
            return Err(self.refuse(name, format!("has a header that promises {header} bytes")));
        }
        let array = NpyFile::new(bytes).map_err(damaged)?;
        let npyz::DType::Plain(kind) = array.dtype() else {
            return Err(self.refuse(name, "is no array of numbers"));
        };
        let size = kind.size_field();
        let promised = array
            .shape()
            .iter()
            .try_fold(size, |product, size| product.checked_mul(*size));
        let here = (bytes.len() - header) as u64;
        if promised != Some(here) {
            let problem = format!(
                "has the shape {:?} of {kind}, and {here} bytes that do not make it",
                array.shape()
            );
            return Err(self.refuse(name, problem));
        }
        // Numbers in another order in memory would come out scrambled.
        if array.order() != npyz::Order::C && array.shape().len() > 1 {
            let problem = "is stored column by column (Fortran order)";
            return Err(DatasetError::field(
                self.path,
                name,
                problem,
                "save it through `np.ascontiguousarray`",
            ));
        }
        Ok(array)
    }

    /// An array of numbers; `None` if there is none of this name.
    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Floats>, DatasetError> {
        let Some(bytes) = self.entry(name)? else {
            return Ok(None);
        };
        let array = self.array(name, &bytes)?;
        let shape = array.shape().to_vec();
        let npyz::DType::Plain(kind) = array.dtype() else {
            return Err(self.refuse(name, "is no array of numbers"));
        };
        let values = match (kind.type_char(), kind.size_field()) {
            (TypeChar::Float, 4) => array.into_vec::<f32>(),
            (TypeChar::Float, 8) => array
                .into_vec::<f64>()
                .map(|values| values.into_iter().map(|value| value as f32).collect()),
            _ => return Err(self.refuse(name, format!("holds {kind}, not float32 or float64"))),
        };
        let values = values.map_err(|error| self.refuse(name, error.to_string()))?;
        Ok(Some(Floats { shape, values }))
    }

    /// An array of flags, as booleans or as numbers that are 0 or 1; `None` if there is none of this name.
    pub(super) fn ends(&mut self, name: &str) -> Result<Option<Vec<bool>>, DatasetError> {
        let Some(bytes) = self.entry(name)? else {
            return Ok(None);
        };
        let array = self.array(name, &bytes)?;
        let npyz::DType::Plain(kind) = array.dtype() else {
            return Err(self.refuse(name, "is no array of flags"));
        };
        let numbers = match (kind.type_char(), kind.size_field()) {
            (TypeChar::Bool, _) => return self.flags(name),
            (TypeChar::Uint, 1) => array
                .into_vec::<u8>()
                .map(|values| values.into_iter().map(f32::from).collect()),
            (TypeChar::Int, 8) => array
                .into_vec::<i64>()
                .map(|values| values.into_iter().map(|value| value as f32).collect()),
            (TypeChar::Float, 4) => array.into_vec::<f32>(),
            _ => return Err(self.refuse(name, format!("holds {kind}, not bool"))),
        };
        let numbers: Vec<f32> = numbers.map_err(|error| self.refuse(name, error.to_string()))?;
        match numbers.iter().find(|number| **number != 0.0 && **number != 1.0) {
            Some(number) => Err(self.refuse(name, format!("holds {number}, which is no flag"))),
            None => Ok(Some(numbers.into_iter().map(|number| number == 1.0).collect())),
        }
    }

    /// An array of booleans; `None` if there is none of this name.
    pub(super) fn flags(&mut self, name: &str) -> Result<Option<Vec<bool>>, DatasetError> {
        let Some(bytes) = self.entry(name)? else {
            return Ok(None);
        };
        let array = self.array(name, &bytes)?;
        if let npyz::DType::Plain(kind) = array.dtype()
            && kind.type_char() != TypeChar::Bool
        {
            return Err(self.refuse(name, format!("holds {kind}, not bool")));
        }
        array
            .into_vec::<bool>()
            .map(Some)
            .map_err(|error| self.refuse(name, error.to_string()))
    }

    /// The pictures of the episode, as images of `side` x `side` pixels.
    pub(super) fn pictures(&mut self, side: usize) -> Result<Vec<Frame>, DatasetError> {
        let mut found = None;
        for name in IMAGES {
            if let Some(bytes) = self.entry(name)? {
                found = Some((name, bytes));
                break;
            }
        }
        let (name, bytes) = found.ok_or_else(|| self.refuse(IMAGES[0], "is missing"))?;
        let array = self.array(name, &bytes)?;
        let &[_, height @ 1..=65535, width @ 1..=65535, 3] = array.shape() else {
            return Err(self.refuse(name, format!("has the shape {:?}", array.shape())));
        };
        let (height, width) = (height as u32, width as u32);
        let kind = array.dtype().descr();
        let pixels = array
            .into_vec::<u8>()
            .map_err(|error| self.refuse(name, format!("holds {kind}, not uint8: {error}")))?;
        let size = height as usize * width as usize * 3;
        pixels
            .chunks_exact(size)
            .map(|pixels| {
                RgbImage::from_raw(width, height, pixels.to_vec())
                    .map(|picture| picture::square(&picture, side))
                    .ok_or_else(|| self.refuse(name, "has no pixels"))
            })
            .collect()
    }
}
