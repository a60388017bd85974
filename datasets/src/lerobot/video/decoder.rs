//! Decoded frames with their presentation times.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use robot::Frame;

use super::complaints::Complaints;
use super::patient::Patient;
use super::{Running, TOLERANCE_S, start};
use crate::DatasetError;

/// Times that are told before their frames are read. The program holds a few frames at a time.
const TIMES_AHEAD: usize = 4096;

/// Frames that a codec may hold back, to show them in another order than it stores them.
const REORDERED: u64 = 32;

/// What the program tells of a frame before it writes it.
#[derive(Debug, Clone, Copy)]
struct Told {
    time_s: f64,
    /// Errors until then.
    errors: u64,
    /// Whether the video has one channel.
    grey: bool,
}

/// A running decoder of one video.
#[derive(Debug)]
pub(in crate::lerobot) struct Decoder {
    child: Child,
    output: Option<Patient<ChildStdout>>,
    /// Width and height of its frames, in pixels.
    side: usize,
    /// Taken away first at the end, so that the listener never waits for room.
    told: Option<Receiver<Told>>,
    listener: Option<JoinHandle<Complaints>>,
    /// The frame that was decoded last, until a later one is asked for.
    held: Option<(f64, Frame)>,
    /// Frames decoded.
    decoded: u64,
    errors: u64,
    grey: bool,
    /// The number of the frame before which the last error was told.
    error_at: Option<u64>,
    ended: bool,
}

impl Decoder {
    /// Starts to decode `file`, the first frame of which is at `start_s`, at the first frame that is not before `from_s`. Frames are
    /// brought to `side` x `side` pixels.
    ///
    /// # Errors
    /// [`DatasetError`] if the program cannot be started.
    pub(in crate::lerobot) fn start(
        file: &Path,
        start_s: f64,
        from_s: f64,
        side: usize,
    ) -> Result<Self, DatasetError> {
        let filter =
            format!("crop='min(iw,ih)':'min(iw,ih)',scale={side}:{side}:flags=area,showinfo=checksum=0");
        // The program counts from the beginning of the file, which is not after its first frame.
        let from_s = format!("{:.6}", (from_s - start_s.max(0.0)).max(0.0));
        // With one thread an error is told before the frames that it spoils.
        let before = ["-v", "level+info", "-threads", "1", "-ss", &from_s];
        // As many frames as there are, whatever their times.
        let after = [
            "-fps_mode",
            "passthrough",
            "-vf",
            &filter,
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ];
        let Running { child, output, said } = start(file, &before, &after)?;
        let (teller, told) = sync_channel(TIMES_AHEAD);
        let listener = Builder::new()
            .name("video times".to_owned())
            .spawn(move || listen(said, &teller));
        let mut decoder = Self {
            child,
            output,
            side,
            told: Some(told),
            listener: None,
            held: None,
            decoded: 0,
            errors: 0,
            grey: false,
            error_at: None,
            ended: false,
        };
        // Without a listener the decoder is dropped here, which ends the program.
        decoder.listener =
            Some(listener.map_err(|error| DatasetError::io(file, "cannot start a thread", error))?);
        Ok(decoder)
    }

    /// The time of the frame that is held, in seconds; `None` before the first.
    pub(in crate::lerobot) fn held_s(&self) -> Option<f64> {
        self.held.as_ref().map(|(time_s, _)| *time_s)
    }

    /// Frames decoded until now.
    pub(in crate::lerobot) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Whether the video has one channel, by its first frame.
    pub(in crate::lerobot) fn grey(&self) -> bool {
        self.grey
    }

    /// Whether an error was told that can have spoiled a frame from number `first` on, up to the last that was decoded.
    pub(in crate::lerobot) fn spoiled(&self, first: u64) -> bool {
        self.error_at.is_some_and(|at| at + REORDERED >= first)
    }

    /// The frame at `time_s`, or `None` if the video has none at that time. Times must not decrease from call to call.
    ///
    /// # Errors
    /// Why decoding failed.
    pub(in crate::lerobot) fn at(&mut self, time_s: f64) -> Result<Option<Frame>, String> {
        loop {
            match &self.held {
                Some((held_s, frame)) if *held_s >= time_s - TOLERANCE_S => {
                    return Ok((*held_s <= time_s + TOLERANCE_S).then(|| frame.clone()));
                }
                _ if self.ended => return Ok(None),
                _ => self.advance()?,
            }
        }
    }

    /// Ends the program, and returns what it complained of.
    pub(in crate::lerobot) fn end(mut self) -> String {
        self.stop();
        let listener = self.listener.take().and_then(|listener| listener.join().ok());
        listener.unwrap_or_default().text()
    }

    fn stop(&mut self) {
        self.told = None;
        // It may be in the middle of frames that nobody needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Decodes the next frame.
    fn advance(&mut self) -> Result<(), String> {
        let mut frame = Frame::new(self.side);
        let read = self.output.as_mut().map(|pipe| pipe.read_exact(frame.rgb_mut()));
        if let Some(Err(error)) = &read
            && error.kind() == ErrorKind::TimedOut
        {
            self.stop();
            return Err(error.to_string());
        }
        if let Some(Ok(())) = read {
            // A frame is told of before it is written.
            let told = self.told.as_ref().and_then(|told| told.recv().ok());
            let told = told.ok_or("a frame has no presentation time")?;
            if told.errors > self.errors {
                (self.errors, self.error_at) = (told.errors, Some(self.decoded));
            }
            self.grey = told.grey;
            self.decoded += 1;
            self.held = Some((told.time_s, frame));
            return Ok(());
        }
        self.ended = true;
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => {
                let said = self.listener.take().and_then(|listener| listener.join().ok());
                Err(said.unwrap_or_default().text())
            }
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.stop();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// Passes on what the program tells of frames. Returns what it complained of.
fn listen(said: Option<ChildStderr>, teller: &SyncSender<Told>) -> Complaints {
    let mut base_s = None;
    let mut grey = false;
    let mut complaints = Complaints::default();
    let Some(said) = said else { return complaints };
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Titles of videos are in any encoding.
        let text = String::from_utf8_lossy(&line);
        if text.contains("showinfo") {
            if let Some((_, base)) = text.split_once("config in time_base:") {
                base_s = fraction(base.split(',').next().unwrap_or_default().trim());
            } else if let Some(ticks) = ticks(&text)
                && let Some(base_s) = base_s
            {
                let told = Told {
                    time_s: ticks as f64 * base_s,
                    errors: complaints.count(),
                    grey,
                };
                // A receiver that is gone wants no more.
                let _ = teller.send(told);
            }
        } else {
            // The stream that is read comes first, then what is made of it, whose pixels are always RGB.
            grey |= text.contains("Video:")
                && (text.contains(", gray") || text.contains(", ya8") || text.contains(", ya16"));
            complaints.hear(&text);
        }
        line.clear();
    }
    complaints
}

/// The time in units of the time base. What is also told in seconds has six digits only.
fn ticks(line: &str) -> Option<i64> {
    let (_, rest) = line.split_once(" pts:")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A fraction such as `1/10240`.
pub(super) fn fraction(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let value = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}
