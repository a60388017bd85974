//! Reading an episode.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use robot::Frame;
use serde::de::DeserializeOwned;

use crate::channel::Channel;
use crate::error::EpisodeError;
use crate::info::{EpisodeInfo, INFO_RECORD, NO_REWARD};
use crate::message::{self, BadMessage, OtherImage, RecordMessage};
use crate::row::TickRecord;
use crate::scan::{Found, Stop, scan};

/// An episode as read from its log.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The file it came from.
    pub path: PathBuf,
    /// What the episode is.
    pub info: EpisodeInfo,
    /// Every tick that can be read, in order.
    pub ticks: Vec<TickRecord>,
    /// How many of them there are before anything is damaged: those that hang together.
    pub intact: usize,
    /// The frame of each tick, where one was logged; as long as `ticks`.
    pub frames: Vec<Option<Frame>>,
    /// How many of the ticks have the camera's own picture beside the frame. They are large and are left in the file: see
    /// [`crate::read_pictures`].
    pub camera_pictures: usize,
    /// Name and contents of each attachment, in the order written.
    pub attachments: Vec<(String, Vec<u8>)>,
    /// Whether the log was closed properly and every checksum holds.
    pub complete: bool,
    /// What is wrong with the log if it is not complete.
    pub problem: Option<String>,
}

impl Episode {
    /// Width and height of its pictures, in pixels; `None` if it has none.
    pub fn frame_side(&self) -> Option<usize> {
        self.frames.iter().flatten().next().map(Frame::side)
    }
}

/// Reads a log, whole, cut off or damaged: every tick outside of damaged chunks is in the result, unaltered. Behind damage ticks
/// are missing, as where a live loop skips them: whoever needs what hangs together takes the first [`Episode::intact`].
///
/// # Errors
/// [`EpisodeError::Read`] if the file cannot be read, [`EpisodeError::NotALog`] if it is something else or was cut off
/// within its first few hundred bytes, [`EpisodeError::Version`] if it is in another format, [`EpisodeError::FrameSize`] for
/// pictures that no model sees or that change their size, [`EpisodeError::Inconsistent`] if its
/// rows contradict each other, its pictures or its description, [`EpisodeError::RobotFile`] if the robot file in it is not the one
/// that it was recorded with.
pub fn read_episode(path: &Path) -> Result<Episode, EpisodeError> {
    read_episode_from(open(path)?, path)
}

/// [`read_episode`] from anything; `path` is for messages.
///
/// # Errors
/// As [`read_episode`].
pub fn read_episode_from(reader: impl Read, path: &Path) -> Result<Episode, EpisodeError> {
    let mut gathering = Gathering::default();
    let mut info = None;
    let mut attachments = Vec::new();
    let mut damaged_at = None;
    let problem = scan(reader, path, |found| {
        match found {
            Found::Metadata {
                name: INFO_RECORD,
                map,
            } => {
                info = Some(EpisodeInfo::from_map(path, map).map_err(Stop::Refused)?);
            }
            Found::Metadata { .. } => {}
            Found::Damage => {
                damaged_at.get_or_insert(gathering.ticks.len());
                gathering.interrupted();
            }
            Found::Attachment { name, data } => attachments.push((name.to_owned(), data.to_owned())),
            Found::Message {
                channel,
                sequence,
                data,
            } => gathering
                .take(channel, sequence, data)
                .map_err(|trouble| match trouble {
                    BadMessage::Damaged(problem) => {
                        Stop::Damaged(format!("tick {sequence}, {}: {problem}", channel.topic()))
                    }
                    BadMessage::OtherImage(OtherImage { found, expected }) => {
                        Stop::Refused(EpisodeError::FrameSize {
                            path: path.to_owned(),
                            tick: sequence,
                            found,
                            expected,
                        })
                    }
                })?,
        }
        Ok(())
    })?;
    let Gathering {
        mut ticks,
        frames,
        camera_pictures,
        ..
    } = gathering;
    let Some(info) = info else {
        let problem = problem.unwrap_or_else(|| format!("it has no {INFO_RECORD} record"));
        return Err(EpisodeError::NotALog {
            path: path.to_owned(),
            problem,
        });
    };
    if info.reward_source == NO_REWARD {
        // Earlier versions wrote 0 where data had no reward.
        for tick in &mut ticks {
            tick.capture.reward = None;
        }
    }
    let intact = damaged_at.unwrap_or(ticks.len());
    crate::check::rows(path, &info, &ticks, intact)
        .and_then(|()| crate::check::pictures(path, &ticks, &frames))
        .map_err(|error| error.about(problem.as_deref()))?;
    crate::check::robot_file(path, &info, &attachments)?;
    let before = intact.checked_sub(1).and_then(|last| ticks.get(last));
    let problem = problem.map(|problem| match (before, ticks.get(intact)) {
        (Some(before), Some(after)) => {
            format!(
                "not readable after tick {} up to tick {}: {problem}",
                before.tick, after.tick
            )
        }
        (Some(before), None) => format!("not readable after tick {}: {problem}", before.tick),
        (None, Some(after)) => format!("not readable before tick {}: {problem}", after.tick),
        (None, None) => format!("no readable tick: {problem}"),
    });
    Ok(Episode {
        path: path.to_owned(),
        info,
        ticks,
        intact,
        frames,
        camera_pictures,
        attachments,
        complete: problem.is_none(),
        problem,
    })
}

