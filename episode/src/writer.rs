//! Writing an episode.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use mcap::records::{MessageHeader, Metadata};
use mcap::write::NoSeek;
use mcap::{McapError, WriteOptions};
use robot::Frame;

use crate::channel::Channel;
use crate::error::EpisodeError;
use crate::file::LogFile;
use crate::info::{EpisodeInfo, FORMAT_VERSION, INFO_RECORD};
use crate::message::{self, OtherImage, RecordMessage};
use crate::row::TickRecord;
use crate::sameness::{Pictures, Sameness};
use crate::schema;

/// Payload bytes gathered before a chunk is compressed and handed to the operating system: about five ticks, which is
/// what a crash can cost, and what a power cut can cost of a durable log.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// The largest attachment a log may carry, in bytes. Readers use it to tell a damaged length from a long record.
pub const MAX_ATTACHMENT_BYTES: usize = 16 * 1024 * 1024;

/// The largest picture of a camera's own that a log keeps, in bytes. A chunk with one is shorter than the longest record that a reader
/// believes in.
pub const MAX_PICTURE_BYTES: usize = 8 * 1024 * 1024;

/// A file to carry inside the log: name, media type and contents.
pub type Attachment<'a> = (&'a str, &'a str, &'a [u8]);

/// What a finished log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EpisodeSummary {
    /// Ticks written.
    pub ticks: u64,
    /// Frames written.
    pub frames: u64,
    /// Of these, how many have the camera's own picture beside them.
    pub camera_pictures: u64,
    /// Size of the log in bytes.
    pub bytes: u64,
    /// What its frames have in common.
    pub pictures: Pictures,
}

/// Writes one episode to `W`.
///
/// Memory is bounded by one chunk, apart from about 300 bytes of index a chunk. A chunk holds whole ticks and reaches
/// the operating system in one piece, so that whatever is on disk after a crash is readable up to the last whole
/// chunk. Dropping the writer writes the chunk at hand but no footer: only [`EpisodeWriter::finish`] makes a log
/// complete.
pub struct EpisodeWriter<W: Write = BufWriter<LogFile>> {
    // `None` only after `finish`.
    mcap: Option<mcap::Writer<NoSeek<W>>>,
    path: PathBuf,
    /// The file, if it is one.
    file: Option<LogFile>,
    joint_names: Vec<String>,
    channel_ids: [u16; Channel::ALL.len()],
    /// Of [`Channel::CaptureCamera`], from the first picture on.
    camera_id: Option<u16>,
    payload: Vec<u8>,
    /// Of the pictures so far, in pixels.
    side: Option<usize>,
    chunk_bytes: usize,
    pending_bytes: usize,
    summary: EpisodeSummary,
    sameness: Sameness,
    failed: bool,
}

