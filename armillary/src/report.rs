//! The one-page report of a run: HTML with everything inline, so that it can be mailed as one file.

mod devices;
mod digest;
mod quantiles;
mod rewards;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;

pub use digest::Digest;
use digest::{Faults, Latency, Plans};
use quantiles::Quantiles;

/// A headline and its text, for the table at the top.
pub type Fact = (String, String);

/// Writes the report of the logs in `digest`; `strip` is a PNG of the one with the lowest return. A report that this program wrote before is
/// replaced.
///
/// # Errors
/// A file that cannot be written, or that this program did not make.
pub fn write(
    path: &Path,
    title: &str,
    facts: &[Fact],
    digest: &Digest,
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
    digest.rewards.chart(&mut page);
    latency(&mut page, &digest.latency);
    digest.devices.table(&mut page);
    plans(&mut page, &digest.plans);
    faults(&mut page, &digest.faults, digest.cut_short);
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
fn latency(page: &mut String, latency: &Latency) {
    page.push_str(
        "<h2>Tick latency by stage</h2><p>Microseconds, to within 2 %; logarithmic from 1 us to 1 s, a bar a third of an octave. \
         The worst case is what counts; it is exact.</p><table><tr><th>stage<th>median<th>99 %<th>99.9 %<th>worst<th>",
    );
    for (name, values) in latency.named() {
        let us = |q: f64| values.at(q).map_or(0.0, |ns| ns as f64 / 1e3);
        let _ = write!(
            page,
            "<tr><th>{name}<td>{:.0}<td>{:.0}<td>{:.0}<td><b>{:.0}</b><td>{}",
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0),
            histogram(values)
        );
    }
    page.push_str("</table>");
}

fn histogram(values: &Quantiles) -> String {
    const BARS: usize = 60;
    let mut counts = [0u64; BARS];
    for (ns, count) in values.buckets() {
        let us = (ns as f64 / 1e3).max(1.0);
        counts[((us.log2() * 3.0) as usize).min(BARS - 1)] += count;
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

fn plans(page: &mut String, plans: &Plans) {
    page.push_str("<h2>Plans</h2><table>");
    if plans.count == 0 {
        page.push_str("<tr><td>no plans in these logs</table>");
        return;
    }
    for (name, value) in [
        ("plans", plans.count as f64),
        ("iterations, mean", plans.iterations.value()),
        (
            "iterations, fewest",
            f64::from(plans.fewest_iterations.unwrap_or(0)),
        ),
        ("predicted return of elites, mean", plans.elite_return.value()),
        (
            "spread of the first action among elites, mean",
            plans.elite_std.value(),
        ),
        ("innovation, mean (nats)", plans.innovation_nats.value()),
        (
            "reward prediction error, mean absolute",
            plans.reward_error.value(),
        ),
    ] {
        let _ = write!(page, "<tr><th>{name}<td>{value:.3}");
    }
    page.push_str("</table>");
}

fn faults(page: &mut String, faults: &Faults, cut_short: u64) {
    page.push_str("<h2>Faults and limits</h2><table>");
    let counts = [
        ("ticks", faults.ticks),
        ("deadlines missed", faults.deadlines_missed),
        ("of these, the machine stalled", faults.host_stalls),
        ("ticks without a fresh frame", faults.without_frame),
        ("ticks on the last plan's tail", faults.tails),
        ("actions changed by the envelope", faults.limited),
        ("commands that did not leave", faults.not_sent),
        ("logs cut short", cut_short),
    ];
    for (name, value) in counts {
        let _ = write!(page, "<tr><th>{name}<td>{value}");
    }
    for (reason, value) in &faults.reasons {
        let _ = write!(page, "<tr><th>reason {reason:?}<td>{value}");
    }
    page.push_str("</table>");
}
