//! What the report says of the arm's motors and of the ages of pictures.

use std::fmt::Write as _;

use episode::{Episode, Reason, TickRecord};
use robot::device::Motor;

/// Ages of pictures, and a row a joint for arms that say something of their motors.
pub(super) fn table(page: &mut String, logs: &[Episode]) {
    let rows: Vec<&TickRecord> = logs
        .iter()
        .flat_map(|log| &log.ticks)
        .filter(|row| row.guard.reason != Reason::EpisodeEnd)
        .collect();
    page.push_str("<h2>Devices</h2><table><tr><th><th>median<th>99 %<th>worst");
    let fresh = rows.iter().filter(|row| row.capture.fresh);
    quantiles(
        page,
        "age of fresh pictures at the edge, ms",
        fresh.map(|row| row.capture.age_ns as f64 * 1e-6),
    );
    let told: Vec<_> = rows
        .iter()
        .filter(|row| !row.capture.motors.is_silent())
        .collect();
    if told.is_empty() {
        page.push_str("</table>");
        return;
    }
    let exchanges = told
        .iter()
        .map(|row| f64::from(row.capture.motors.exchange_us) * 1e-3);
    quantiles(page, "longest exchange on the bus in a period, ms", exchanges);
    page.push_str(
        "</table><p>What the servos said, from the least to the most; a reading is stale that was not of the bus's last turn.</p>\
         <table><tr><th>joint<th>stale readings<th>temperature, C<th>supply, V<th>load, share of the most<th>current, A",
    );
    let joints = told
        .iter()
        .map(|row| row.capture.motors.joints.len())
        .max()
        .unwrap_or(0);
    for joint in 0..joints {
        let motors = || told.iter().filter_map(|row| row.capture.motors.joints.get(joint));
        let stale = motors().filter(|motor| motor.missed > 0).count();
        let names = logs.first().map(|log| &log.info.joint_names);
        let name = names
            .and_then(|names| names.get(joint))
            .map_or("", String::as_str);
        let _ = write!(
            page,
            "<tr><th>{}<td>{stale} of {}<td>{}<td>{}<td>{}<td>{}",
            super::escape(name),
            motors().count(),
            range(motors(), |motor| motor.temperature_c),
            range(motors(), |motor| motor.voltage_v),
            range(motors(), |motor| motor.load),
            range(motors(), |motor| motor.current_a),
        );
    }
    page.push_str("</table>");
}

fn quantiles(page: &mut String, name: &str, values: impl Iterator<Item = f64>) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let index = ((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1));
        values
            .get(index)
            .map_or_else(|| "none".to_owned(), |value| format!("{value:.2}"))
    };
    let _ = write!(
        page,
        "<tr><th>{name}<td>{}<td>{}<td><b>{}</b>",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// The least and the most of what was read.
fn range<'a>(motors: impl Iterator<Item = &'a Motor>, of: impl Fn(&Motor) -> Option<f32>) -> String {
    let ends = motors
        .filter_map(of)
        .fold(None, |ends: Option<(f32, f32)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
    ends.map_or_else(
        || "not told".to_owned(),
        |(low, high)| format!("{low:.2} to {high:.2}"),
    )
}
