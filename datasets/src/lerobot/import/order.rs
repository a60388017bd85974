//! The rows of an episode in their order, and where they do not follow one another.
//!
//! A row says three times where it belongs: by its `frame_index`, its `timestamp` and its `index`. Two rows follow one another if
//! all three say so. A gap in the log separates rows that do not follow one another. This also holds where rows of another episode
//! are stored between them: nothing else tells such a data set from one in which the keys of two rows were exchanged. Rows that
//! claim the same place are left out, since nothing tells which of them is right.

use std::collections::BTreeMap;

/// What a row says of its place, and where it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowKey {
    /// Which data file it is in.
    pub(super) file: u32,
    /// Its place in that file.
    pub(super) row: u32,
    /// `frame_index`.
    pub(super) frame: i64,
    /// `timestamp`, in seconds from the beginning of its episode.
    pub(super) time_s: f64,
    /// `task_index`.
    pub(super) task: i64,
    /// `index`: its place among all rows of the data set.
    pub(super) index: Option<i64>,
    /// What stands for its goals: two rows with the same keys and the same goals are one row that is stored twice.
    pub(super) goals: u64,
}

impl RowKey {
    /// Whether this is the same row, stored in another place.
    fn is_copy_of(&self, other: &Self) -> bool {
        let keys = |row: &Self| (row.frame, row.time_s.to_bits(), row.task, row.index, row.goals);
        keys(self) == keys(other)
    }
}

/// Something about a stretch of rows that does not agree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disagreement {
    /// Which rows, in words.
    pub(super) place: String,
    /// What is said, with all values.
    pub(super) what: String,
    /// Whether rows are left out for it.
    pub(super) left_out: bool,
}

/// Rows in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ordered {
    /// The rows to take, with the numbers of their ticks: consecutive where rows follow one another, and nowhere else.
    pub(super) rows: Vec<(RowKey, u32)>,
    /// What was found.
    pub(super) disagreements: Vec<Disagreement>,
    /// Whether the episode begins again within itself.
    pub(super) restarted: bool,
    /// Why the times of its rows do not make the rate that the data set has, if they do not.
    pub(super) drift: Option<String>,
    /// Frames that are stored, those that are left out because several rows claim them included.
    pub(super) frames: u64,
}

/// Missing rows that a gap shows at most. A damaged number must not make a log of billions of periods.
const WIDEST_GAP: u32 = 10;

/// Part of a period by which the time from row to row may differ from it.
const TIME_TOLERANCE: f64 = 0.5;

/// Rows, or part of the rows, by which the times of a stretch may be off in all.
const DRIFT_ROWS: f64 = 0.25;
pub(super) const DRIFT_PART: f64 = 0.02;

/// Puts the rows of an episode in order; they come as they are stored. There are `fps` rows a second.
pub(super) fn order(stored: Vec<RowKey>, fps: f64) -> Ordered {
    let mut ordered = Ordered::default();
    for stretch in sorted(stored, &mut ordered) {
        let mut before: Option<RowKey> = None;
        for row in stretch {
            let last = ordered.rows.last().map(|(_, tick)| *tick);
            let tick = match (before, last) {
                (Some(before), Some(last)) => match broken(&before, &row, fps) {
                    None => last + 1,
                    Some((what, missing)) => {
                        let place = format!("between frames {} and {}", before.frame, row.frame);
                        ordered.disagreements.push(Disagreement {
                            place,
                            what,
                            left_out: false,
                        });
                        last + 1 + missing
                    }
                },
                // A stretch that begins again.
                (None, Some(last)) => last + 2,
                (_, None) => {
                    if row.frame > 0 {
                        let what = format!("its first frame is {}; those before are not here", row.frame);
                        let place = format!("before frame {}", row.frame);
                        ordered.disagreements.push(Disagreement {
                            place,
                            what,
                            left_out: false,
                        });
                    }
                    row.frame.clamp(0, WIDEST_GAP.into()) as u32
                }
            };
            ordered.rows.push((row, tick));
            before = Some(row);
        }
    }
    ordered.drift = drift(&ordered.rows, fps);
    ordered
}

/// Periods and seconds in all stretches of `rows`.
pub(super) fn spans(rows: &[(RowKey, u32)]) -> (f64, f64) {
    rows.chunk_by(|before, row| before.1 + 1 == row.1)
        .fold((0.0, 0.0), |(periods, seconds), stretch| {
            let (first, last) = (&stretch[0].0, &stretch[stretch.len() - 1].0);
            (
                periods + (stretch.len() - 1) as f64,
                seconds + last.time_s - first.time_s,
            )
        })
}

