//! A single pass over a log from front to back, for logs that may end anywhere.
//!
//! Nothing here trusts the index at the end of the file: it is missing after a crash.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;

use mcap::records::{MessageHeader, Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use crate::channel::Channel;
use crate::error::EpisodeError;
use crate::writer::MAX_ATTACHMENT_BYTES;

/// The longest record a reader believes in: an attachment with its header. Also bounds memory when a length is damaged.
const MAX_RECORD_BYTES: usize = MAX_ATTACHMENT_BYTES + 64 * 1024;

/// What the pass comes across.
pub(crate) enum Found<'a> {
    Metadata {
        name: &'a str,
        map: &'a BTreeMap<String, String>,
    },
    Attachment {
        name: &'a str,
        data: &'a [u8],
    },
    Message {
        channel: Channel,
        sequence: u32,
        data: &'a [u8],
    },
    /// Something was here that cannot be read, and is left out; what follows is sound again.
    Damage,
}

/// Why a visitor ends the pass early.
pub(crate) enum Stop {
    /// The log is damaged here; what was read before stands.
    Damaged(String),
    /// The log cannot be used at all.
    Refused(EpisodeError),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Damaged(problem)
    }
}

/// Shows `visit` everything readable, in order. Returns what is wrong with the log first, `None` if it is complete and every
/// checksum holds. A chunk whose checksum does not hold is not shown, those after it are.
pub(crate) fn scan(
    mut reader: impl Read,
    path: &Path,
    mut visit: impl FnMut(Found<'_>) -> Result<(), Stop>,
) -> Result<Option<String>, EpisodeError> {
    let options = LinearReaderOptions::default()
        .with_check_finishes_after_end_magic(true)
        .with_emit_chunks(true)
        .with_validate_data_section_crc(true)
        .with_validate_summary_section_crc(true)
        .with_record_length_limit(MAX_RECORD_BYTES);
    let mut linear = LinearReader::new_with_options(options);
    let mut channels = BTreeMap::new();
    let mut first_problem = None;
    loop {
        let event = match files::guarded(|| linear.next_event()) {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(panic) => return Ok(first_problem.or(Some(panic.to_string()))),
        };
        match event {
            Ok(LinearReadEvent::ReadRequest(bytes)) => {
                let read =
                    read_some(&mut reader, linear.insert(bytes)).map_err(|source| EpisodeError::Read {
                        path: path.to_owned(),
                        source,
                    })?;
                linear.notify_read(read);
            }
            Ok(LinearReadEvent::Record { opcode, data }) => {
                let shown = if opcode == op::CHUNK {
                    chunk(data, &mut channels, &mut visit, &mut first_problem)
                } else {
                    show(opcode, data, &mut channels, &mut visit)
                };
                match shown {
                    Ok(()) => {}
                    Err(Stop::Damaged(problem)) => return Ok(first_problem.or(Some(problem))),
                    Err(Stop::Refused(error)) => return Err(error),
                }
            }
            Err(error) => return Ok(first_problem.or(Some(text(&error)))),
        }
    }
    Ok(first_problem)
}

fn text(error: &mcap::McapError) -> String {
    match error {
        mcap::McapError::UnexpectedEof => "the file ends too early".to_owned(),
        error => error.to_string(),
    }
}

/// Shows what is in a chunk, if its checksum holds, or that it does not.
fn chunk(
    data: &[u8],
    channels: &mut BTreeMap<u16, Channel>,
    visit: &mut impl FnMut(Found<'_>) -> Result<(), Stop>,
    first_problem: &mut Option<String>,
) -> Result<(), Stop> {
    if !has_room(op::CHUNK, data) {
        visit(Found::Damage)?;
        first_problem.get_or_insert("a chunk is shorter than it says".to_owned());
        return Ok(());
    }
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_RECORD_BYTES);
    let mut linear = LinearReader::new_with_options(options);
    // The record again, of which the outer reader has taken off opcode and length.
    let mut head = [op::CHUNK; 9];
    head[1..].copy_from_slice(&(data.len() as u64).to_le_bytes());
    let mut record = head.chain(data);
    loop {
        let event = match files::guarded(|| linear.next_event()) {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(panic) => {
                visit(Found::Damage)?;
                first_problem.get_or_insert(panic.to_string());
                break;
            }
        };
        match event {
            Ok(LinearReadEvent::ReadRequest(bytes)) => {
                // From memory: it cannot fail.
                let read = record.read(linear.insert(bytes)).unwrap_or(0);
                linear.notify_read(read);
            }
            Ok(LinearReadEvent::Record { opcode, data }) => show(opcode, data, channels, visit)?,
            Err(error) => {
                visit(Found::Damage)?;
                first_problem.get_or_insert(text(&error));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn show(
    opcode: u8,
    data: &[u8],
    channels: &mut BTreeMap<u16, Channel>,
    visit: &mut impl FnMut(Found<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    // Indexes and the repeated schemas of the summary are of no use in a pass from front to back.
    if !matches!(opcode, op::METADATA | op::ATTACHMENT | op::CHANNEL | op::MESSAGE) {
        return Ok(());
    }
    if !has_room(opcode, data) {
        return Err(Stop::Damaged("a record is shorter than it says".to_owned()));
    }
    let record = files::guarded(|| mcap::parse_record(opcode, data));
    match record
        .map_err(|panic| panic.to_string())?
        .map_err(|error| error.to_string())?
    {
        Record::Metadata(metadata) => visit(Found::Metadata {
            name: &metadata.name,
            map: &metadata.metadata,
        }),
        Record::Attachment { header, data, .. } => visit(Found::Attachment {
            name: &header.name,
            data: &data,
        }),
        Record::Channel(channel) => {
            if let Some(known) = Channel::from_topic(&channel.topic) {
                channels.insert(channel.id, known);
            }
            Ok(())
        }
        Record::Message {
            header: MessageHeader {
                channel_id, sequence, ..
            },
            data,
        } => {
            // A channel that another program added is not ours to judge.
            let Some(&channel) = channels.get(&channel_id) else {
                return Ok(());
            };
            visit(Found::Message {
                channel,
                sequence,
                data: &data,
            })
        }
        _ => Ok(()),
    }
}

/// Whether a record is as long as the lengths in it say. `mcap` slices attachments without asking, and asks the system for as much memory
/// as a string says that it has.
fn has_room(opcode: u8, data: &[u8]) -> bool {
    // Numbers in front of the first string.
    const ATTACHMENT_TIMES: usize = 16;
    const CHANNEL_IDS: usize = 4;
    const CHUNK_TIMES_SIZE_AND_CRC: usize = 28;
    // Numbers behind the last string.
    const ATTACHMENT_LENGTH_AND_CRC: usize = 12;
    const CHUNK_LENGTH: usize = 8;
    let mut rest = Rest(data);
    let strings = match opcode {
        op::ATTACHMENT => rest
            .skip(ATTACHMENT_TIMES)
            .and_then(|()| rest.string())
            .and_then(|()| rest.string())
            .and_then(|()| rest.skip(ATTACHMENT_LENGTH_AND_CRC)),
        op::METADATA => rest.string().and_then(|()| rest.map()),
        op::CHANNEL => rest
            .skip(CHANNEL_IDS)
            .and_then(|()| rest.string())
            .and_then(|()| rest.string())
            .and_then(|()| rest.map()),
        op::CHUNK => rest
            .skip(CHUNK_TIMES_SIZE_AND_CRC)
            .and_then(|()| rest.string())
            .and_then(|()| rest.skip(CHUNK_LENGTH)),
        _ => Some(()),
    };
    strings.is_some()
}

/// What is left of a record. Each step is `None` where the record is too short for it.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.take(bytes).map(|_| ())
    }

    /// What follows a length of four bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    fn string(&mut self) -> Option<()> {
        self.sized().map(|_| ())
    }

    /// Pairs of strings.
    fn map(&mut self) -> Option<()> {
        let mut pairs = Rest(self.sized()?);
        while !pairs.0.is_empty() {
            pairs.string()?;
            pairs.string()?;
        }
        Some(())
    }
}
