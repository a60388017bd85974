//! Corners of a board in a picture.

use calib_targets_charuco::{CharucoDetector, CharucoParams, GrayImageView};

use crate::Board;

/// A board that cannot be found, since it cannot be.
#[derive(Debug, thiserror::Error)]
#[error(
    "no such board can be: {0}; give the squares in a row and in a column, the side of one, and the share that a marker has of it"
)]
pub struct FinderError(pub(crate) String);

/// An inner corner of the board, where it is and where it is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corner {
    /// Its number, in rows from the top left.
    pub id: u32,
    /// On the board, in metres from its top left corner.
    pub board_m: [f64; 2],
    /// In the picture, in pixels: whole numbers are the middles of pixels, as in [`calibration::picture::Lens`].
    pub seen_px: [f64; 2],
}

/// Fewer corners than this are no view of a board.
const CORNERS_MIN: usize = 8;

/// Finds a board.
pub struct Finder {
    detector: CharucoDetector,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Finder")
    }
}

impl Finder {
    /// For this board.
    ///
    /// # Errors
    /// A board that cannot be.
    pub fn new(board: &Board) -> Result<Self, FinderError> {
        let layout = board.layout()?;
        let detector = CharucoDetector::new(CharucoParams::for_board(layout.spec()))
            .map_err(|error| FinderError(error.to_string()))?;
        Ok(Self { detector })
    }

    /// The corners in a picture of `width` x `height` grey levels, by their number; none where the board is not seen well enough.
    pub fn find(&self, width: usize, height: usize, levels: &[u8]) -> Vec<Corner> {
        let view = GrayImageView {
            width,
            height,
            data: levels,
        };
        let Ok(found) = self.detector.detect(&view) else {
            return Vec::new();
        };
        let mut corners: Vec<Corner> = found
            .corners
            .iter()
            .map(|corner| Corner {
                id: corner.id,
                board_m: [corner.target_position.x, corner.target_position.y].map(f64::from),
                seen_px: [corner.position.x, corner.position.y].map(f64::from),
            })
            .collect();
        corners.sort_by_key(|corner| corner.id);
        corners.dedup_by_key(|corner| corner.id);
        if corners.len() < CORNERS_MIN {
            corners.clear();
        }
        corners
    }
}
