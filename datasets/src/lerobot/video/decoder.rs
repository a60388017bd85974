//! Decoded frames with their presentation times.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use robot::{FRAME_SIDE, Frame};

use super::{TOLERANCE_S, failed, ffmpeg, not_started};
use crate::DatasetError;

/// Times that are told before their frames are read. The program holds a few frames at a time.
const TIMES_AHEAD: usize = 4096;

/// Characters of what the program complains of that are kept.
const COMPLAINT: usize = 500;

/// A running decoder of one video.
#[derive(Debug)]
pub(in crate::lerobot) struct Decoder {
    file: PathBuf,
    child: Child,
    times: Receiver<f64>,
    listener: Option<JoinHandle<String>>,
    /// The frame that was decoded last, until a later one is asked for.
    held: Option<(f64, Frame)>,
    ended: bool,
}

impl Decoder {
    /// Starts to decode `file` at the first frame that is not before `from_s`.
    ///
    /// # Errors
    /// [`DatasetError`] if the program is not there.
    pub(in crate::lerobot) fn start(file: &Path, from_s: f64) -> Result<Self, DatasetError> {
        let filter = format!(
            "crop='min(iw,ih)':'min(iw,ih)',scale={FRAME_SIDE}:{FRAME_SIDE}:flags=area,showinfo=checksum=0"
        );
        let mut child = ffmpeg()
            .args([
                "-v",
                "level+info",
                "-seek_timestamp",
                "1",
                "-ss",
                &format!("{:.6}", from_s.max(0.0)),
                "-i",
            ])
            .arg(file)
            // As many frames as there are, whatever their times.
            .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", &filter])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(file, error))?;
        let (told, times) = sync_channel(TIMES_AHEAD);
        let said = child.stderr.take();
        let listener = Builder::new()
            .name("video times".to_owned())
            .spawn(move || listen(said, &told))
            .map_err(|error| DatasetError::io(file, "cannot start a thread", error))?;
        Ok(Self {
            file: file.to_owned(),
            child,
            times,
            listener: Some(listener),
            held: None,
            ended: false,
        })
    }

    /// The time of the frame that is held, in seconds; `None` before the first.
    pub(in crate::lerobot) fn next_s(&self) -> Option<f64> {
        self.held.as_ref().map(|(time_s, _)| *time_s)
    }

    /// The frame at `time_s`, or `None` if the video has none at that time. Times must not decrease from call to call.
    ///
    /// # Errors
    /// [`DatasetError`] if decoding fails.
    pub(in crate::lerobot) fn at(&mut self, time_s: f64) -> Result<Option<Frame>, DatasetError> {
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
        let _ = self.child.kill();
        let _ = self.child.wait();
        let listener = self.listener.take();
        listener
            .and_then(|listener| listener.join().ok())
            .unwrap_or_default()
    }

    /// Decodes the next frame.
    fn advance(&mut self) -> Result<(), DatasetError> {
        let mut frame = Frame::default();
        let read = self
            .child
            .stdout
            .as_mut()
            .map(|pipe| pipe.read_exact(frame.rgb_mut()));
        if let Some(Ok(())) = read {
            // A frame's time is told before the frame is written.
            let time_s = self
                .times
                .recv()
                .map_err(|_| failed(&self.file, "a frame has no presentation time"))?;
            self.held = Some((time_s, frame));
            return Ok(());
        }
        self.ended = true;
        let status = self.child.wait();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => {
                let said = self.listener.take().and_then(|listener| listener.join().ok());
                Err(failed(&self.file, &said.unwrap_or_default()))
            }
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It may be in the middle of frames that nobody needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes times on as the program tells them. Returns the last of what it complains of.
fn listen(said: Option<ChildStderr>, told: &SyncSender<f64>) -> String {
    let mut base_s = None;
    let mut complaint = String::new();
    let mut lines = said.into_iter().map(BufReader::new).flat_map(BufRead::lines);
    while let Some(Ok(line)) = lines.next() {
        if line.contains("showinfo") {
            if let Some((_, base)) = line.split_once("config in time_base:") {
                base_s = fraction(base.split(',').next().unwrap_or_default().trim());
            } else if let Some(ticks) = ticks(&line)
                && let Some(base_s) = base_s
            {
                // A receiver that is gone wants no more.
                let _ = told.send(ticks as f64 * base_s);
            }
        } else if ["[error]", "[fatal]", "[panic]"]
            .iter()
            .any(|level| line.contains(level))
            && complaint.len() < COMPLAINT
        {
            complaint.push_str(line.trim());
            complaint.push_str("; ");
        }
    }
    complaint.truncate(complaint.trim_end_matches("; ").len());
    complaint
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
