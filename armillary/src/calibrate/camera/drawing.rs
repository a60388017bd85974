//! The board to print, and the picture of a measurement.

use std::fmt::Write as _;

use vision::{Board, FinderError};

use super::Measured;

/// Errors are drawn so many times as long as they are.
const LONGER: f64 = 30.0;

/// The board as an SVG of its own size: printed at 100 %, its squares have their length.
///
/// # Errors
/// A board that cannot be.
pub fn board_svg(board: &Board) -> Result<String, FinderError> {
    let pattern = board.pattern()?;
    let [width, height] = board.size_m().map(|metres| metres * 1e3);
    let margin = board.square_m * 500.0;
    let (whole_width, whole_height) = (width + 2.0 * margin, height + 2.0 * margin + 6.0);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{whole_width:.3}mm" height="{whole_height:.3}mm" viewBox="{:.3} {:.3} {whole_width:.3} {whole_height:.3}" shape-rendering="crispEdges"><rect x="{:.3}" y="{:.3}" width="{whole_width:.3}" height="{whole_height:.3}" fill="white"/>"##,
        -margin, -margin, -margin, -margin
    );
    // Runs of black cells, row by row.
    for (from, to, cells) in pattern.black() {
        let _ = write!(
            svg,
            r##"<rect x="{:.4}" y="{:.4}" width="{:.4}" height="{cells:.4}"/>"##,
            from[0] * 1e3,
            from[1] * 1e3,
            (to - from[0]) * 1e3,
            cells = cells * 1e3
        );
    }
    let _ = write!(
        svg,
        r##"<text x="0" y="{:.3}" font-family="sans-serif" font-size="4">ChArUco {} x {}, DICT_4X4, squares of {} mm: measure one after printing</text></svg>"##,
        height + 0.5 * margin + 4.0,
        board.columns,
        board.rows,
        board.square_m * 1e3
    );
    svg.push('\n');
    Ok(svg)
}

/// Where corners were seen, and by how much the lens misses them, thirty times as long.
pub fn draw(measured: &Measured) -> String {
    let (width, height) = measured.size_px;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {}" font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="white"/><rect width="{width}" height="{height}" fill="#f4f4f4" stroke="#777777"/>"##,
        height + 30
    );
    for (seen, expected) in &measured.found.distances {
        let [x, y] = *seen;
        let [dx, dy] = [0, 1].map(|axis| (expected[axis] - seen[axis]) * LONGER);
        let _ = write!(
            svg,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="1.5" fill="#0072b2"/><path d="M{x:.1} {y:.1}l{dx:.1} {dy:.1}" stroke="#e69f00"/>"##
        );
    }
    let _ = write!(
        svg,
        r##"<text x="4" y="{}">corners as they were seen, and their errors {LONGER} times as long; {:.2} pixels root mean square: {}</text></svg>"##,
        height + 20,
        measured.found.rms_px,
        measured.found.verdict
    );
    svg.push('\n');
    svg
}
