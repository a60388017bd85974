//! Stage 7, record: a lock-free ring from the tick to a thread that writes the log.
//!
//! Slots go round between the two; pushing copies into a slot and never allocates or waits. When the
//! writer falls behind, a live loop drops the record and counts it, a lockstep loop waits, since its world does.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use episode::{EpisodeError, EpisodeSummary, EpisodeWriter, TickRecord};
use hand_over::rounds::{Emptier, Filler, Next, rounds};
use robot::Frame;

use crate::capture::KeptPicture;

/// Records in flight: over six seconds at 10 Hz.
const SLOTS: usize = 64;

/// How often the writing thread looks whether the log is still there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the disk may take for a record, and for the end of the log, before it counts as one that does not answer: longer than the
/// slowest memory card needs.
pub const DISK_PATIENCE: Duration = Duration::from_secs(30);

/// Longest sleep of the writing thread.
const WAIT: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Slot {
    record: TickRecord,
    frame: Frame,
    with_frame: bool,
    picture: KeptPicture,
    with_picture: bool,
    time_ns: u64,
}

/// Pictures of the camera's own that were not kept, since they had more bytes than were reserved for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TooLarge {
    /// How many there were.
    pub pictures: u64,
    /// Bytes of the largest.
    pub largest_bytes: usize,
}

/// The tick's end of the ring.
#[derive(Debug)]
pub struct Recorder {
    /// Until the episode has ended.
    slots: Option<Filler<Slot>>,
    /// Records that the writing thread has done with.
    written: Arc<AtomicU64>,
    patience: Duration,
    path: PathBuf,
    dropped: u32,
    /// The camera's number of the picture that was handed over last.
    last_picture: Option<u64>,
    too_large: TooLarge,
    /// Until it has ended.
    thread: Option<JoinHandle<Result<EpisodeSummary, EpisodeError>>>,
}

impl Recorder {
    /// Starts the writing thread, for frames of `side` x `side` pixels. For the camera's own pictures `room` bytes each are reserved.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start<W: Write + Send + 'static>(
        writer: EpisodeWriter<W>,
        side: usize,
        room: usize,
    ) -> std::io::Result<Self> {
        let path = writer.path().to_owned();
        let (mut slots, filled) = rounds(SLOTS, || {
            let mut picture = KeptPicture::default();
            picture.reserve(room);
            Slot {
                record: TickRecord::default(),
                frame: Frame::new(side),
                with_frame: false,
                picture,
                with_picture: false,
                time_ns: 0,
            }
        });
        let written = Arc::<AtomicU64>::default();
        let count = Arc::clone(&written);
        let thread = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || write(writer, filled, &count))?;
        slots.wake(thread.thread().clone());
        Ok(Self {
            slots: Some(slots),
            written,
            patience: DISK_PATIENCE,
            path,
            dropped: 0,
            last_picture: None,
            too_large: TooLarge::default(),
            thread: Some(thread),
        })
    }

    /// Waits for the disk no longer than this, in the place of [`DISK_PATIENCE`].
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Records lost so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Pictures of the camera's own that were not kept.
    pub fn too_large(&self) -> TooLarge {
        self.too_large
    }

    /// Whether the log can no longer be written or found: a reason to stop the arm, since what it does would go unrecorded.
    pub fn failed(&self) -> bool {
        self.slots.as_ref().is_none_or(Filler::is_alone)
    }

    /// Hands a record to the writer, with the camera's own picture if there is one that was not handed over before. With `wait`, a full
    /// ring is waited for unless the writer has failed.
    pub fn push(
        &mut self,
        record: &TickRecord,
        frame: Option<&Frame>,
        picture: &KeptPicture,
        time_ns: u64,
        wait: bool,
    ) {
        let Some(slots) = &mut self.slots else { return };
        let mut slot = slots.free();
        while slot.is_none() && wait && !slots.is_alone() {
            std::thread::yield_now();
            slot = slots.free();
        }
        let Some(mut slot) = slot else {
            self.dropped += 1;
            return;
        };
        slot.record.clone_from(record);
        slot.record.record.dropped = self.dropped;
        slot.with_frame = frame.is_some();
        if let Some(frame) = frame {
            slot.frame.copy_from(frame);
        }
        let seq = record.capture.frame_seq;
        let new = picture.came_bytes() > 0 && self.last_picture != Some(seq);
        slot.with_picture = new && !picture.is_too_large();
        if new {
            self.last_picture = Some(seq);
        }
        if slot.with_picture {
            slot.picture.copy_from(picture);
        } else if new {
            self.too_large.pictures += 1;
            self.too_large.largest_bytes = self.too_large.largest_bytes.max(picture.came_bytes());
        }
        slot.time_ns = time_ns;
        slots.hand_on(slot);
    }

    /// Writes what is left and ends the log. A disk that does not answer is waited for no longer than [`DISK_PATIENCE`].
    ///
    /// # Errors
    /// The writer's; what had been written before stays readable. [`EpisodeError::Hung`].
    pub fn finish(mut self) -> Result<EpisodeSummary, EpisodeError> {
        if let Some(slots) = self.slots.take() {
            slots.finish();
        }
        match self.end() {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            // Only dropping it ends it too, and then nobody asks.
            None => Ok(EpisodeSummary::default()),
        }
    }

    /// Ends the writing thread, unless that has been done. A thread that waits for a disk that does not answer is left behind.
    fn end(&mut self) -> Option<std::thread::Result<Result<EpisodeSummary, EpisodeError>>> {
        let thread = self.thread.take()?;
        // If the episode was not finished, the thread hears that nothing more will come.
        self.slots = None;
        let (mut written, mut since) = (self.written.load(Ordering::SeqCst), Instant::now());
        while !thread.is_finished() {
            let now = self.written.load(Ordering::SeqCst);
            if now != written {
                (written, since) = (now, Instant::now());
            }
            if since.elapsed() >= self.patience {
                return Some(Ok(Err(EpisodeError::Hung {
                    path: self.path.clone(),
                    waited_s: since.elapsed().as_secs_f64(),
                })));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Some(thread.join())
    }
}

impl Drop for Recorder {
    /// Of an episode that ended by an error: its last ticks tell how it came to that. The log stays without an end, so that
    /// nobody takes it for a whole one.
    fn drop(&mut self) {
        if let Some(Ok(Err(error))) = self.end() {
            log::error!("the log of an episode that failed: {error}");
        }
    }
}

/// The writing thread, which counts what it has done with. If it fails, the tick hears of it, since its end of the slots goes.
fn write<W: Write>(
    mut writer: EpisodeWriter<W>,
    mut slots: Emptier<Slot>,
    count: &AtomicU64,
) -> Result<EpisodeSummary, EpisodeError> {
    let mut looked = Instant::now();
    loop {
        // Also in front of each row that a slow disk has kept waiting: a tick that waits for nobody asks whether the log is lost.
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            writer.check()?;
        }
        match slots.take_next() {
            Next::Filled(slot) => {
                let frame = slot.with_frame.then_some(&slot.frame);
                let picture = slot.picture.jpeg().filter(|_| slot.with_picture);
                let written = writer.write_tick_with_picture(&slot.record, frame, picture, slot.time_ns);
                slots.give_back(slot);
                count.fetch_add(1, Ordering::SeqCst);
                written?;
            }
            Next::Nothing => slots.wait(WAIT),
            // Looks once more.
            Next::Ended { finished: true } => return writer.finish(),
            // What is at hand is written when the writer goes.
            Next::Ended { finished: false } => return Ok(EpisodeSummary::default()),
        }
    }
}