impl<W: Write> std::fmt::Debug for EpisodeWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpisodeWriter")
            .field("path", &self.path)
            .field("summary", &self.summary)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl EpisodeWriter {
    /// Creates the log `path`, and the directories above it, and writes the description and the attachments.
    ///
    /// # Errors
    /// [`EpisodeError::Exists`] if there is such a file, [`EpisodeError::Create`] if it cannot be made, and those of
    /// [`EpisodeWriter::from_writer`].
    pub fn create(
        path: &Path,
        info: &EpisodeInfo,
        attachments: &[Attachment<'_>],
    ) -> Result<Self, EpisodeError> {
        let refuse = |source| EpisodeError::Create {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(refuse)?;
        }
        // Appending, so that a file which somebody else has shortened stays shorter than what was written.
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(|source| {
                if source.kind() == ErrorKind::AlreadyExists {
                    EpisodeError::Exists {
                        path: path.to_owned(),
                    }
                } else {
                    refuse(source)
                }
            })?;
        let begun = LogFile::new(file, path).map_err(refuse).and_then(|file| {
            let buffer = BufWriter::new(file.clone());
            let mut writer = Self::from_writer(buffer, path, info, attachments, CHUNK_BYTES)?;
            writer.file = Some(file);
            Ok(writer)
        });
        if begun.is_err() {
            // It is no log yet, and would be in the way of one.
            let _ = std::fs::remove_file(path);
        }
        begun
    }

    /// Makes the log durable: from now on the disk has each chunk before the next one is begun, so that a power cut costs one chunk at
    /// most. For the log of an arm; a simulated episode can be recorded again.
    ///
    /// # Errors
    /// [`EpisodeError::Write`].
    pub fn durable(self) -> Result<Self, EpisodeError> {
        if let Some(file) = &self.file {
            file.make_durable().map_err(|source| EpisodeError::Write {
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(self)
    }
}

impl<W: Write> EpisodeWriter<W> {
    /// Writes to anything; `path` is for messages. A chunk is closed at the first tick with which it holds
    /// `chunk_bytes` or more.
    ///
    /// # Errors
    /// [`EpisodeError::Write`], [`EpisodeError::Attachment`] for one above [`MAX_ATTACHMENT_BYTES`], and
    /// [`EpisodeError::Version`] if `info` asks for a format other than [`FORMAT_VERSION`].
    pub fn from_writer(
        writer: W,
        path: &Path,
        info: &EpisodeInfo,
        attachments: &[Attachment<'_>],
        chunk_bytes: usize,
    ) -> Result<Self, EpisodeError> {
        if info.format_version != FORMAT_VERSION {
            let found = info.format_version.to_string();
            return Err(EpisodeError::Version {
                path: path.to_owned(),
                found,
                expected: FORMAT_VERSION,
            });
        }
        if let Some((name, _, data)) = attachments
            .iter()
            .find(|(_, _, data)| data.len() > MAX_ATTACHMENT_BYTES)
        {
            return Err(EpisodeError::Attachment {
                path: path.to_owned(),
                name: (*name).to_owned(),
                bytes: data.len(),
                limit: MAX_ATTACHMENT_BYTES,
            });
        }
        let mcap = options()
            .create(NoSeek::new(writer))
            .map_err(|error| write_error(path, error))?;
        let mut episode = Self {
            mcap: Some(mcap),
            path: path.to_owned(),
            file: None,
            joint_names: info.joint_names.clone(),
            channel_ids: [0; Channel::ALL.len()],
            camera_id: None,
            payload: Vec::new(),
            side: None,
            chunk_bytes,
            pending_bytes: 0,
            summary: EpisodeSummary::default(),
            sameness: Sameness::default(),
            failed: false,
        };
        episode.attempt(|this| this.write_head(info, attachments))?;
        Ok(episode)
    }

    /// Logs a tick and, if it had one, the frame exactly as the model saw it. `time_ns` is the time viewers show:
    /// nanoseconds since 1970, or since the episode's start in lockstep.
    ///
    /// # Errors
    /// [`EpisodeError::Write`]; from then on every call fails. [`EpisodeError::FrameSize`] for a frame of another side than those
    /// before it; the tick is then not in the log.
    pub fn write_tick(
        &mut self,
        tick: &TickRecord,
        frame: Option<&Frame>,
        time_ns: u64,
    ) -> Result<(), EpisodeError> {
        self.write_tick_with_picture(tick, frame, None, time_ns)
    }

    /// The same with the camera's own picture, a whole JPEG, of which the frame was made. A log with one has one channel more.
    ///
    /// # Errors
    /// As for [`EpisodeWriter::write_tick`], and [`EpisodeError::LargePicture`] for one above [`MAX_PICTURE_BYTES`]; the tick is then not
    /// in the log.
    pub fn write_tick_with_picture(
        &mut self,
        tick: &TickRecord,
        frame: Option<&Frame>,
        jpeg: Option<&[u8]>,
        time_ns: u64,
    ) -> Result<(), EpisodeError> {
        if let Some(jpeg) = jpeg.filter(|jpeg| jpeg.len() > MAX_PICTURE_BYTES) {
            return Err(EpisodeError::LargePicture {
                path: self.path.clone(),
                tick: tick.tick,
                bytes: jpeg.len(),
                limit: MAX_PICTURE_BYTES,
            });
        }
        if let Some(side) = frame.map(Frame::side) {
            let before = *self.side.get_or_insert(side);
            if side != before {
                let OtherImage { found, expected } = OtherImage::of_side(side, before);
                return Err(EpisodeError::FrameSize {
                    path: self.path.clone(),
                    tick: tick.tick,
                    found,
                    expected,
                });
            }
        }
        self.attempt(|this| {
            if let Some(jpeg) = jpeg {
                let channel_id = this.camera_channel()?;
                message::camera(&mut this.payload, jpeg, time_ns)?;
                this.write_payload(channel_id, tick.tick, time_ns)?;
                this.summary.camera_pictures += 1;
            }
            for channel in Channel::ALL {
                if this.encode(channel, tick, frame, time_ns)? {
                    this.write_payload(this.channel_ids[channel as usize], tick.tick, time_ns)?;
                }
            }
            if this.pending_bytes >= this.chunk_bytes {
                this.close_chunk()?;
            }
            this.summary.ticks += 1;
            if let Some(frame) = frame {
                this.summary.frames += 1;
                this.sameness.see(frame);
            }
            Ok(())
        })
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the log is still at its path, is the file that was created there, and has as many bytes as were written. May wait for
    /// the disk.
    ///
    /// # Errors
    /// [`EpisodeError::Gone`].
    pub fn check(&self) -> Result<(), EpisodeError> {
        self.file.as_ref().map_or(Ok(()), LogFile::check)
    }

    /// Closes the chunk at hand and hands everything to the operating system.
    ///
    /// # Errors
    /// [`EpisodeError::Write`]; from then on every call fails.
    pub fn flush(&mut self) -> Result<(), EpisodeError> {
        self.attempt(Self::close_chunk)
    }

    /// Ends the log: last chunk, index and footer. A log in a file must then be found at its path, with every byte that was written.
    ///
    /// # Errors
    /// [`EpisodeError::Write`]; the ticks before stay readable. [`EpisodeError::Gone`].
    pub fn finish(mut self) -> Result<EpisodeSummary, EpisodeError> {
        self.attempt(|this| {
            this.mcap()?.finish()?;
            let Some(mcap) = this.mcap.take() else {
                return Ok(());
            };
            let mut sink = mcap.into_inner();
            sink.flush()?;
            this.summary.bytes = sink.stream_position()?;
            this.summary.pictures = this.sameness.verdict();
            Ok(())
        })?;
        self.check()?;
        self.attempt(|this| this.file.as_ref().map_or(Ok(()), |file| Ok(file.sync()?)))?;
        Ok(self.summary)
    }

    /// Runs one writing step. After a failure the position in the file is unknown, so that nothing may follow.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> Result<(), McapError>) -> Result<(), EpisodeError> {
        let result = if self.failed {
            Err(McapError::AttemptedWriteAfterFailure)
        } else {
            step(self)
        };
        result.map_err(|error| {
            self.failed = true;
            write_error(&self.path, error)
        })
    }

    fn mcap(&mut self) -> Result<&mut mcap::Writer<NoSeek<W>>, McapError> {
        self.mcap.as_mut().ok_or(McapError::AttemptedWriteAfterFailure)
    }

    fn write_head(&mut self, info: &EpisodeInfo, attachments: &[Attachment<'_>]) -> Result<(), McapError> {
        let time_ns = info.started_unix_ns;
        let mcap = self.mcap()?;
        mcap.write_metadata(&Metadata {
            name: INFO_RECORD.to_owned(),
            metadata: info.to_map(),
        })?;
        for (name, media_type, data) in attachments {
            mcap.attach(&mcap::Attachment {
                log_time: time_ns,
                create_time: time_ns,
                name: (*name).to_owned(),
                media_type: (*media_type).to_owned(),
                data: (*data).into(),
            })?;
        }
        for (index, channel) in Channel::ALL.into_iter().enumerate() {
            self.channel_ids[index] = self.add_channel(channel)?;
        }
        // The schemas have a chunk of their own: the first ticks are lost no sooner than any others.
        self.close_chunk()
    }

    fn add_channel(&mut self, channel: Channel) -> Result<u16, McapError> {
        let schema = schema::of(channel);
        let mcap = self.mcap()?;
        let schema_id = mcap.add_schema(&schema.name, &schema.encoding, &schema.data)?;
        mcap.add_channel(
            schema_id,
            channel.topic(),
            schema.message_encoding,
            &BTreeMap::new(),
        )
    }

    /// The channel of the camera's own pictures. A log that keeps none does not have it, and has the bytes that it always had.
    fn camera_channel(&mut self) -> Result<u16, McapError> {
        if let Some(channel_id) = self.camera_id {
            return Ok(channel_id);
        }
        // In a chunk of its own, as the other schemas are: a damaged chunk of ticks must not cost the later pictures.
        self.close_chunk()?;
        let channel_id = self.add_channel(Channel::CaptureCamera)?;
        self.close_chunk()?;
        self.camera_id = Some(channel_id);
        Ok(channel_id)
    }

    /// Encodes what `channel` says about the tick into `payload`; `false` if it says nothing.
    fn encode(
        &mut self,
        channel: Channel,
        tick: &TickRecord,
        frame: Option<&Frame>,
        time_ns: u64,
    ) -> Result<bool, McapError> {
        let (buffer, number) = (&mut self.payload, tick.tick);
        match channel {
            Channel::Capture => {
                let Some(frame) = frame else { return Ok(false) };
                message::image(buffer, frame, time_ns)
            }
            Channel::CaptureJoints => {
                let (position, velocity) = (&tick.capture.position_rad, &tick.capture.velocity_rad_s);
                message::joints(buffer, &self.joint_names, position, velocity, time_ns)
            }
            Channel::CaptureState => message::json(buffer, number, &tick.capture),
            Channel::Encode => message::json(buffer, number, &tick.encode),
            Channel::Filter => message::json(buffer, number, &tick.filter),
            Channel::Plan => message::json(buffer, number, &tick.plan),
            Channel::Guard => message::json(buffer, number, &tick.guard),
            Channel::ActuateJoints => message::joints(
                buffer,
                &self.joint_names,
                &tick.actuate.set_point_rad,
                &[],
                time_ns,
            ),
            Channel::Actuate => message::json(buffer, number, &tick.actuate),
            Channel::Record => message::json(buffer, number, &RecordMessage::of(tick)),
            // Not one of the channels of every log.
            Channel::CaptureCamera => return Ok(false),
        }?;
        Ok(true)
    }

    fn write_payload(&mut self, channel_id: u16, sequence: u32, time_ns: u64) -> Result<(), McapError> {
        let header = MessageHeader {
            channel_id,
            sequence,
            log_time: time_ns,
            publish_time: time_ns,
        };
        self.pending_bytes += self.payload.len();
        let mcap = self.mcap.as_mut().ok_or(McapError::AttemptedWriteAfterFailure)?;
        mcap.write_to_known_channel(&header, &self.payload)
    }

    fn close_chunk(&mut self) -> Result<(), McapError> {
        self.pending_bytes = 0;
        self.mcap()?.flush()
    }
}

impl<W: Write> Drop for EpisodeWriter<W> {
    fn drop(&mut self) {
        let Some(mut mcap) = self.mcap.take() else { return };
        if !self.failed {
            // There is nobody to tell: whoever wants to know calls `finish`.
            let _ = mcap.flush();
        }
        // Dropped as it is, the MCAP writer would add a footer and pass the log off as complete.
        let _ = mcap.into_inner().flush();
    }
}

fn options() -> WriteOptions {
    WriteOptions::new()
        .library(concat!("armillary-episode ", env!("CARGO_PKG_VERSION")))
        // Chunks end between ticks, where `write_tick` says.
        .chunk_size(None)
        // A chunk is compressed in memory and written at once, never patched afterwards as seeking writers do.
        .disable_seeking(true)
        // The log's thread must not take cores from the planner.
        .compression_threads(0)
}

fn write_error(path: &Path, error: McapError) -> EpisodeError {
    let source = match error {
        McapError::Io(source) => source,
        McapError::AttemptedWriteAfterFailure => std::io::Error::other("an earlier write to it failed"),
        other => std::io::Error::other(other),
    };
    EpisodeError::Write {
        path: path.to_owned(),
        source,
    }
}
