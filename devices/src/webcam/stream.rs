//! A running camera: buffers that circulate between the driver and us, and which of them is the newest.

use nix::errno::Errno;
use robot::device::{Picture, PixelFormat};
use robot::{Clock, MonotonicNs};

use super::abi::{Buffer, CAPTURE, FLAG_ERROR, FLAG_STAMP_MASK, FLAG_STAMP_MONOTONIC, MMAP, RequestBuffers};
use super::device::Agreed;
use super::kernel::{Call, Kernel, Readiness};
use super::{Counts, WebcamError};

/// Buffers that are asked for. With fewer, a driver drops pictures whenever we are late; with more, it keeps older ones.
const BUFFERS: u32 = 4;

/// How many numbers a picture may be behind the newest and count as late. One that is farther behind comes from a driver that counts from
/// the beginning again.
const DISORDER_MAX: u32 = 64;

/// Pause where there should have been a picture and was none, in nanoseconds.
const NOTHING_NS: u64 = 1_000_000;

/// When a picture was taken, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Increases by one a picture that the camera took, delivered or not, as far as the driver tells.
    pub(super) seq: u64,
    /// On the clock of the driver's time stamps.
    pub(super) captured_ns: MonotonicNs,
    /// Whether `captured_ns` is the driver's, not the time of arrival.
    pub(super) by_driver: bool,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A picture.
    Picture(Taken),
    /// Pictures came, and none of them is of use.
    Dropped,
    /// Nothing came, for so many nanoseconds of waiting. Time in which this program was held up does not count.
    Silence(u64),
}

/// A running camera.
#[derive(Debug)]
pub(super) struct Stream {
    agreed: Agreed,
    /// For each buffer, whether the driver has it.
    queued: Vec<bool>,
    age_max_ns: u64,
    last_sequence: Option<u32>,
    last_stamp_ns: u64,
    seq: u64,
}

impl Stream {
    /// Makes the buffers and begins. Numbers go on from `seq`.
    pub(super) fn start(
        kernel: &mut dyn Kernel,
        agreed: &Agreed,
        age_max_ns: u64,
        seq: u64,
    ) -> Result<Self, WebcamError> {
        let mut request = RequestBuffers {
            count: BUFFERS,
            kind: CAPTURE,
            memory: MMAP,
            ..RequestBuffers::default()
        };
        kernel
            .call(Call::RequestBuffers(&mut request))
            .map_err(|error| WebcamError::kernel("making buffers", error))?;
        let count = request.count.min(32);
        if count < 2 {
            return Err(WebcamError::kernel("making buffers", Errno::ENOMEM));
        }
        for index in 0..count {
            let mut buffer = empty(index);
            kernel
                .call(Call::QueryBuffer(&mut buffer))
                .map_err(|error| WebcamError::kernel("asking where buffers lie", error))?;
            kernel
                .map(index as usize, buffer.offset, buffer.length as usize)
                .map_err(|error| WebcamError::kernel("mapping buffers", error))?;
        }
        let mut stream = Self {
            agreed: agreed.clone(),
            queued: vec![false; count as usize],
            age_max_ns,
            last_sequence: None,
            last_stamp_ns: 0,
            seq,
        };
        for index in 0..count {
            stream.queue(kernel, index)?;
        }
        kernel
            .call(Call::StreamOn)
            .map_err(|error| WebcamError::kernel("beginning", error))?;
        Ok(stream)
    }

    /// The newest number.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits for a picture, for `timeout_ms` milliseconds at most, takes all that have arrived, and copies the newest into `into`.
    ///
    /// # Errors
    /// If the camera is gone or its driver broken: it must be opened again.
    pub(super) fn newest(
        &mut self,
        kernel: &mut dyn Kernel,
        timeout_ms: u16,
        clock: &dyn Clock,
        into: &mut Picture,
        counts: &mut Counts,
    ) -> Result<Turn, WebcamError> {
        let readiness = kernel
            .wait(timeout_ms)
            .map_err(|error| WebcamError::kernel("waiting for a picture", error))?;
        if readiness == Readiness::TimedOut {
            counts.timeouts += 1;
            return Ok(Turn::Silence(u64::from(timeout_ms) * 1_000_000));
        }
        let mut newest: Option<(Buffer, Taken)> = None;
        let mut drained = 0;
        while drained < self.queued.len() {
            let Some(buffer) = self.dequeue(kernel)? else {
                break;
            };
            drained += 1;
            match self.take_account(&buffer, clock.now_ns(), counts) {
                None => self.queue(kernel, buffer.index)?,
                Some(taken) => {
                    if let Some((older, _)) = newest.replace((buffer, taken)) {
                        counts.superseded += 1;
                        self.queue(kernel, older.index)?;
                    }
                }
            }
        }
        let Some((buffer, taken)) = newest else {
            if drained > 0 {
                return Ok(Turn::Dropped);
            }
            // An error that poll tells of and dequeueing does not: no use in asking again at once.
            clock.sleep_until_ns(clock.now_ns() + NOTHING_NS);
            return Ok(Turn::Silence(NOTHING_NS));
        };
        // Where every buffer was full, the driver had none to go on with, and nobody knows for how long: only its own stamps tell.
        let starved = drained == self.queued.len() && !taken.by_driver;
        let age_ns = clock.now_ns().saturating_sub(taken.captured_ns);
        let kept = if starved || age_ns > self.age_max_ns {
            counts.stale += 1;
            Turn::Dropped
        } else if self.copy(kernel.memory(buffer.index as usize), &buffer, into) {
            Turn::Picture(taken)
        } else {
            counts.torn += 1;
            Turn::Dropped
        };
        self.queue(kernel, buffer.index)?;
        Ok(kept)
    }

