//! Pictures from videos. The `ffmpeg` program decodes them: it alone knows every codec that LeRobot's recorders use.
//!
//! A picture belongs to a row by its presentation time, never by its number: videos have other rates than rows, or lack frames.

mod complaints;
mod container;
mod decoder;
mod pairing;
mod patient;
mod times;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use self::decoder::Decoder;
pub(super) use self::pairing::{Stretch, TOLERANCE_S, Trust, pair};
use self::patient::Patient;
pub(super) use self::times::of as times;

use crate::DatasetError;

/// How long the program may give nothing. It decodes hundreds of frames a second.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How much of a processor's time the program may take for a file, in seconds.
const CPU_MAX_S: &str = "3600";

/// Pixels of the largest frame that is decoded: a damaged header must not claim all memory.
const PIXELS_MAX: &str = "67108864";

/// The program at work.
struct Running {
    child: Child,
    /// What it makes of the video.
    output: Option<Patient<ChildStdout>>,
    /// What it tells and complains of.
    said: Option<ChildStderr>,
}

/// Starts the program on the first video stream of `file`, with the options `before` and `after` the input. It may open this file,
/// as a video of a known kind, and nothing else: no other file, and no address of a network. Its output is waited for with a limit.
///
/// # Errors
/// [`DatasetError`] if the program cannot be started.
fn start(file: &Path, before: &[&str], after: &[&str]) -> Result<Running, DatasetError> {
    let mut command = Command::new("ffmpeg");
    let mut child = command
        // Times as the file has them, not from where reading begins.
        .args(["-nostdin", "-hide_banner", "-nostats", "-copyts"])
        .args(["-timelimit", CPU_MAX_S])
        .args(before)
        .args(["-protocol_whitelist", "file"])
        .args(["-format_whitelist", container::FORMATS])
        .args(["-max_pixels", PIXELS_MAX, "-i"])
        .arg(input(file))
        .args(["-map", "0:v:0"])
        .args(after)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(file, error))?;
    let output = child.stdout.take();
    Ok(Running {
        output: output.map(|output| Patient::new(output, SILENCE_MAX)),
        said: child.stderr.take(),
        child,
    })
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

/// `file` as an input: a name with a colon is no protocol.
fn input(file: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(file);
    name
}

/// The pictures of one episode after another, from whichever videos they are in.
#[derive(Debug)]
pub(super) struct Pictures {
    /// Whether a video of one channel is what was asked for.
    grey: bool,
    /// Width and height that pictures are brought to, in pixels.
    side: usize,
    open: Option<(PathBuf, Decoder)>,
}

/// Reading on is cheaper than a new start up to this far ahead.
const READ_ON_S: f64 = 20.0;

impl Pictures {
    /// Pictures of colours, or of one channel if that was asked for, at `side` x `side` pixels.
    pub(super) fn of(grey: bool, side: usize) -> Self {
        Self {
            grey,
            side,
            open: None,
        }
    }

    /// The pictures of `file`, whose first frame is at `start_s`, at `times_s`, which increase. `None` where the video has none at that time. Or why they cannot be
    /// believed: the video cannot be decoded, or the program told of errors that can have spoiled one of them.
    ///
    /// # Errors
    /// [`DatasetError`] if the program cannot be started.
    pub(super) fn at(
        &mut self,
        file: &Path,
        start_s: f64,
        times_s: &[f64],
    ) -> Result<Result<Vec<Option<robot::Frame>>, String>, DatasetError> {
        let Some(&first_s) = times_s.first() else {
            return Ok(Ok(Vec::new()));
        };
        let goes_on = self.open.take().filter(|(open, decoder)| {
            let held_s = decoder.held_s();
            open == file
                && held_s
                    .is_some_and(|held_s| held_s <= first_s + TOLERANCE_S && first_s < held_s + READ_ON_S)
        });
        let mut decoder = match goes_on {
            Some((_, decoder)) => decoder,
            None => Decoder::start(file, start_s, first_s - TOLERANCE_S, self.side)?,
        };
        let first = decoder.decoded();
        let mut pictures = Vec::with_capacity(times_s.len());
        for &time_s in times_s {
            match decoder.at(time_s) {
                Ok(picture) => pictures.push(picture),
                Err(said) => return Ok(Err(format!("ffmpeg cannot decode it: {said}"))),
            }
        }
        if decoder.grey() && !self.grey {
            let what = "it has one channel, and the camera is said to have colours";
            return Ok(Err(what.to_owned()));
        }
        if decoder.spoiled(first) {
            // What is decoded from here on may be predicted from what was spoiled. The next start tells.
            return Ok(Err(format!("ffmpeg decodes it with errors: {}", decoder.end())));
        }
        self.open = Some((file.to_owned(), decoder));
        Ok(Ok(pictures))
    }
}
