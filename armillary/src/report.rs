//! The one-page report of a run: HTML with everything inline, so that it can be mailed as one file.

mod devices;
mod rewards;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use episode::{Episode, PlanSource, Reason, StageTimes};

/// A headline and its text, for the table at the top.
pub type Fact = (String, String);

/// Writes the report of `logs`; `strip` is a PNG of the one with the lowest return. A report that this program wrote before is
/// replaced.
///
/// # Errors
/// A file that cannot be written, or that this program did not make.
pub fn write(
    path: &Path,
    title: &str,
    facts: &[Fact],
    logs: &[Episode],
    strip: Option<&[u8]>,
) -> anyhow::Result<()> {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><!-- {1} --><html lang=en><meta charset=utf-8><title>{0}</title><style>{STYLE}</style><h1>{0}</h1><table>",
        escape(title),
        String::from_utf8_lossy(files::MARK)
    );
    for (name, value) in facts {
        let _ = write!(page, "<tr><th>{}<td>{}", escape(name), escape(value));
    }
    page.push_str("</table>");
    if let Some(png) = strip {
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        let _ = write!(
            page,
            "<h2>Camera</h2><p>The episode with the lowest return. Top: what the camera saw. Middle: what the model believed. Bottom: what it had imagined \
             {} periods before, from the actions alone.</p><img class=strip alt=\"camera strip\" \
             src=\"data:image/png;base64,{data}\">",
            crate::picture::AHEAD
        );
    }
    rewards::chart(&mut page, logs);
    latency(&mut page, logs);
    devices::table(&mut page, logs);
    plans(&mut page, logs);
    faults(&mut page, logs);
    files::put(path, page.as_bytes(), &is_report).context("cannot write the report")
}

/// Whether a report can be written to `path`: for a look before the run that it is to be of.
///
/// # Errors
/// If something is there that is no report of this program.
pub fn check(path: &Path) -> anyhow::Result<()> {
    files::check(path, &is_report).context("cannot write the report")
}

/// Whether a file is a report of this program. Those of the first versions are not marked, but begin so.
fn is_report(head: &[u8]) -> bool {
    files::is_marked(head)
        || head.starts_with(b"<!doctype html><html lang=en><meta charset=utf-8><title>Armillary ")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}th{text-align:left;\
font-weight:600;padding:.15rem 1.5rem .15rem 0}td{padding:.15rem 1rem .15rem 0;font-variant-numeric:tabular-nums}\
img.strip{width:100%;image-rendering:pixelated}svg{display:block;max-width:100%}svg text{font:11px system-ui}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Quantiles and a histogram a stage, on a logarithmic axis.
fn latency(page: &mut String, logs: &[Episode]) {
    page.push_str(
        "<h2>Tick latency by stage</h2><p>Microseconds; logarithmic from 1 us to 1 s, a bar a third of an octave. \
         The worst case is what counts.</p><table><tr><th>stage<th>median<th>99 %<th>99.9 %<th>worst<th>",
    );
    let rows = || {
        logs.iter()
            .flat_map(|log| &log.ticks)
            .filter(|row| row.guard.reason != Reason::EpisodeEnd)
    };
    let mut stages = StageTimes::default()
        .named()
        .map(|(name, _)| (name, Vec::new()))
        .to_vec();
    for row in rows() {
        for ((_, values), (_, ns)) in stages.iter_mut().zip(row.record.latency_ns.named()) {
            values.push(ns);
        }
    }
    stages.push((
        "lateness of the edge",
        rows().map(|row| row.record.lateness_ns).collect(),
    ));
    for (name, mut values) in stages {
        values.sort_unstable();
        let at =
            |q: f64| values.get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1)));
        let us = |q: f64| at(q).map_or(0.0, |ns| *ns as f64 / 1e3);
        let _ = write!(
            page,
            "<tr><th>{name}<td>{:.0}<td>{:.0}<td>{:.0}<td><b>{:.0}</b><td>{}",
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0),
            histogram(&values)
        );
    }
    page.push_str("</table>");
}

