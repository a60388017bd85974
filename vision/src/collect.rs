//! Views of a board that a person moves before a camera: which are worth keeping, and what is missing.

use calibration::Verdict;

use crate::coverage::Coverage;
use crate::intrinsics::{self, Intrinsics, View};
use crate::{Board, Corner, Finder};

/// A board that moves less than this between two pictures is held still, in pixels of a picture 640 wide.
const STILL_PX: f64 = 1.5;

/// A view is another one if its corners lie this far from those of each view before, likewise.
const OTHER_PX: f64 = 35.0;

/// Views that are enough where the lens is known well.
const VIEWS_ENOUGH: usize = 15;

/// Views after which no more are taken.
const VIEWS_MAX: usize = 40;

/// What came of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The board was not seen.
    Unseen,
    /// The board moves.
    Moves,
    /// It was seen like this before.
    Known,
    /// The view was kept.
    Kept,
}

/// Collects views for a lens.
#[derive(Debug)]
pub struct Collector {
    finder: Finder,
    size: (usize, usize),
    last: View,
    views: Vec<View>,
    solved: Option<Result<Intrinsics, Verdict>>,
}

impl Collector {
    /// For pictures of `width` x `height` pixels.
    pub fn new(board: &Board, width: usize, height: usize) -> Result<Self, crate::FinderError> {
        Ok(Self {
            finder: Finder::new(board)?,
            size: (width, height),
            last: View::new(),
            views: Vec::new(),
            solved: None,
        })
    }

    /// Looks at the next picture of a camera that goes on.
    pub fn see(&mut self, levels: &[u8]) -> Came {
        let found = self.finder.find(self.size.0, self.size.1, levels);
        let scale = self.size.0 as f64 / 640.0;
        let last = std::mem::replace(&mut self.last, found);
        if self.last.is_empty() {
            return Came::Unseen;
        }
        if !(apart_px(&last, &self.last) <= STILL_PX * scale) {
            return Came::Moves;
        }
        let is_known = |view: &View| apart_px(view, &self.last) < OTHER_PX * scale;
        if self.views.iter().any(is_known) {
            return Came::Known;
        }
        self.keep(self.last.clone());
        Came::Kept
    }

    /// Takes a picture that somebody chose.
    pub fn take(&mut self, levels: &[u8]) -> Came {
        let found = self.finder.find(self.size.0, self.size.1, levels);
        if found.is_empty() {
            return Came::Unseen;
        }
        self.keep(found);
        Came::Kept
    }

    fn keep(&mut self, view: View) {
        self.views.push(view);
        self.solved = None;
    }

    /// Views so far.
    pub fn count(&self) -> usize {
        self.views.len()
    }

    /// The lens by the views so far.
    ///
    /// # Errors
    /// What to do differently.
    pub fn solve(&mut self) -> Result<Intrinsics, Verdict> {
        let (width, height) = self.size;
        self.solved
            .get_or_insert_with(|| intrinsics::solve(width, height, &self.views))
            .clone()
    }

    /// Whether more views would tell nothing new.
    pub fn is_enough(&mut self) -> bool {
        let good =
            |found: Result<Intrinsics, Verdict>| found.is_ok_and(|found| found.verdict == Verdict::Good);
        self.count() >= VIEWS_MAX || (self.count() >= VIEWS_ENOUGH && good(self.solve()))
    }

    /// Where the board was seen so far.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(self.size.0, self.size.1, self.views.iter().flatten())
    }

    /// What to do next, in words.
    pub fn hint(&mut self) -> String {
        let coverage = self.coverage();
        if self.count() < intrinsics::VIEWS_MIN {
            return "show the board, hold it still for a moment, then elsewhere and tilted".to_owned();
        }
        if coverage.share(3) < 0.9 {
            return format!("show it at the {}", coverage.least());
        }
        match self.solve() {
            Ok(found) => match found.verdict {
                Verdict::Good => "tilt it to other sides".to_owned(),
                Verdict::Usable(why) | Verdict::DoItAgain(why) => why,
            },
            Err(verdict) => verdict.to_string(),
        }
    }
}

/// Mean distance of the corners that both views have, in pixels; infinite where they have few in common.
pub fn apart_px(a: &[Corner], b: &[Corner]) -> f64 {
    let distances: Vec<f64> = a
        .iter()
        .filter_map(|corner| {
            let other = b.iter().find(|other| other.id == corner.id)?;
            Some((corner.seen_px[0] - other.seen_px[0]).hypot(corner.seen_px[1] - other.seen_px[1]))
        })
        .collect();
    if 2 * distances.len() < a.len().max(b.len()) {
        return f64::INFINITY;
    }
    distances.iter().sum::<f64>() / distances.len() as f64
}
