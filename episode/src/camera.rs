//! Reading the camera's own pictures, where a log keeps them.

use std::ops::ControlFlow;
use std::path::Path;

use crate::channel::Channel;
use crate::error::EpisodeError;
use crate::message;
use crate::reader::open;
use crate::scan::{Found, Stop, scan};

/// Shows `visit` the camera's own picture of each tick that has one, in order: the tick's number, and the JPEG as it came. One is in
/// memory at a time. A picture that served several ticks is with the first of them. `visit` ends the pass by [`ControlFlow::Break`].
///
/// Of a log that is cut off or damaged, the pictures of whole ticks are shown. Returns what is wrong with the log, `None` if nothing is
/// or if `visit` ended the pass.
///
/// # Errors
/// [`EpisodeError::Read`] if the file cannot be read.
pub fn read_pictures(
    path: &Path,
    mut visit: impl FnMut(u32, &[u8]) -> ControlFlow<()>,
) -> Result<Option<String>, EpisodeError> {
    // Of a tick that is not known to be whole yet.
    let mut open_tick: Option<(u32, Vec<u8>)> = None;
    let mut ended = false;
    let problem = scan(open(path)?, path, |found| {
        match found {
            Found::Damage => open_tick = None,
            Found::Message {
                channel: Channel::CaptureCamera,
                sequence,
                data,
            } => {
                let jpeg = message::read_camera(data).map_err(|problem| {
                    Stop::Damaged(format!(
                        "tick {sequence}, {}: {problem}",
                        Channel::CaptureCamera.topic()
                    ))
                })?;
                open_tick = Some((sequence, jpeg));
            }
            Found::Message {
                channel: Channel::Record,
                sequence,
                ..
            } => {
                if let Some((tick, jpeg)) = open_tick.take()
                    && tick == sequence
                    && visit(tick, &jpeg).is_break()
                {
                    ended = true;
                    return Err(Stop::Damaged(String::new()));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(problem.filter(|_| !ended))
}