/// What [`read_rows`] found besides rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// What the episode is.
    pub info: EpisodeInfo,
    /// How many rows were shown.
    pub count: u64,
    /// Whether the log was closed properly and every checksum holds.
    pub complete: bool,
    /// What is wrong with the log if it is not complete.
    pub problem: Option<String>,
}

/// Shows `visit` every row of a log that can be read, in order. Pictures are passed over, and one chunk is in memory at a time,
/// however long the log is. Rows are not compared with each other, as [`read_episode`] does.
///
/// # Errors
/// [`EpisodeError::Read`], [`EpisodeError::NotALog`] and [`EpisodeError::Version`], as for [`read_episode`].
pub fn read_rows(
    path: &Path,
    mut visit: impl FnMut(&EpisodeInfo, &TickRecord),
) -> Result<Rows, EpisodeError> {
    let mut gathering = Gathering::default();
    let mut info: Option<EpisodeInfo> = None;
    let mut count = 0;
    let problem = scan(open(path)?, path, |found| {
        match found {
            Found::Metadata {
                name: INFO_RECORD,
                map,
            } => info = Some(EpisodeInfo::from_map(path, map).map_err(Stop::Refused)?),
            Found::Damage => gathering.interrupted(),
            Found::Message {
                channel: Channel::Capture | Channel::CaptureCamera,
                ..
            }
            | Found::Metadata { .. }
            | Found::Attachment { .. } => {}
            Found::Message {
                channel,
                sequence,
                data,
            } => {
                gathering.take(channel, sequence, data).map_err(|trouble| {
                    let problem = match trouble {
                        BadMessage::Damaged(problem) => problem,
                        BadMessage::OtherImage(OtherImage { found, .. }) => found,
                    };
                    Stop::Damaged(format!("tick {sequence}, {}: {problem}", channel.topic()))
                })?;
                gathering.frames.clear();
                if let (Some(mut row), Some(info)) = (gathering.ticks.pop(), info.as_ref()) {
                    if info.reward_source == NO_REWARD {
                        row.capture.reward = None;
                    }
                    count += 1;
                    visit(info, &row);
                }
            }
        }
        Ok(())
    })?;
    match info {
        Some(info) => Ok(Rows {
            info,
            count,
            complete: problem.is_none(),
            problem,
        }),
        None => Err(EpisodeError::NotALog {
            path: path.to_owned(),
            problem: problem.unwrap_or_else(|| format!("it has no {INFO_RECORD} record")),
        }),
    }
}

