//! Learning curves: return against environment steps and against minutes, as PNG and CSV.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use plotters::prelude::{
    BitMapBackend, ChartBuilder, Circle, DrawingArea, FontStyle, IntoDrawingArea, LineSeries, PathElement,
    RGBColor, Text, WHITE,
};
use plotters::style::{Color, IntoFont, register_font};
use serde::{Deserialize, Serialize};

/// One evaluation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Wall time of the loop so far.
    pub(crate) minutes: f64,
    /// Control periods recorded for training so far (environment steps are these times the action repeat).
    pub(crate) agent_steps: u64,
    /// Gradient updates so far.
    pub(crate) updates: u64,
    /// Mean return.
    pub(crate) agent_return: f64,
    /// Half of its 95 % interval.
    pub(crate) interval_95: f64,
}

/// A run of the learning loop.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// What the picture calls it.
    pub(crate) name: &'a str,
    /// Its evaluations.
    pub(crate) points: &'a [Point],
    /// The final evaluation, if there was one: its random and oracle returns are drawn as lines.
    pub(crate) score: Option<&'a serde_json::Value>,
}

const COLOURS: [RGBColor; 4] = [
    RGBColor(31, 90, 160),
    RGBColor(200, 90, 30),
    RGBColor(40, 130, 70),
    RGBColor(130, 60, 140),
];
const GREY: RGBColor = RGBColor(120, 120, 120);

/// The first line of the table.
const COLUMNS: &str = "run,minutes,agent_steps,updates,return,interval_95";

/// Writes `stem.png` and `stem.csv`, in place of those that this program wrote. `beside_ours` says that files of this program, which it
/// has read, lie beside them: those of earlier versions, which have no mark, are replaced then.
pub(crate) fn write(stem: &Path, title: &str, runs: &[Run<'_>], beside_ours: bool) -> anyhow::Result<()> {
    let mut csv = format!("{COLUMNS}\n");
    for run in runs {
        for p in run.points {
            let _ = writeln!(
                csv,
                "{},{:.2},{},{},{:.3},{:.3}",
                quoted(run.name),
                p.minutes,
                p.agent_steps,
                p.updates,
                p.agent_return,
                p.interval_95
            );
        }
    }
    put_csv(&stem.with_extension("csv"), &csv, beside_ours)?;
    put_png(&stem.with_extension("png"), beside_ours, |png| {
        draw(png, title, runs)
    })
}

/// Whether a file is a curve or a table that [`write()`] wrote.
pub(crate) fn is_curve(head: &[u8], beside_ours: bool) -> bool {
    // The pixels of our PNGs follow the header at once.
    let is_png = head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(37..41) == Some(b"IDAT");
    let is_csv = head.split(|byte| *byte == b'\n').next() == Some(COLUMNS.as_bytes());
    files::is_marked(head) || (beside_ours && (is_png || is_csv))
}

/// Writes a table, in place of one that was written before. Its last column is empty: its name is the mark by which this program knows
/// the file.
pub(crate) fn put_csv(path: &Path, csv: &str, beside_ours: bool) -> anyhow::Result<()> {
    let mark = String::from_utf8_lossy(files::MARK);
    let marked: String = csv
        .lines()
        .enumerate()
        .flat_map(|(index, line)| [line, ",", if index == 0 { &mark } else { "" }, "\n"])
        .collect();
    Ok(files::put(path, marked.as_bytes(), &|head| {
        is_curve(head, beside_ours)
    })?)
}

/// Draws a picture, in place of one that was drawn before.
fn put_png(
    path: &Path,
    beside_ours: bool,
    draw: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    files::put_with(path, &|head| is_curve(head, beside_ours), |png| {
        draw(png).with_context(|| format!("{}: cannot draw", path.display()))?;
        fs::write(png, files::png(fs::read(png)?))
            .with_context(|| format!("{}: cannot write", path.display()))
    })
}

/// A name as a field of a CSV file (RFC 4180).
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

/// The plotting library is built without system fonts, so that no font configuration is needed on the machine.
fn font() -> anyhow::Result<()> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| anyhow::anyhow!("the built-in font is unreadable"))
}

