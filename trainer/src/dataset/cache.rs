//! Frames of all logs in one file, compressed without loss, that can be read from anywhere: what a log takes parsing for,
//! is here one read and a fraction of a millisecond. Built once from the logs, added to when there are more, and rebuilt
//! whenever it is gone or not what it should be.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use episode::EpisodeError;
use files::OutputError;
use robot::Frame;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::DatasetError;
use super::room::Room;
use crate::checkpoint::RobotOfLogs;

/// Frames that are compressed together: neighbours are alike.
const GROUP: usize = 8;

/// Raised whenever the layout changes.
const VERSION: u32 = 6;

/// What the file of frames begins with. A file of its name that does not is somebody else's.
const MAGIC: &[u8; 16] = b"armillary frames";

/// Likewise of the index.
const INDEX_MAGIC: &[u8] = b"armillary index ";

/// Logs after which the index is written while it is being built, so that little is lost if that is cut short; or a quarter of
/// those there are, so that writing it does not become all that is done.
const SAVE_EVERY: usize = 2000;

/// Bytes of logs that are read at a time, or one log, however long: pictures are a dozen times that when they are unpacked.
const AT_A_TIME: u64 = 64 << 20;

/// A stretch of frames without a gap.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stretch {
    /// Where its groups begin in the file.
    at: u64,
    /// Where each group ends, from there.
    ends: Vec<u64>,
    /// Width and height of its frames, in pixels.
    side: usize,
    /// `[T][A]`; the action that caused each frame.
    pub(super) actions: Vec<f32>,
    /// `[T][2 A]`; position and velocity of each joint in turn.
    pub(super) joints: Vec<f32>,
    /// `[T]`; `None` where nobody gave one.
    pub(super) rewards: Vec<Option<f32>>,
}

/// What is known of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Of the file when it was read; another size or time is another log.
    bytes: u64,
    modified_ns: i64,
    pub(super) robot: RobotOfLogs,
    /// Who gave its rewards; nothing where an earlier version has read it.
    #[serde(default)]
    pub(super) reward_source: String,
    pub(super) planned: bool,
    /// Whether its joints say more than what was asked of them.
    pub(super) measured: bool,
    /// What is wrong with it, and how many steps it has all the same.
    pub(super) problem: Option<String>,
    pub(super) stretches: Vec<Stretch>,
}

impl Entry {
    /// The side of its frames, in pixels; `None` if it has none. All stretches of a log have one side.
    pub(super) fn side(&self) -> Option<usize> {
        self.stretches.first().map(|stretch| stretch.side)
    }

    /// What its frames take in the file.
    fn compressed_bytes(&self) -> u64 {
        let ends = self.stretches.iter().filter_map(|stretch| stretch.ends.last());
        ends.sum()
    }
}

/// What the file beside the frames says of them.
#[derive(Deserialize)]
struct Index {
    version: u32,
    /// Of the file of frames that belongs to it.
    length: u64,
    entries: BTreeMap<PathBuf, Entry>,
}

