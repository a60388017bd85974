//! The presentation times of a video's frames, read without decoding them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::{failed, ffmpeg, not_started};
use crate::DatasetError;

/// The presentation times of the first video stream of `file`, in seconds, in order.
///
/// # Errors
/// [`DatasetError`] if the file is no video, if a frame has no time, or if `ffmpeg` is missing.
pub(in crate::lerobot) fn of(file: &Path) -> Result<Vec<f64>, DatasetError> {
    // Whether it is there, and a file, is said better here than by another program.
    crate::folder::open(file)?;
    let mut child = ffmpeg()
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(file, error))?;
    let mut times = Vec::new();
    let mut problem = None;
    if let Some(output) = child.stdout.take() {
        let mut base_s = None;
        // Standard error stays short at this level: a line or two fit into the pipe.
        for line in BufReader::new(output).lines() {
            match line
                .map_err(|error| error.to_string())
                .and_then(|line| frame(&line, &mut base_s))
            {
                Ok(None) => {}
                Ok(Some(time_s)) => times.push(time_s),
                Err(found) => {
                    problem = Some(found);
                    break;
                }
            }
        }
    }
    let _ = child.kill();
    let ended = child.wait_with_output();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match (ended, problem) {
        (_, Some(problem)) => Err(failed(file, &problem)),
        (Ok(ended), None) if times.is_empty() => Err(failed(file, &said(&ended.stderr))),
        (Err(error), None) => Err(DatasetError::io(file, "cannot wait for ffmpeg", error)),
        (Ok(_), None) => {
            times.sort_by(f64::total_cmp);
            Ok(times)
        }
    }
}

/// The presentation time in a line of `framecrc`: stream, decoding time, presentation time, duration, size and checksum.
fn frame(line: &str, base_s: &mut Option<f64>) -> Result<Option<f64>, String> {
    if let Some(base) = line.strip_prefix("#tb 0:") {
        *base_s = super::decoder::fraction(base.trim());
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