/// A named line of (x, y, half of y's 95 % interval).
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64, f64)>,
}

/// Draws returns as lines over `axis`, and `levels` across, in place of a picture that was drawn so before.
pub(crate) fn draw_lines(
    png: &Path,
    title: &str,
    axis: &str,
    lines: &[Line],
    levels: &[(&str, f64)],
) -> anyhow::Result<()> {
    put_png(png, false, |png| lines_to(png, title, axis, lines, levels))
}

fn lines_to(
    png: &Path,
    title: &str,
    axis: &str,
    lines: &[Line],
    levels: &[(&str, f64)],
) -> anyhow::Result<()> {
    font()?;
    let area = BitMapBackend::new(png, (640, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|point| point.0).fold(1.0, f64::max) * 1.3;
    let heights = points()
        .map(|point| point.1)
        .chain(levels.iter().map(|level| level.1));
    let Range {
        start: bottom,
        end: top,
    } = range(heights, points().map(|point| point.1 - point.2));
    let height = top - bottom;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("mean return")
        .x_label_formatter(&label)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let style = ("sans-serif", 14);
    for (name, y) in levels {
        chart.draw_series(LineSeries::new([(0.0, *y), (last, *y)], GREY.stroke_width(1)))?;
        chart.draw_series([Text::new(
            (*name).to_owned(),
            (last * 0.02, y + height * 0.06),
            style,
        )])?;
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for &(x, y, half) in &line.points {
            chart.draw_series([PathElement::new(
                vec![(x, y - half), (x, y + half)],
                colour.mix(0.5),
            )])?;
            chart.draw_series([Circle::new((x, y), 3, colour.filled())])?;
        }
        let path = line.points.iter().map(|point| (point.0, point.1));
        chart.draw_series(LineSeries::new(path, colour.stroke_width(2)))?;
    }
    // Names beside the ends of their lines, highest first, and below each other where ends are close.
    let mut ends: Vec<_> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((line.points.last()?, &line.name, COLOURS[index % COLOURS.len()])))
        .collect();
    ends.sort_by(|a, b| b.0.1.total_cmp(&a.0.1));
    let mut below = f64::INFINITY;
    for (&(x, y, _), name, colour) in ends {
        let at = (y + height * 0.03).min(below);
        below = at - height * 0.05;
        let style = style.into_font().color(&colour);
        chart.draw_series([Text::new(name.clone(), (x * 1.02, at), style)])?;
    }
    area.present()?;
    Ok(())
}

/// A short run's axis has places between whole numbers.
fn label(value: &f64) -> String {
    format!("{}", (value * 10.0).round() / 10.0)
}

/// The axis for returns: from 0, or from below the lowest where there are negative ones, to above the highest.
fn range(heights: impl Iterator<Item = f64> + Clone, lows: impl Iterator<Item = f64>) -> Range<f64> {
    let low = heights.clone().fold(0.0, f64::min);
    let bottom = if low < 0.0 {
        1.1 * lows.fold(low, f64::min)
    } else {
        0.0
    };
    let top = heights.fold(if low < 0.0 { 0.0 } else { 50.0 }, f64::max);
    bottom..top + 0.15 * (top - bottom)
}