    fn queue(&mut self, kernel: &mut dyn Kernel, index: u32) -> Result<(), WebcamError> {
        kernel
            .call(Call::Queue(&mut empty(index)))
            .map_err(|error| WebcamError::kernel("giving a buffer back", error))?;
        if let Some(queued) = self.queued.get_mut(index as usize) {
            *queued = true;
        }
        Ok(())
    }

    /// A filled buffer, if there is one.
    fn dequeue(&mut self, kernel: &mut dyn Kernel) -> Result<Option<Buffer>, WebcamError> {
        let mut buffer = empty(0);
        match kernel.call(Call::Dequeue(&mut buffer)) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            // ENODEV after an unplugging, EINVAL from some kernels; EIO leaves the buffers in doubt.
            Err(error) => return Err(WebcamError::kernel("taking a picture", error)),
        }
        match self.queued.get_mut(buffer.index as usize) {
            Some(queued) if *queued => *queued = false,
            _ => return Err(WebcamError::Buffer { index: buffer.index }),
        }
        Ok(Some(buffer))
    }

    /// Number and time of a buffer's picture; `None` if it is damaged, or older than one that came before.
    fn take_account(&mut self, buffer: &Buffer, now_ns: MonotonicNs, counts: &mut Counts) -> Option<Taken> {
        let ahead = match self.last_sequence {
            None => 1,
            // Drivers that do not count leave it as it is.
            Some(last) if last == buffer.sequence => 1,
            Some(last) => {
                let behind = last.wrapping_sub(buffer.sequence);
                if behind <= DISORDER_MAX {
                    counts.disordered += 1;
                    return None;
                }
                let ahead = buffer.sequence.wrapping_sub(last);
                if ahead > u32::MAX / 2 { 1 } else { ahead }
            }
        };
        self.last_sequence = Some(buffer.sequence);
        self.seq += u64::from(ahead);
        counts.gaps += u64::from(ahead - 1);
        if buffer.flags & FLAG_ERROR != 0 {
            counts.flagged += 1;
            return None;
        }
        let stamp_ns = stamp_ns(buffer);
        let by_driver = buffer.flags & FLAG_STAMP_MASK == FLAG_STAMP_MONOTONIC
            && stamp_ns <= now_ns
            && stamp_ns > self.last_stamp_ns;
        self.last_stamp_ns = stamp_ns;
        Some(Taken {
            seq: self.seq,
            captured_ns: if by_driver { stamp_ns } else { now_ns },
            by_driver,
        })
    }

    /// Copies a picture without the padding of its rows. False if a part of it is missing.
    fn copy(&self, memory: &[u8], buffer: &Buffer, into: &mut Picture) -> bool {
        let Some(bytes) = memory.get(..buffer.bytes_used as usize) else {
            return false;
        };
        // Once for each picture that circulates: later ones then fit, however long their JPEG.
        let room = self.agreed.bytes_max as usize;
        into.bytes.reserve(room.saturating_sub(into.bytes.len()));
        let (width, height) = (self.agreed.width as usize, self.agreed.height as usize);
        let format = self.agreed.format.of_pictures();
        // Bytes of a row with pixels alone, and rows; NV12 has half as many again with colours.
        let (row, rows) = match format {
            PixelFormat::Jpeg => {
                into.fill(self.agreed.width, self.agreed.height, format, bytes);
                return !bytes.is_empty();
            }
            PixelFormat::Rgb8 => (3 * width, height),
            PixelFormat::Yuyv => (2 * width, height),
            PixelFormat::Nv12 => (width, height + height / 2),
        };
        let stride = row.max(self.agreed.bytes_per_line as usize);
        if bytes.len() < stride * (rows - 1) + row {
            return false;
        }
        into.fill(self.agreed.width, self.agreed.height, format, &[]);
        for line in bytes.chunks(stride).take(rows) {
            into.bytes.extend_from_slice(&line[..row]);
        }
        true
    }
}

fn empty(index: u32) -> Buffer {
    Buffer {
        index,
        kind: CAPTURE,
        memory: MMAP,
        ..Buffer::default()
    }
}

/// A buffer's time stamp in nanoseconds; 0 for one before the clock's beginning.
fn stamp_ns(buffer: &Buffer) -> u64 {
    let us = buffer
        .stamp_s
        .saturating_mul(1_000_000)
        .saturating_add(buffer.stamp_us);
    u64::try_from(us).unwrap_or(0).saturating_mul(1_000)
}