/// The file and its index.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    frames: File,
    length: u64,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Cache {
    /// Opens the cache in `dir`, or makes one. Files of its names that this program did not make are refused.
    pub(super) fn open(dir: &Path) -> Result<Self, DatasetError> {
        let path = dir.join("frames.cache");
        let fail = |action| {
            let path = path.clone();
            move |source| DatasetError::Cache { path, action, source }
        };
        std::fs::create_dir_all(dir).map_err(fail("cannot make the folder"))?;
        // Looked at before it is opened, since opening a device can do something. Whether a file is ours is seen below.
        files::check(&path, &|_| true)?;
        let frames = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail("cannot open"))?;
        match frames.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatasetError::CacheInUse { path }),
            Err(TryLockError::Error(source)) => return Err(fail("cannot lock")(source)),
        }
        let there = frames.metadata().map_err(fail("cannot look at"))?;
        let (is_file, there) = (there.is_file(), there.len());
        let index_path = path.with_extension("index");
        let index = files::read(&index_path).ok();
        let sound = index.as_deref().and_then(sound);
        let begins_so = |bytes: &[u8]| bytes.starts_with(INDEX_MAGIC);
        // Before version 5 neither file had a beginning of its own; a checksum that holds tells an index of then, and its frames.
        let earlier = sound.is_some_and(|bytes| !begins_so(bytes));
        let mut magic = [0; MAGIC.len()];
        let ours = frames.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC;
        if !(is_file && (there == 0 || ours || earlier)) {
            return Err(OutputError::Foreign { path }.into());
        }
        files::check(&index_path, &|head| begins_so(head) || earlier)?;
        let index: Option<Index> = sound
            .and_then(|bytes| bytes.strip_prefix(INDEX_MAGIC))
            .and_then(|bytes| postcard::from_bytes(bytes).ok())
            .filter(|index: &Index| index.version == VERSION && index.length <= there);
        let empty = MAGIC.len() as u64;
        let (mut length, mut entries) =
            index.map_or_else(|| (empty, BTreeMap::new()), |index| (index.length, index.entries));
        entries.retain(|log, _| log.exists());
        let used: u64 = entries.values().map(Entry::compressed_bytes).sum();
        if used < length.saturating_sub(empty) / 2 {
            // Most of it is of logs that are gone: what is left is read again. An index must not outlive what it points into.
            let _ = std::fs::remove_file(&index_path);
            length = empty;
            entries.clear();
        }
        frames.write_all_at(MAGIC, 0).map_err(fail("cannot write to"))?;
        // What was added after the index was last written belongs to nobody.
        frames.set_len(length).map_err(fail("cannot shorten"))?;
        Ok(Self {
            path,
            frames,
            length,
            entries,
        })
    }

    /// Makes sure that all `paths` are in it; `progress` hears how many of them are. Logs are read on all cores.
    pub(super) fn take_in(
        &mut self,
        paths: &[PathBuf],
        progress: &dyn Fn(usize, usize),
    ) -> Result<(), DatasetError> {
        let mut missing = Vec::new();
        for path in paths {
            let stamp = stamp(path)?;
            let known = self.entries.get(&key(path));
            if known.is_none_or(|entry| (entry.bytes, entry.modified_ns) != stamp) {
                missing.push((path.as_path(), stamp));
            }
        }
        let known = paths.len() - missing.len();
        progress(known, paths.len());
        if missing.is_empty() {
            return Ok(());
        }
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::sync_channel(2 * workers);
        let room = Room::of(AT_A_TIME);
        let (next, missing, room) = (&next, &missing, &room);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let sender = sender.clone();
                scope.spawn(move || {
                    while let Some(&(path, stamp)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let share = room.take(stamp.0);
                        if sender.send((path, digest(path, stamp), share)).is_err() {
                            // The other end has had an error.
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let (mut taken, mut saved) = (0, 0);
            // Moved in, so that workers see its end whatever happens.
            for (path, digested, share) in receiver {
                let added = digested.and_then(|(entry, data)| self.add(path, entry, &data));
                drop(share);
                match added {
                    Ok(()) => {}
                    // It was cut off before it had begun: there was no power, or no room on the disk.
                    Err(DatasetError::Episode(EpisodeError::NotALog { problem, .. })) => {
                        self.entries.remove(&key(path));
                        log::warn!("{}: left out: not a run log: {problem}", path.display());
                    }
                    Err(error) => {
                        // What was read so far need not be read again.
                        let _ = self.save();
                        return Err(error);
                    }
                }
                taken += 1;
                progress(known + taken, paths.len());
                if taken - saved >= SAVE_EVERY.max(self.entries.len() / 4) {
                    self.save()?;
                    saved = taken;
                }
            }
            self.save()
        })
    }

    fn add(&mut self, path: &Path, mut entry: Entry, data: &[u8]) -> Result<(), DatasetError> {
        self.frames
            .write_all_at(data, self.length)
            .map_err(|source| self.failed("cannot write to", source))?;
        for stretch in &mut entry.stretches {
            stretch.at += self.length;
        }
        self.length += data.len() as u64;
        self.entries.insert(key(path), entry);
        Ok(())
    }

    fn failed(&self, action: &'static str, source: std::io::Error) -> DatasetError {
        DatasetError::Cache {
            path: self.path.clone(),
            action,
            source,
        }
    }

    /// Writes the index, which then names everything that is in the file.
    fn save(&self) -> Result<(), DatasetError> {
        // An `Index`, without a copy of everything.
        let index = (VERSION, self.length, &self.entries);
        let write = || {
            self.frames.sync_data()?;
            let size = postcard::ser_flavors::Size::default();
            let size = postcard::serialize_with_flavor(&index, size).map_err(std::io::Error::other)?;
            let mut bytes = INDEX_MAGIC.to_vec();
            bytes.resize(INDEX_MAGIC.len() + size, 0);
            postcard::to_slice(&index, &mut bytes[INDEX_MAGIC.len()..]).map_err(std::io::Error::other)?;
            let checksum = Sha256::digest(&bytes);
            bytes.extend_from_slice(&checksum);
            Ok(bytes)
        };
        let bytes = write().map_err(|source| self.failed("cannot write the index of", source))?;
        // That it is ours was found out when the cache was opened.
        files::replace(&self.path.with_extension("index"), &bytes).map_err(|error| match error {
            OutputError::Io { source, .. } => self.failed("cannot write the index of", source),
            other => other.into(),
        })
    }

    /// What is known of a log that was taken in, by its [`key`].
    pub(super) fn entry(&self, key: &Path) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Copies as many frames as `out` has room for of `stretch` from frame `start` on. `reader` is the caller's, and is kept
    /// for the next call.
    pub(super) fn read(
        &self,
        stretch: &Stretch,
        start: usize,
        out: &mut [u8],
        reader: &mut Reader,
    ) -> Result<(), DatasetError> {
        let frame_bytes = Frame::bytes(stretch.side);
        let mut at = start;
        let mut rest = out;
        while !rest.is_empty() {
            let group = at / GROUP;
            let frames = reader
                .group(&self.frames, stretch, group)
                .map_err(|source| self.failed("cannot read", source))?;
            let inside = (at - group * GROUP) * frame_bytes;
            let Some(frames) = frames.get(inside..).filter(|frames| !frames.is_empty()) else {
                let short = std::io::Error::other("a group holds fewer frames than its index says");
                return Err(self.failed("cannot read", short));
            };
            let count = frames.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&frames[..count]);
            rest = later;
            at += count / frame_bytes;
        }
        Ok(())
    }
}