/// Whether the times of rows that follow one another make `fps` rows a second. Times that are a little off from row to row are a
/// camera's; times that are off more and more tell that the rate is another one.
fn drift(rows: &[(RowKey, u32)], fps: f64) -> Option<String> {
    rows.chunk_by(|before, row| before.1 + 1 == row.1)
        .find_map(|stretch| {
            let (first, last) = (stretch.first()?.0, stretch.last()?.0);
            let (periods, seconds) = ((stretch.len() - 1) as f64, last.time_s - first.time_s);
            let off = (seconds * fps - periods).abs();
            (off > DRIFT_ROWS.max(DRIFT_PART * periods)).then(|| {
                format!(
                    "frames {} to {} take {seconds:.3} s by timestamp, and {:.3} s by fps, which is {fps}",
                    first.frame,
                    last.frame,
                    periods / fps
                )
            })
        })
}

/// Why a row does not follow the one before, and how many rows are missing between them, at least one.
fn broken(before: &RowKey, row: &RowKey, fps: f64) -> Option<(String, u32)> {
    let frames = row.frame - before.frame;
    let seconds = row.time_s - before.time_s;
    let places = before.index.zip(row.index);
    let what = if frames != 1 {
        format!(
            "a gap: frame_index goes from {} to {}, timestamp from {:.3} to {:.3} s",
            before.frame, row.frame, before.time_s, row.time_s
        )
    } else if !((seconds * fps - 1.0).abs() <= TIME_TOLERANCE) {
        format!(
            "timestamp goes from {:.3} to {:.3} s, where frame_index goes on by one and fps is {fps}",
            before.time_s, row.time_s
        )
    } else if let Some((then, now)) = places.filter(|(then, now)| then.checked_add(1) != Some(*now)) {
        format!(
            "index goes from {then} to {now}, where frame_index goes on by one; if frame_index is right, sort the rows and number \
             index anew"
        )
    } else {
        return None;
    };
    Some((what, (frames - 1).clamp(1, WIDEST_GAP.into()) as u32))
}