fn draw(png: &Path, title: &str, runs: &[Run<'_>]) -> anyhow::Result<()> {
    font()?;
    let area = BitMapBackend::new(png, (1000, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    // Runs on one robot are scored on the same targets: any of them gives the lines. Runs on several have no lines in common.
    let level = |agent: &str| {
        let mut found = runs.iter().filter_map(|run| run.score?[agent]["mean"].as_f64());
        let first = found.next()?;
        found
            .all(|other| (other - first).abs() <= 1e-3 * first.abs())
            .then_some(first)
    };
    let lines: Vec<(&str, f64)> = ["random", "oracle"]
        .into_iter()
        .filter_map(|agent| Some((agent, level(agent)?)))
        .collect();
    let points = || runs.iter().flat_map(|run| run.points);
    let heights = points()
        .map(|p| p.agent_return)
        .chain(lines.iter().map(|(_, y)| *y));
    let range = range(heights, points().map(|p| p.agent_return - p.interval_95));
    let (left, right) = area.split_horizontally(500);
    panel(
        &left,
        &format!("{title}: return by recorded steps"),
        "thousand control periods recorded",
        runs,
        &lines,
        &range,
        |p| p.agent_steps as f64 / 1000.0,
    )?;
    panel(
        &right,
        "return by wall time",
        "minutes",
        runs,
        &lines,
        &range,
        |p| p.minutes,
    )?;
    area.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    title: &str,
    axis: &str,
    runs: &[Run<'_>],
    lines: &[(&str, f64)],
    returns: &Range<f64>,
    x: impl Fn(&Point) -> f64,
) -> anyhow::Result<()> {
    let last = runs.iter().flat_map(|run| run.points).map(&x).fold(1.0, f64::max) * 1.05;
    let height = returns.end - returns.start;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, returns.clone())?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("mean return")
        .x_labels(6)
        .x_label_formatter(&label)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let style = ("sans-serif", 14);
    for (agent, y) in lines {
        chart.draw_series(LineSeries::new([(0.0, *y), (last, *y)], GREY.stroke_width(1)))?;
        let at = (last * 0.02, *y + height * 0.06);
        chart.draw_series([Text::new((*agent).to_owned(), at, style)])?;
    }
    for (index, run) in runs.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for p in run.points {
            let ends = vec![
                (x(p), p.agent_return - p.interval_95),
                (x(p), p.agent_return + p.interval_95),
            ];
            chart.draw_series([PathElement::new(ends, colour.mix(0.5))])?;
        }
        chart.draw_series(LineSeries::new(
            run.points.iter().map(|p| (x(p), p.agent_return)),
            colour.stroke_width(2),
        ))?;
        chart.draw_series(
            run.points
                .iter()
                .map(|p| Circle::new((x(p), p.agent_return), 3, colour.filled())),
        )?;
        if runs.len() > 1 {
            let at = (last * 0.7, returns.start + height * (0.45 - 0.07 * index as f64));
            chart.draw_series([Text::new(
                run.name.to_owned(),
                at,
                style.into_font().color(&colour),
            )])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, put_csv, quoted, range};

    #[test]
    fn a_table_replaces_only_one_that_is_marked_or_lies_beside_files_of_ours() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("curve.csv");
        let csv = format!("{COLUMNS}\nseed 1,1,2,3,4,5\n");
        std::fs::write(&path, &csv).expect("writes");
        assert!(put_csv(&path, &csv, false).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("is there"), csv);
        put_csv(&path, &csv, true).expect("lies beside files of ours");
        put_csv(&path, &csv, false).expect("is marked");
        let text = std::fs::read_to_string(&path).expect("is there");
        let fields: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(fields, [7, 7]);
        std::fs::write(&path, format!("{COLUMNS},notes of mine\n")).expect("writes");
        assert!(put_csv(&path, &csv, true).is_err());
    }

    #[test]
    fn a_name_is_one_field() {
        for (name, field) in [
            ("seed 1", "seed 1"),
            ("sim-arm, seed 1", "\"sim-arm, seed 1\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
        ] {
            assert_eq!(quoted(name), field);
        }
    }

    #[test]
    fn every_return_is_on_the_axis() {
        for (heights, lows) in [
            (vec![10.0, 90.0], vec![5.0, 80.0]),
            (vec![-1_500.0, -200.0], vec![-1_700.0, -250.0]),
            (vec![-3.0, 700.0], vec![-50.0, 600.0]),
        ] {
            let axis = range(heights.iter().copied(), lows.iter().copied());
            assert!(heights.iter().all(|height| axis.contains(height)), "{axis:?}");
            assert!(axis.contains(&0.0), "{axis:?}");
            // Rewards from 0 on have an axis from 0 on.
            assert_eq!(axis.start == 0.0, heights.iter().all(|height| *height >= 0.0));
            assert!(
                axis.start >= 0.0 || lows.iter().all(|low| axis.contains(low)),
                "{axis:?}"
            );
        }
    }
}
