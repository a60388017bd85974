//! The goals of the rows that are taken: their ranges are what actions of -1 and 1 mean.

use std::path::PathBuf;

use super::ranges::Range;
use super::survey::{Planned, wanted, within};
use crate::DatasetError;
use crate::lerobot::columns;
use crate::lerobot::layout;

/// A range for each of `joints`. Rows that are left out do not count: one of them could stretch the range of all others.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read.
pub(super) fn ranges(
    files: &[PathBuf],
    joints: usize,
    episodes: &[Planned],
) -> Result<Vec<Range>, DatasetError> {
    let mut ranges = vec![Range::default(); joints];
    for (path, wanted) in files.iter().zip(wanted(files.len(), episodes)) {
        for rows in columns::batches(path, Some(&[layout::ACTION]))? {
            let rows = rows?;
            let first = rows.first;
            let goals = rows.vectors(layout::ACTION)?;
            for (row, slot, at) in within(&wanted, first, first + rows.len() as u32) {
                let episode = &episodes[*slot as usize];
                let frame = episode.rows[*at as usize].0.frame;
                // The first pass has left out rows whose goals are no numbers.
                let goal = goals.finite((row - first) as usize, joints).unwrap_or_default();
                for (range, goal) in ranges.iter_mut().zip(goal) {
                    range.add(episode.number as i64, frame, *goal);
                }
            }
        }
    }
    Ok(ranges)
}