/// What reading needs, once a thread.
pub(super) struct Reader {
    decompressor: zstd::bulk::Decompressor<'static>,
    compressed: Vec<u8>,
    frames: Vec<u8>,
}

impl Reader {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            decompressor: zstd::bulk::Decompressor::new()?,
            compressed: Vec::new(),
            frames: Vec::new(),
        })
    }

    fn group(&mut self, file: &File, stretch: &Stretch, group: usize) -> std::io::Result<&[u8]> {
        let missing = || std::io::Error::other("the index has no such frame");
        let end = *stretch.ends.get(group).ok_or_else(missing)?;
        let begin = if group == 0 { 0 } else { stretch.ends[group - 1] };
        self.compressed.resize((end - begin) as usize, 0);
        file.read_exact_at(&mut self.compressed, stretch.at + begin)?;
        self.frames.resize(GROUP * Frame::bytes(stretch.side), 0);
        // Its checksum is verified, too.
        let size = self
            .decompressor
            .decompress_to_buffer(&self.compressed, &mut self.frames[..])?;
        Ok(&self.frames[..size])
    }
}

/// An index without the checksum behind it, if that holds.
fn sound(bytes: &[u8]) -> Option<&[u8]> {
    let (index, checksum) = bytes.split_last_chunk::<32>()?;
    (Sha256::digest(index).as_slice() == checksum).then_some(index)
}

/// What a log goes by, from wherever it is named.
pub(super) fn key(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Size and time of a file.
fn stamp(path: &Path) -> Result<(u64, i64), DatasetError> {
    let metadata = std::fs::metadata(path).map_err(|source| EpisodeError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok((
        metadata.len(),
        metadata.mtime().wrapping_mul(1_000_000_000) + metadata.mtime_nsec(),
    ))
}

/// Reads a log and compresses its frames; offsets count from the first of them.
fn digest(path: &Path, (bytes, modified_ns): (u64, i64)) -> Result<(Entry, Vec<u8>), DatasetError> {
    let log = episode::read_episode(path)?;
    let failed = |source| DatasetError::Cache {
        path: path.to_owned(),
        action: "cannot compress the frames of",
        source,
    };
    let mut compressor = zstd::bulk::Compressor::new(1).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    let mut data = Vec::new();
    let mut stretches = Vec::new();
    for stretch in log.training()? {
        super::logs::finite(path, &stretch)?;
        let at = data.len();
        let mut ends = Vec::new();
        for group in stretch.frames.chunks(GROUP * Frame::bytes(stretch.side)) {
            data.extend(compressor.compress(group).map_err(failed)?);
            ends.push((data.len() - at) as u64);
        }
        stretches.push(Stretch {
            at: at as u64,
            ends,
            side: stretch.side,
            actions: stretch.actions,
            joints: stretch.joints,
            rewards: stretch.rewards,
        });
    }
    let info = &log.info;
    let entry = Entry {
        bytes,
        modified_ns,
        robot: RobotOfLogs {
            name: info.robot.clone(),
            task: info.task.clone(),
            joint_names: info.joint_names.clone(),
            period_s: info.period_s,
            joint_calibration_sha256: info.joint_calibration_sha256.clone(),
            picture_sha256: info.picture_sha256.clone(),
        },
        reward_source: info.reward_source.clone(),
        planned: info.policy.starts_with("planner"),
        measured: super::logs::measured(&log),
        problem: log
            .problem
            .as_ref()
            .map(|problem| format!("using its {} whole steps: {problem}", log.ticks.len())),
        stretches,
    };
    Ok((entry, data))
}
