//! What a video's file is, by how it begins, before another program opens it.
//!
//! `ffmpeg` believes contents and not names: a file called `.mp4` can be a playlist that has it open any other file or address.

use std::io::Read;
use std::path::Path;

/// The kinds of files that `ffmpeg` is let open, by its own names for them.
pub(super) const FORMATS: &str = "mov,mp4,matroska,webm,avi";

/// What the first part of an MP4 or QuickTime file can be called.
const PARTS: [&[u8; 4]; 7] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"];

/// How lists of other files begin.
const PLAYLISTS: [&[u8]; 5] = [b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"<smil"];

/// Refuses a file that is no video of a kind that LeRobot's recorders write.
///
/// # Errors
/// What is there in its place, as the end of a sentence that begins with `it`.
pub(super) fn check(file: &Path) -> Result<(), String> {
    let mut head = Vec::new();
    files::open(file)
        .and_then(|opened| opened.take(64).read_to_end(&mut head))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let is_part = |name: &[u8]| PARTS.iter().any(|part| *part == name);
    let is_video = head.get(4..8).is_some_and(is_part)
        || head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI "));
    if is_video {
        return Ok(());
    }
    // A byte order mark and blanks may stand before the text.
    let text = head
        .strip_prefix(&[0xef, 0xbb, 0xbf])
        .unwrap_or(&head)
        .trim_ascii_start();
    Err(if PLAYLISTS.iter().any(|start| text.starts_with(start)) {
        "it is a list of other files or addresses and no video: put the video itself here".to_owned()
    } else {
        "it does not begin as an MP4, Matroska or AVI file does: it is no video, or is damaged".to_owned()
    })
}
