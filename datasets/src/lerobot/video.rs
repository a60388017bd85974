//! Pictures from videos. The `ffmpeg` program decodes them: it alone knows every codec that LeRobot's recorders use.
//!
//! A picture belongs to a row by its presentation time, never by its number: videos have other rates than rows, or lack frames.

mod decoder;
mod pairing;
mod times;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) use self::decoder::Decoder;
pub(super) use self::pairing::{Stretch, TOLERANCE_S, Trust, pair};
pub(super) use self::times::of as times;

use crate::DatasetError;

/// The program with what every call of it needs.
fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    // Times as the file has them, not from where reading begins.
    command.args(["-nostdin", "-hide_banner", "-nostats", "-copyts"]);
    command
}

/// The program could not be started.
fn not_started(file: &Path, error: std::io::Error) -> DatasetError {
    if error.kind() != std::io::ErrorKind::NotFound {
        return DatasetError::io(file, "cannot start ffmpeg", error);
    }
    let problem = "is a video, and the program `ffmpeg` that decodes it was not found";
    DatasetError::field(
        file,
        "video",
        problem,
        "install ffmpeg, which any package manager has",
    )
}

/// The program failed, and `said` why.
fn failed(file: &Path, said: &str) -> DatasetError {
    let said = said.trim();
    let said = if said.is_empty() {
        "it did not say why"
    } else {
        said
    };
    let problem = format!("could not be decoded by ffmpeg: {said}");
    let remedy = "have ffmpeg 5.1 or newer with the video's codec, and see whether it plays the file; if not, fetch the data set again";
    DatasetError::field(file, "video", problem, remedy)
}

/// The pictures of one episode after another, from whichever videos they are in.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    open: Option<(PathBuf, Decoder)>,
    /// What was said of files while they were decoded.
    complaints: Vec<(PathBuf, String)>,
}

/// Reading on is cheaper than a new start up to this far ahead.
const READ_ON_S: f64 = 20.0;

impl Pictures {
    /// The pictures of `file` at `times_s`, which increase. `None` where the video has none at that time.
    ///
    /// # Errors
    /// [`DatasetError`] if the video cannot be decoded.
    pub(super) fn at(
        &mut self,
        file: &Path,
        times_s: &[f64],
    ) -> Result<Vec<Option<robot::Frame>>, DatasetError> {
        let Some(&first_s) = times_s.first() else {
            return Ok(Vec::new());
        };
        let goes_on = self.open.as_ref().is_some_and(|(open, decoder)| {
            open == file
                && decoder
                    .next_s()
                    .is_none_or(|next_s| next_s <= first_s + TOLERANCE_S && first_s < next_s + READ_ON_S)
        });
        if !goes_on {
            // The decoder of the file before ends first.
            self.close();
            let decoder = Decoder::start(file, first_s - TOLERANCE_S)?;
            self.open = Some((file.to_owned(), decoder));
        }
        let mut pictures = Vec::with_capacity(times_s.len());
        if let Some((_, decoder)) = &mut self.open {
            for &time_s in times_s {
                pictures.push(decoder.at(time_s)?);
            }
        }
        Ok(pictures)
    }

    /// Files that decode with errors, each with the first of these.
    pub(super) fn complaints(&mut self) -> Vec<(PathBuf, String)> {
        self.close();
        std::mem::take(&mut self.complaints)
    }

    fn close(&mut self) {
        if let Some((file, decoder)) = self.open.take() {
            let complaint = decoder.end();
            if !complaint.is_empty() && self.complaints.iter().all(|(other, _)| *other != file) {
                self.complaints.push((file, complaint));
            }
        }
    }
}
