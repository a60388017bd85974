//! The presentation times of a video's frames, read without decoding them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ChildStderr;
use std::thread::Builder;

use super::complaints::Complaints;
use super::decoder::fraction;
use super::{Running, container, start};
use crate::DatasetError;

/// The most frames of a video: a day and a half at 120 a second.
const FRAMES_MAX: usize = 1 << 24;

/// What is known of a video without decoding it.
#[derive(Debug, Default, PartialEq)]
pub(in crate::lerobot) struct Film {
    /// The presentation times of its frames, in seconds, in order.
    pub(in crate::lerobot) times_s: Vec<f64>,
    /// Its width and height, if they are told.
    pub(in crate::lerobot) size: Option<(u64, u64)>,
}

/// Looks into the first video stream of `file`, or says why there is none.
///
/// # Errors
/// [`DatasetError`] if `ffmpeg` cannot be started.
pub(in crate::lerobot) fn of(file: &Path) -> Result<Result<Film, String>, DatasetError> {
    // Whether it is there, and a file, is said better here than by another program.
    if let Err(error) = files::open(file) {
        return Ok(Err(format!("it cannot be read: {error}")));
    }
    if crate::folder::is_lfs_pointer(file) {
        let what =
            "it is a Git LFS pointer and no video: fetch it with `git lfs pull`, or with the `hf` program";
        return Ok(Err(what.to_owned()));
    }
    if let Err(what) = container::check(file) {
        return Ok(Err(what));
    }
    let after = ["-c", "copy", "-f", "framecrc", "-"];
    let Running {
        mut child,
        output,
        said,
    } = start(file, &["-v", "level+error"], &after)?;
    // A damaged file has errors without end, which would fill the pipe.
    let listener = Builder::new()
        .name("video errors".to_owned())
        .spawn(move || listen(said));
    let mut film = Film::default();
    let mut problem = None;
    if let Some(output) = output {
        let mut base_s = None;
        for line in BufReader::new(output).lines() {
            if let Ok(Some(size)) = line.as_ref().map(|line| dimensions(line)) {
                film.size = Some(size);
            }
            match line
                .map_err(|error| error.to_string())
                .and_then(|line| frame(&line, &mut base_s))
            {
                Ok(None) => {}
                Ok(Some(_)) if film.times_s.len() == FRAMES_MAX => {
                    problem = Some(format!("it has more than {FRAMES_MAX} frames"));
                    break;
                }
                Ok(Some(time_s)) => film.times_s.push(time_s),
                Err(found) => {
                    problem = Some(found);
                    break;
                }
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let said = listener
        .ok()
        .and_then(|listener| listener.join().ok())
        .unwrap_or_default();
    Ok(match problem {
        Some(problem) => Err(problem),
        None if film.times_s.is_empty() => Err(format!("ffmpeg finds no frame in it: {}", said.text())),
        None => {
            film.times_s.sort_by(f64::total_cmp);
            Ok(film)
        }
    })
}

/// Width and height in a line of `framecrc`'s head.
fn dimensions(line: &str) -> Option<(u64, u64)> {
    let (width, height) = line.strip_prefix("#dimensions 0:")?.trim().split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn listen(said: Option<ChildStderr>) -> Complaints {
    let mut complaints = Complaints::default();
    let Some(said) = said else { return complaints };
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        complaints.hear(&String::from_utf8_lossy(&line));
        line.clear();
    }
    complaints
}

/// The presentation time in a line of `framecrc`: stream, decoding time, presentation time, duration, size and checksum.
fn frame(line: &str, base_s: &mut Option<f64>) -> Result<Option<f64>, String> {
    if let Some(base) = line.strip_prefix("#tb 0:") {
        *base_s = fraction(base.trim());
    }
    if line.starts_with('#') {
        return Ok(None);
    }
    let ticks = line
        .split(',')
        .nth(2)
        .and_then(|field| field.trim().parse::<i64>().ok());
    match (ticks, *base_s) {
        // The smallest number stands for no time.
        (Some(ticks), Some(base_s)) if ticks != i64::MIN => Ok(Some(ticks as f64 * base_s)),
        _ => Err(format!("a frame has no presentation time (`{line}`)")),
    }
}
