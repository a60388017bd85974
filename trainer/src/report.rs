//! The one-page report of a training run: HTML with everything inline, so that it can be mailed as one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::checkpoint::{CheckpointError, Provenance, TaskOfLogs};

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run.
    #[error("{path}: {problem}; give the --out folder of `armillary-train train`")]
    Run {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The report's own file.
    #[error(transparent)]
    Output(#[from] files::OutputError),
}

/// Points of a curve at most: a page is 900 pixels wide.
const POINTS: usize = 450;

/// The columns worth a curve, and what they are.
const CURVES: [(&str, &str); 8] = [
    ("loss", "what is minimised"),
    (
        "image",
        "half the squared error of a decoded image, summed over pixels",
    ),
    (
        "joints",
        "half the squared error of the joints' state, in standard deviations of the logs, summed over joints",
    ),
    ("reward_mse", "mean squared error of the reward"),
    ("kl", "posterior from prior, in nats"),
    (
        "overshooting_kl",
        "posterior from priors several steps ahead, in nats",
    ),
    (
        "open_loop_reward_mse",
        "mean squared error of rewards several steps ahead",
    ),
    ("gradient_norm", "before clipping"),
];

/// Pictures that a run leaves, and their captions.
const PICTURES: [(&str, &str, &str); 3] = [
    (
        "open-loop.png",
        "png",
        "Open loop, on sequences of a training batch. Of each: the truth; what the model imagines after five frames, from the actions alone; the difference.",
    ),
    (
        "open-loop.gif",
        "gif",
        "The same as it moves; a red line while the model may look.",
    ),
    (
        "traversal.png",
        "png",
        "Latent traversal. A row for each of the first stochastic numbers, changed by -3 to 3 of its standard deviations.",
    ),
];

/// Beside the pictures: its first line is the update whose model drew them, which may be before the last.
pub const DRAWN_AT: &str = "pictures-update.txt";

/// Writes `report.html` into the folder of a run and returns its path. A report that this program wrote before is replaced.
///
/// # Errors
/// [`ReportError`], naming the file that is missing, damaged or in the way.
pub fn write(run: &Path) -> Result<PathBuf, ReportError> {
    let refuse = |path: &Path, problem: String| ReportError::Run {
        path: path.to_owned(),
        problem,
    };
    let losses = run.join("losses.csv");
    let text = files::read(&losses)
        .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
        .map_err(|error| refuse(&losses, error.to_string()))?;
    let table = table(&text).ok_or_else(|| refuse(&losses, "holds no losses".to_owned()))?;
    let provenance = crate::checkpoint::provenance(&run.join("checkpoint.safetensors"))?;
    let at = provenance
        .tasks
        .iter()
        .map(|task| format!("{} on {}", task.robot.name, task.robot.task));
    let title = format!("Training of {}", at.collect::<Vec<_>>().join(" and "));
    let mut page = format!(
        "<!doctype html><!-- {1} --><html lang=en><meta charset=utf-8><title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(&title),
        String::from_utf8_lossy(files::MARK)
    );
    facts(&mut page, &provenance);
    for (name, meaning) in CURVES {
        if let Some(values) = table
            .column(name)
            .filter(|values| values.iter().any(|value| *value != 0.0))
        {
            curve(&mut page, name, meaning, &table.updates, &values);
        }
    }
    let drawn_at = files::read_to_string(&run.join(DRAWN_AT))
        .ok()
        .and_then(|text| text.lines().next()?.parse::<u64>().ok())
        .map_or(String::new(), |update| format!(" After update {update}."));
    for (file, kind, caption) in PICTURES {
        let path = run.join(file);
        if let Ok(bytes) = files::read(&path) {
            let data = base64::engine::general_purpose::STANDARD.encode(bytes);
            let _ = write!(
                page,
                "<h2>{file}</h2><p>{caption}{drawn_at}</p><img alt=\"{file}\" src=\"data:image/{kind};base64,{data}\">"
            );
        }
    }
    let path = run.join("report.html");
    files::put(&path, page.as_bytes(), &is_report)?;
    Ok(path)
}

/// Whether a file is a report of this program. Those of the first versions are not marked, but begin so.
fn is_report(head: &[u8]) -> bool {
    files::is_marked(head)
        || head.starts_with(b"<!doctype html><html lang=en><meta charset=utf-8><title>Training of ")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}th{text-align:left;\
font-weight:600;padding:.15rem 1.5rem .15rem 0;vertical-align:top}td{padding:.15rem 1rem .15rem 0;font-variant-numeric:tabular-nums}\
img{max-width:100%;image-rendering:pixelated}svg{display:block;max-width:100%}svg text{font:11px system-ui}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn facts(page: &mut String, provenance: &Provenance) {
    let preset =
        ron::ser::to_string_pretty(&provenance.preset, ron::ser::PrettyConfig::default()).unwrap_or_default();
    page.push_str("<table>");
    for (name, value) in [
        ("updates", provenance.update.to_string()),
        ("agent steps in the logs", provenance.data_steps.to_string()),
        ("pictures", pictures(provenance)),
        ("data", provenance.data_fingerprint.clone()),
        ("seed", provenance.seed.to_string()),
    ] {
        let _ = write!(page, "<tr><th>{name}<td>{}", escape(&value));
    }
    for TaskOfLogs { robot, .. } in &provenance.tasks {
        let joints = format!("{}: {}", robot.name, robot.joint_names.join(", "));
        let _ = write!(
            page,
            "<tr><th>joints<td>{}, {} s a period",
            escape(&joints),
            robot.period_s
        );
    }
    let _ = write!(
        page,
        "</table><details><summary>preset</summary><pre>{}</pre></details>",
        escape(&preset)
    );
}

/// What it saw of the world in pixels.
fn pictures(provenance: &Provenance) -> String {
    if provenance.preset.model.observation.pixels() {
        format!("{0}x{0} pixels", provenance.side.pixels())
    } else {
        "none are seen".to_owned()
    }
}

struct Table {
    names: Vec<String>,
    updates: Vec<f64>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn column(&self, name: &str) -> Option<Vec<f64>> {
        let index = self.names.iter().position(|other| other == name)?;
        Some(
            self.rows
                .iter()
                .map(|row| row.get(index).copied().unwrap_or(f64::NAN))
                .collect(),
        )
    }
}

fn table(text: &str) -> Option<Table> {
    let mut lines = text.lines();
    let names: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|field| field.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect();
    let updates = rows.iter().map(|row: &Vec<f64>| row[0]).collect();
    (!rows.is_empty()).then_some(Table { names, updates, rows })
}

/// A curve on a logarithmic scale: medians of as many pieces as there are points, within the range of each.
fn curve(page: &mut String, name: &str, meaning: &str, updates: &[f64], values: &[f64]) {
    let (width, height) = (900.0, 160.0);
    let piece = values.len().div_ceil(POINTS).max(1);
    let points: Vec<(f64, [f64; 3])> = updates
        .chunks(piece)
        .zip(values.chunks(piece))
        .filter_map(|(updates, values)| {
            let mut sorted: Vec<f64> = values
                .iter()
                .copied()
                .filter(|value| value.is_finite() && *value > 0.0)
                .collect();
            sorted.sort_by(f64::total_cmp);
            let middle = *sorted.get(sorted.len() / 2)?;
            Some((*updates.last()?, [sorted[0], middle, sorted[sorted.len() - 1]]))
        })
        .collect();
    let low = points
        .iter()
        .map(|point| point.1[0])
        .fold(f64::INFINITY, f64::min)
        .ln();
    let high = points
        .iter()
        .map(|point| point.1[2])
        .fold(f64::NEG_INFINITY, f64::max)
        .ln();
    let last = points.last().map_or(1.0, |point| point.0);
    if !(low.is_finite() && high.is_finite()) {
        return;
    }
    let span = (high - low).max(1e-9);
    let x = |update: f64| width * update / last;
    let y = |value: f64| height * (1.0 - (value.ln() - low) / span);
    let _ = write!(
        page,
        "<h2>{name}</h2><p>{meaning}; logarithmic. Median and range of every {piece} updates.</p><svg viewBox=\"-70 -10 {} {}\">",
        width + 80.0,
        height + 36.0
    );
    for value in [low, low + 0.5 * span, high].map(f64::exp) {
        let at = y(value);
        let _ = write!(
            page,
            "<line x1=0 x2={width} y1={at:.1} y2={at:.1} stroke=#ddd /><text x=-66 y={:.1} fill=#666>{value:.3e}</text>",
            at + 4.0
        );
    }
    let _ = write!(
        page,
        "<text x={} y={} fill=#666 text-anchor=end>{last} updates</text>",
        width,
        height + 18.0
    );
    let mut outline = String::new();
    for (update, range) in &points {
        let _ = write!(outline, "{:.1},{:.1} ", x(*update), y(range[2]));
    }
    for (update, range) in points.iter().rev() {
        let _ = write!(outline, "{:.1},{:.1} ", x(*update), y(range[0]));
    }
    let mut line = String::new();
    for (update, range) in &points {
        let _ = write!(line, "{:.1},{:.1} ", x(*update), y(range[1]));
    }
    let _ = write!(
        page,
        "<polygon points=\"{outline}\" fill=#c7d7ea /><polyline points=\"{line}\" fill=none stroke=#1f5aa0 stroke-width=1.5 /></svg>"
    );
}