/// The rows in stretches by `frame_index`: one, or more where the episode begins again.
fn sorted(stored: Vec<RowKey>, ordered: &mut Ordered) -> Vec<Vec<RowKey>> {
    let mut rows = Vec::with_capacity(stored.len());
    for row in stored {
        let unsound = if row.frame < 0 {
            Some(format!("frame_index is {}", row.frame))
        } else if !row.time_s.is_finite() {
            Some(format!("timestamp is {}", row.time_s))
        } else {
            None
        };
        match unsound {
            None => rows.push(row),
            Some(what) => {
                let place = format!("row {} of its file", row.row);
                ordered.disagreements.push(Disagreement {
                    place,
                    what,
                    left_out: true,
                });
            }
        }
    }
    let all = rows.len();
    let mut seen: BTreeMap<i64, Vec<RowKey>> = BTreeMap::new();
    rows.retain(|row| {
        let others = seen.entry(row.frame).or_default();
        let is_copy = row.index.is_some() && others.iter().any(|other| row.is_copy_of(other));
        others.push(*row);
        !is_copy
    });
    if rows.len() < all {
        ordered.disagreements.push(Disagreement {
            place: "all of it".to_owned(),
            what: format!("{} rows are stored twice; each is taken once", all - rows.len()),
            left_out: true,
        });
    }
    let mut count: BTreeMap<i64, u32> = BTreeMap::new();
    for row in &rows {
        *count.entry(row.frame).or_default() += 1;
    }
    ordered.frames = count.len() as u64;
    let Some((&frame, _)) = count.iter().find(|(_, count)| **count > 1) else {
        rows.sort_by_key(|row| row.frame);
        return vec![rows];
    };
    let mut stretches: Vec<Vec<RowKey>> = Vec::new();
    for row in &rows {
        match stretches.last_mut() {
            Some(stretch) if stretch.last().is_some_and(|last| last.frame < row.frame) => stretch.push(*row),
            _ => stretches.push(vec![*row]),
        }
    }
    // A first row that is stored twice is no beginning.
    if stretches
        .iter()
        .all(|stretch| stretch[0].frame == 0 && stretch.len() > 1)
    {
        ordered.restarted = true;
        ordered.disagreements.push(Disagreement {
            place: format!("{} stretches", stretches.len()),
            what: "frame_index begins again at 0 within the episode".to_owned(),
            left_out: false,
        });
        return stretches;
    }
    let repeated: u32 = count.values().filter(|count| **count > 1).sum();
    ordered.disagreements.push(Disagreement {
        place: format!("frame {frame}"),
        what: format!("{repeated} rows share their frame_index with another row; all of these are left out"),
        left_out: true,
    });
    rows.retain(|row| count[&row.frame] == 1);
    rows.sort_by_key(|row| row.frame);
    vec![rows]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with these frames, as they are stored, all else in agreement.
    fn rows(frames: &[i64]) -> Vec<RowKey> {
        let key = |(row, &frame): (usize, &i64)| RowKey {
            file: 0,
            row: row as u32,
            frame,
            time_s: frame as f64 * 0.1,
            task: 0,
            index: Some(100 + frame),
            goals: row as u64,
        };
        frames.iter().enumerate().map(key).collect()
    }

    /// Frame and tick of each row that is taken.
    fn taken(rows: Vec<RowKey>) -> (Vec<(i64, u32)>, Vec<String>) {
        let ordered = order(rows, 10.0);
        let taken = ordered
            .rows
            .iter()
            .map(|(row, tick)| (row.frame, *tick))
            .collect();
        let said = ordered.disagreements.iter();
        (
            taken,
            said.map(|found| format!("{}: {}", found.place, found.what))
                .collect(),
        )
    }

    #[test]
    fn rows_follow_one_another_by_their_frames_and_nothing_else() {
        for (stored, expected, words) in [
            (vec![0, 1, 2], vec![(0, 0), (1, 1), (2, 2)], vec![]),
            (vec![2, 0, 1], vec![(0, 0), (1, 1), (2, 2)], vec![]),
            (
                vec![0, 1, 5, 6],
                vec![(0, 0), (1, 1), (5, 5), (6, 6)],
                vec!["gap"],
            ),
            (vec![3, 4], vec![(3, 3), (4, 4)], vec!["first frame is 3"]),
            (
                vec![0, 1, 1, 2, 3],
                vec![(0, 0), (2, 2), (3, 3)],
                vec!["frame 1: 2 rows", "gap"],
            ),
            (
                vec![0, 1, 0, 1],
                vec![(0, 0), (1, 1), (0, 3), (1, 4)],
                vec!["begins again"],
            ),
            (
                vec![0, 1, i64::MAX],
                vec![(0, 0), (1, 1), (i64::MAX, 12)],
                vec!["gap"],
            ),
            (vec![0, -1, 1], vec![(0, 0), (1, 1)], vec!["frame_index is -1"]),
            (vec![], vec![], vec![]),
        ] {
            let (found, said) = taken(rows(&stored));
            assert_eq!(found, expected, "{stored:?}");
            assert_eq!(said.len(), words.len(), "{stored:?}: {said:?}");
            for (said, word) in said.iter().zip(words) {
                assert!(said.contains(word), "{stored:?}: {said}");
            }
        }
    }

    #[test]
    fn a_row_that_is_stored_twice_is_taken_once() {
        let mut stored = rows(&[0, 1, 2, 3]);
        stored.extend(stored.clone());
        let (found, said) = taken(stored.clone());
        assert_eq!(found, [(0, 0), (1, 1), (2, 2), (3, 3)], "{said:?}");
        assert!(said[0].contains("4 rows are stored twice"), "{said:?}");
        // Two rows with the same keys and other goals: nothing tells which is right.
        stored[5].goals = 77;
        let (found, said) = taken(stored);
        assert_eq!(found, [(0, 0), (2, 2), (3, 3)], "{said:?}");
    }

    #[test]
    fn times_that_make_another_rate_are_told() {
        let of = |period_s: f64, jitter_s: f64| {
            let mut rows = rows(&[0, 1, 2, 3, 4, 5, 6, 7]);
            for row in &mut rows {
                row.time_s = row.frame as f64 * period_s + if row.frame % 2 == 0 { jitter_s } else { 0.0 };
            }
            order(rows, 10.0).drift
        };
        assert_eq!(of(0.1, 0.0), None);
        assert_eq!(of(0.1, 0.02), None);
        assert_eq!(of(0.1002, 0.0), None);
        for period_s in [0.07, 0.095, 0.105, 0.13] {
            assert!(
                of(period_s, 0.0).is_some_and(|told| told.contains("fps")),
                "{period_s}"
            );
        }
    }

    #[test]
    fn times_and_indices_are_held_against_frames() {
        let spoiled = |spoil: &dyn Fn(&mut RowKey)| {
            let mut rows = rows(&[0, 1, 2, 3]);
            spoil(&mut rows[2]);
            taken(rows)
        };
        let (found, said) = spoiled(&|row| row.time_s = 0.9);
        assert_eq!(found, [(0, 0), (1, 1), (2, 3), (3, 5)], "{said:?}");
        assert!(said.iter().all(|said| said.contains("timestamp")), "{said:?}");
        let (found, said) = spoiled(&|row| row.index = Some(7));
        assert_eq!(found, [(0, 0), (1, 1), (2, 3), (3, 5)], "{said:?}");
        assert!(
            said.iter().all(|said| said.contains("index goes from")),
            "{said:?}"
        );
        // Rows were lost, and the others numbered anew but for their index.
        let (found, said) = spoiled(&|row| row.index = Some(250));
        assert_eq!(found, [(0, 0), (1, 1), (2, 3), (3, 5)], "{said:?}");
        let (found, said) = spoiled(&|row| row.time_s = f64::NAN);
        assert_eq!(found, [(0, 0), (1, 1), (3, 3)], "{said:?}");
        // A camera's jitter is no gap.
        let (found, said) = spoiled(&|row| row.time_s += 0.03);
        assert_eq!(found, [(0, 0), (1, 1), (2, 2), (3, 3)], "{said:?}");
    }
}
