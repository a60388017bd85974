//! Which parts of the picture a board was seen in: the lens is known only there.

use crate::Corner;

/// Parts of a picture in a row, and in a column.
pub const COLUMNS: usize = 4;
/// See [`COLUMNS`].
pub const ROWS: usize = 3;

/// How many corners were seen in each part of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    counts: [[usize; COLUMNS]; ROWS],
}

impl Coverage {
    /// Of these views, in pictures of `width` x `height` pixels.
    pub fn of<'a>(width: usize, height: usize, corners: impl IntoIterator<Item = &'a Corner>) -> Self {
        let mut coverage = Self::default();
        for corner in corners {
            let part = |at_px: f64, size: usize, parts: usize| {
                let part = ((at_px + 0.5) / size as f64 * parts as f64).floor();
                (part >= 0.0 && part < parts as f64).then_some(part as usize)
            };
            let column = part(corner.seen_px[0], width, COLUMNS);
            if let (Some(column), Some(row)) = (column, part(corner.seen_px[1], height, ROWS)) {
                coverage.counts[row][column] += 1;
            }
        }
        coverage
    }

    /// Corners in each part, in rows from the top left.
    pub fn counts(&self) -> &[[usize; COLUMNS]; ROWS] {
        &self.counts
    }

    /// The share of parts in which at least `corners` were seen.
    pub fn share(&self, corners: usize) -> f64 {
        let seen = self
            .counts
            .iter()
            .flatten()
            .filter(|count| **count >= corners)
            .count();
        seen as f64 / (COLUMNS * ROWS) as f64
    }

    /// Where the board was seen least, in words.
    pub fn least(&self) -> &'static str {
        let names = [
            ["top left", "top", "top", "top right"],
            ["left", "middle", "middle", "right"],
            ["bottom left", "bottom", "bottom", "bottom right"],
        ];
        let parts = self
            .counts
            .iter()
            .zip(names)
            .flat_map(|(counts, names)| counts.iter().zip(names));
        parts
            .min_by_key(|(count, _)| **count)
            .map_or("", |(_, name)| name)
    }
}

impl std::fmt::Display for Coverage {
    /// A map of the picture: `#` where the board was seen well, `+` where it was seen, `.` where it was not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, row) in self.counts.iter().enumerate() {
            let line: String = row
                .iter()
                .map(|count| match count {
                    0 => '.',
                    1..20 => '+',
                    _ => '#',
                })
                .collect();
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}