/// The decision stream of a log: the messages of `/filter`, `/plan`, `/guard` and `/actuate` in order, each as topic,
/// space, payload, line feed. It holds no clock: two runs with the same configuration, bundle, seed and simulator in
/// lockstep give the same bytes.
///
/// # Errors
/// [`EpisodeError::Incomplete`] for a log that is cut off or damaged, as two halves would compare equal too easily;
/// otherwise as [`read_episode`].
pub fn decision_stream(path: &Path) -> Result<Vec<u8>, EpisodeError> {
    let mut stream = Vec::new();
    let mut described = false;
    let problem = scan(open(path)?, path, |found| {
        match found {
            Found::Metadata {
                name: INFO_RECORD,
                map,
            } => {
                EpisodeInfo::from_map(path, map).map_err(Stop::Refused)?;
                described = true;
            }
            Found::Message { channel, data, .. } if channel.is_decision() => {
                for part in [channel.topic().as_bytes(), b" ", data, b"\n"] {
                    stream.extend_from_slice(part);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    match problem {
        Some(problem) if described => Err(EpisodeError::Incomplete {
            path: path.to_owned(),
            problem,
        }),
        Some(problem) => Err(EpisodeError::NotALog {
            path: path.to_owned(),
            problem,
        }),
        None if described => Ok(stream),
        None => {
            let problem = format!("it has no {INFO_RECORD} record");
            Err(EpisodeError::NotALog {
                path: path.to_owned(),
                problem,
            })
        }
    }
}

pub(crate) fn open(path: &Path) -> Result<BufReader<File>, EpisodeError> {
    let file = files::open(path).map_err(|source| EpisodeError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(BufReader::new(file))
}

/// Puts the messages of a tick together; the message of `/record` completes it.
#[derive(Default)]
struct Gathering {
    ticks: Vec<TickRecord>,
    frames: Vec<Option<Frame>>,
    tick: TickRecord,
    frame: Option<Frame>,
    /// Ticks with the camera's own picture.
    camera_pictures: usize,
    /// Of the pictures so far, in pixels.
    side: Option<usize>,
    /// A bit for each channel of the tick at hand that has been seen.
    seen: u16,
    /// Whether the next tick may have begun in what cannot be read.
    torn: bool,
}

impl Gathering {
    /// Channels without which a tick is not whole: all but the frame, which a tick may lack, and the set points that
    /// are logged twice.
    const REQUIRED: [Channel; 8] = [
        Channel::CaptureJoints,
        Channel::CaptureState,
        Channel::Encode,
        Channel::Filter,
        Channel::Plan,
        Channel::Guard,
        Channel::Actuate,
        Channel::Record,
    ];

    /// Something is missing here: what was begun is not finished.
    fn interrupted(&mut self) {
        self.tick = TickRecord::default();
        self.frame = None;
        (self.seen, self.torn) = (0, true);
    }

    fn take(&mut self, channel: Channel, sequence: u32, data: &[u8]) -> Result<(), BadMessage> {
        if self.tick.tick != sequence {
            // A tick without its `/record` message was never finished.
            self.tick = TickRecord {
                tick: sequence,
                ..TickRecord::default()
            };
            self.frame = None;
            self.seen = 0;
        }
        match channel {
            Channel::Capture => {
                let frame = message::read_image(data)?;
                let (side, before) = (frame.side(), *self.side.get_or_insert(frame.side()));
                if side != before {
                    return Err(BadMessage::OtherImage(OtherImage::of_side(side, before)));
                }
                self.frame = Some(frame);
            }
            Channel::CaptureJoints => {
                (self.tick.capture.position_rad, self.tick.capture.velocity_rad_s) =
                    message::read_joints(data).map_err(BadMessage::Damaged)?;
            }
            Channel::CaptureState => {
                let measured = std::mem::take(&mut self.tick.capture);
                self.tick.capture = json(data)?;
                self.tick.capture.position_rad = measured.position_rad;
                self.tick.capture.velocity_rad_s = measured.velocity_rad_s;
            }
            Channel::Encode => self.tick.encode = json(data)?,
            Channel::Filter => self.tick.filter = json(data)?,
            Channel::Plan => self.tick.plan = json(data)?,
            Channel::Guard => self.tick.guard = json(data)?,
            // What is in them is not needed.
            Channel::ActuateJoints | Channel::CaptureCamera => {}
            Channel::Actuate => self.tick.actuate = json(data)?,
            Channel::Record => json::<RecordMessage>(data)?.fill(&mut self.tick),
        }
        self.seen |= 1 << channel as u16;
        if channel == Channel::Record {
            let torn = std::mem::take(&mut self.torn);
            if let Some(lacking) = Self::REQUIRED
                .iter()
                .find(|channel| self.seen & (1 << **channel as u16) == 0)
            {
                if torn {
                    // Its beginning was in what cannot be read.
                    return Ok(());
                }
                return Err(BadMessage::Damaged(format!(
                    "the tick has no message on {}",
                    lacking.topic()
                )));
            }
            self.ticks.push(std::mem::take(&mut self.tick));
            self.frames.push(self.frame.take());
            self.camera_pictures += usize::from(self.seen & (1 << Channel::CaptureCamera as u16) != 0);
            self.seen = 0;
        }
        Ok(())
    }
}

fn json<T: DeserializeOwned>(data: &[u8]) -> Result<T, BadMessage> {
    serde_json::from_slice(data).map_err(|error| BadMessage::Damaged(error.to_string()))
}