fn histogram(sorted_ns: &[u64]) -> String {
    const BARS: usize = 60;
    let mut counts = [0usize; BARS];
    for ns in sorted_ns {
        let us = (*ns as f64 / 1e3).max(1.0);
        counts[((us.log2() * 3.0) as usize).min(BARS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut svg = format!("<svg width=360 height=28 viewBox=\"0 0 {} 28\">", BARS * 6);
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // At least a pixel: a single outlier must be seen.
        let height = (*count as f64 / most * 26.0).max(1.5);
        let _ = write!(
            svg,
            "<rect x={} y={} width=5 height={height:.1} fill=#4a7ebb />",
            index * 6,
            28.0 - height
        );
    }
    svg + "</svg>"
}

/// Mean distance of the predicted reward from the one that came, over the ticks that have one.
fn reward_error(rows: &[&episode::TickRecord]) -> f32 {
    let errors: Vec<f32> = rows
        .iter()
        .filter_map(|row| Some((row.filter.reward_predicted - row.capture.reward?).abs()))
        .collect();
    errors.iter().sum::<f32>() / errors.len() as f32
}

fn plans(page: &mut String, logs: &[Episode]) {
    let rows: Vec<_> = logs
        .iter()
        .flat_map(|log| &log.ticks)
        .filter(|row| row.plan.iterations > 0)
        .collect();
    page.push_str("<h2>Plans</h2><table>");
    if rows.is_empty() {
        page.push_str("<tr><td>no plans in these logs</table>");
        return;
    }
    let mean =
        |f: &dyn Fn(&episode::TickRecord) -> f32| rows.iter().map(|r| f(r)).sum::<f32>() / rows.len() as f32;
    let fewest = rows.iter().map(|row| row.plan.iterations).min().unwrap_or(0);
    for (name, value) in [
        ("plans", rows.len() as f32),
        ("iterations, mean", mean(&|row| row.plan.iterations as f32)),
        ("iterations, fewest", fewest as f32),
        (
            "predicted return of elites, mean",
            mean(&|row| row.plan.elite_mean_return),
        ),
        (
            "spread of the first action among elites, mean",
            mean(&|row| row.plan.elite_std),
        ),
        ("innovation, mean (nats)", mean(&|row| row.filter.kl_nats)),
        ("reward prediction error, mean absolute", reward_error(&rows)),
    ] {
        let _ = write!(page, "<tr><th>{name}<td>{value:.3}");
    }
    page.push_str("</table>");
}

fn faults(page: &mut String, logs: &[Episode]) {
    page.push_str("<h2>Faults and limits</h2><table>");
    let rows = || logs.iter().flat_map(|log| &log.ticks);
    let count = |f: &dyn Fn(&episode::TickRecord) -> bool| rows().filter(|row| f(row)).count();
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for row in rows().filter(|row| !matches!(row.guard.reason, Reason::Ok | Reason::EpisodeEnd)) {
        let name = format!("reason {:?}", row.guard.reason);
        match reasons.iter_mut().find(|(known, _)| *known == name) {
            Some((_, n)) => *n += 1,
            None => reasons.push((name, 1)),
        }
    }
    let mut table = vec![
        ("ticks".to_owned(), rows().count()),
        (
            "deadlines missed".to_owned(),
            count(&|row| row.record.deadline_missed),
        ),
        (
            "of these, the machine stalled".to_owned(),
            count(&|row| row.record.host_stall),
        ),
        (
            "ticks without a fresh frame".to_owned(),
            count(&|row| !row.capture.fresh),
        ),
        (
            "ticks on the last plan's tail".to_owned(),
            count(&|row| row.plan.source == PlanSource::Tail),
        ),
        (
            "actions changed by the envelope".to_owned(),
            count(&|row| row.guard.hits != 0),
        ),
        (
            "commands that did not leave".to_owned(),
            count(&|row| !row.actuate.sent && row.guard.reason != Reason::EpisodeEnd),
        ),
        (
            "logs cut short".to_owned(),
            logs.iter().filter(|log| !log.complete).count(),
        ),
    ];
    table.extend(reasons);
    for (name, value) in table {
        let _ = write!(page, "<tr><th>{}<td>{value}", escape(&name));
    }
    page.push_str("</table>");
}
