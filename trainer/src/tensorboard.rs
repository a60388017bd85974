//! TensorBoard event files: TFRecord framing around protobuf events, scalars and PNG images.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

/// `tensorflow.Event`, the fields used.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`, the fields used.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
    #[prost(message, optional, tag = "5")]
    histo: Option<Histogram>,
}

/// `tensorflow.HistogramProto`.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// Appends events to one file.
#[derive(Debug)]
pub struct EventWriter {
    out: BufWriter<File>,
}

impl EventWriter {
    /// Makes `events.out.tfevents.<seconds>.armillary` in `dir`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Nanoseconds too: a resumed run within the same second is another file.
        let name = format!(
            "events.out.tfevents.{:010}.{:09}.armillary",
            now.as_secs(),
            now.subsec_nanos()
        );
        let mut writer = Self {
            out: BufWriter::new(File::create_new(dir.join(name))?),
        };
        writer.write(&Event {
            file_version: Some("brain.Event:2".to_owned()),
            ..event(0)
        })?;
        Ok(writer)
    }

    /// One scalar a name.
    ///
    /// # Errors
    /// What the file system says.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        scalars: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> std::io::Result<()> {
        let value = scalars
            .into_iter()
            .map(|(tag, value)| Value {
                tag: tag.to_owned(),
                simple_value: Some(value as f32),
                ..Value::default()
            })
            .collect();
        self.write(&Event {
            summary: Some(Summary { value }),
            ..event(step)
        })
    }

    /// The distribution of `values` under `tag`, in 30 buckets of one width.
    ///
    /// # Errors
    /// What the file system says.
    pub fn histogram(&mut self, step: u64, tag: &str, values: &[f32]) -> std::io::Result<()> {
        const BUCKETS: usize = 30;
        let finite = || {
            values
                .iter()
                .filter(|value| value.is_finite())
                .map(|&value| f64::from(value))
        };
        let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if min > max {
            return Ok(());
        }
        let width = ((max - min) / BUCKETS as f64).max(1e-12);
        let mut bucket = vec![0.0; BUCKETS];
        for value in finite() {
            bucket[(((value - min) / width) as usize).min(BUCKETS - 1)] += 1.0;
        }
        let histogram = Histogram {
            min,
            max,
            num: finite().count() as f64,
            sum: finite().sum(),
            sum_squares: finite().map(|value| value * value).sum(),
            bucket_limit: (1..=BUCKETS).map(|index| min + width * index as f64).collect(),
            bucket,
        };
        let value = vec![Value {
            tag: tag.to_owned(),
            histo: Some(histogram),
            ..Value::default()
        }];
        self.write(&Event {
            summary: Some(Summary { value }),
            ..event(step)
        })
    }

    /// A PNG, or an animated GIF, under `tag`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn picture(
        &mut self,
        step: u64,
        tag: &str,
        png: &[u8],
        width: u32,
        height: u32,
    ) -> std::io::Result<()> {
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: 3,
            encoded_image_string: png.to_vec(),
        };
        let value = vec![Value {
            tag: tag.to_owned(),
            image: Some(image),
            ..Value::default()
        }];
        self.write(&Event {
            summary: Some(Summary { value }),
            ..event(step)
        })
    }

    /// TFRecord: length, masked CRC of the length, payload, masked CRC of the payload.
    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let payload = event.encode_to_vec();
        let length = (payload.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked_crc(&length).to_le_bytes())?;
        self.out.write_all(&payload)?;
        self.out.write_all(&masked_crc(&payload).to_le_bytes())?;
        self.out.flush()
    }
}

fn event(step: u64) -> Event {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Event {
        wall_time: now.as_secs_f64(),
        step: step as i64,
        file_version: None,
        summary: None,
    }
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
