//! The board.

use calib_targets_charuco::{CharucoBoard, CharucoBoardSpec, Dictionary, builtins};

use crate::find::FinderError;

/// A ChArUco board, with the markers of OpenCV's dictionary `DICT_4X4_50` or `DICT_4X4_250`, numbered as OpenCV does from 4.6 on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Board {
    /// Squares in a row.
    pub columns: u32,
    /// Squares in a column.
    pub rows: u32,
    /// Side of a square, in metres, as measured on the print.
    pub square_m: f64,
    /// Side of a marker, as a share of a square's.
    pub marker: f64,
}

impl Default for Board {
    /// One that fits on a sheet of A4: 7 by 5 squares of 30 mm.
    fn default() -> Self {
        Self {
            columns: 7,
            rows: 5,
            square_m: 0.03,
            marker: 0.75,
        }
    }
}

impl Board {
    /// What the finder needs to know.
    pub(crate) fn layout(&self) -> Result<CharucoBoard, FinderError> {
        let markers = u64::from(self.columns) * u64::from(self.rows) / 2;
        let dictionary = if markers <= 50 {
            builtins::DICT_4X4_50
        } else {
            builtins::DICT_4X4_250
        };
        let spec = CharucoBoardSpec::new(
            self.rows,
            self.columns,
            self.square_m as f32,
            self.marker as f32,
            dictionary,
        );
        CharucoBoard::new(spec).map_err(|error| FinderError(error.to_string()))
    }

    /// Width and height, in metres.
    pub fn size_m(&self) -> [f64; 2] {
        [
            f64::from(self.columns) * self.square_m,
            f64::from(self.rows) * self.square_m,
        ]
    }

    /// Inner corners that can be found.
    pub fn corner_count(&self) -> usize {
        (self.columns.saturating_sub(1) * self.rows.saturating_sub(1)) as usize
    }

    /// Whether each cell of the pattern is black, in rows of `columns` times `cells` cells, and how many cells a square's side has.
    ///
    /// # Errors
    /// A board that cannot be.
    pub fn pattern(&self) -> Result<Pattern, FinderError> {
        let layout = self.layout()?;
        let dictionary: Dictionary = layout.spec().dictionary;
        Ok(Pattern {
            board: *self,
            bits: dictionary.marker_size(),
            codes: (0..self.rows * self.columns)
                .map(|_| None)
                .collect::<Vec<Option<u64>>>(),
        }
        .with_markers(&layout, dictionary))
    }
}

/// What is printed on a board.
#[derive(Debug, Clone)]
pub struct Pattern {
    board: Board,
    bits: usize,
    /// The marker of each square, in rows.
    codes: Vec<Option<u64>>,
}

impl Pattern {
    fn with_markers(mut self, layout: &CharucoBoard, dictionary: Dictionary) -> Self {
        for (id, square) in layout.iter_marker_positions() {
            let index = square.v as usize * self.board.columns as usize + square.u as usize;
            if let (Some(place), Some(code)) =
                (self.codes.get_mut(index), dictionary.codes().get(id as usize))
            {
                *place = Some(*code);
            }
        }
        self
    }

    /// All that is black: each strip from a place (x, y) to an x, in metres, and its height.
    pub fn black(&self) -> Vec<([f64; 2], f64, f64)> {
        let board = &self.board;
        let cell = board.square_m * board.marker / (self.bits + 2) as f64;
        let margin = board.square_m * (1.0 - board.marker) / 2.0;
        let mut strips = Vec::new();
        for (index, code) in self.codes.iter().enumerate() {
            let (column, row) = (index % board.columns as usize, index / board.columns as usize);
            let corner = [column, row].map(|place| place as f64 * board.square_m);
            if code.is_none() {
                if (column + row).is_multiple_of(2) {
                    strips.push((corner, corner[0] + board.square_m, board.square_m));
                }
                continue;
            }
            let start = corner.map(|place| place + margin);
            for down in 0..self.bits + 2 {
                let y = start[1] + down as f64 * cell;
                let mut from = None;
                for across in 0..=self.bits + 2 {
                    let x = start[0] + across as f64 * cell;
                    let middle = [x + cell / 2.0, y + cell / 2.0];
                    let black = across < self.bits + 2 && self.is_black(middle) == Some(true);
                    match from {
                        None if black => from = Some(x),
                        Some(begun) if !black => {
                            strips.push(([begun, y], x, cell));
                            from = None;
                        }
                        _ => {}
                    }
                }
            }
        }
        strips
    }

    /// Whether the board is black at a place in metres from its top left corner; `None` beside it.
    pub fn is_black(&self, [x_m, y_m]: [f64; 2]) -> Option<bool> {
        let (x, y) = (x_m / self.board.square_m, y_m / self.board.square_m);
        let inside = (0.0..f64::from(self.board.columns)).contains(&x)
            && (0.0..f64::from(self.board.rows)).contains(&y);
        if !inside {
            return None;
        }
        let (column, row) = (x as usize, y as usize);
        let Some(code) = self.codes[row * self.board.columns as usize + column] else {
            // The square at the top left is black; the white ones have markers.
            return Some((column + row).is_multiple_of(2));
        };
        let cells = (self.bits + 2) as f64;
        let margin = (1.0 - self.board.marker) / 2.0;
        let cell = |place: f64| ((place.fract() - margin) / self.board.marker * cells).floor();
        let (across, down) = (cell(x), cell(y));
        if across < 0.0 || down < 0.0 || across >= cells || down >= cells {
            return Some(false);
        }
        let (across, down) = (across as usize, down as usize);
        let border = |cell: usize| cell == 0 || cell == self.bits + 1;
        if border(across) || border(down) {
            return Some(true);
        }
        Some(code >> ((down - 1) * self.bits + across - 1) & 1 == 1)
    }
}
