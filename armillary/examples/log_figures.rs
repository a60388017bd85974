//! What a log says of an episode, as one line of figures: `log_figures LOG`.
//!
//! After the figures that are always there come the reasons of the guard, each with the number of its ticks. Meant for
//! `cargo xtask vm loop`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use episode::{Episode, PlanSource, Reason};

fn main() -> ExitCode {
    let Some(log) = std::env::args().nth(1) else {
        println!("log_figures LOG");
        return ExitCode::FAILURE;
    };
    match episode::read_episode(Path::new(&log)) {
        Ok(log) => {
            println!("{}", figures(&log));
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", robot::complaint(&error));
            ExitCode::FAILURE
        }
    }
}

fn figures(log: &Episode) -> String {
    let rows = &log.ticks;
    let count = |what: &dyn Fn(&episode::TickRecord) -> bool| rows.iter().filter(|row| what(row)).count();
    let fresh = rows.iter().filter(|row| row.capture.fresh);
    let mut ages_ms: Vec<f64> = fresh.map(|row| row.capture.age_ns as f64 / 1e6).collect();
    ages_ms.sort_by(f64::total_cmp);
    // A set point is to be reached one period after it was sent.
    let behind_rad = rows
        .windows(2)
        .filter(|pair| pair[0].actuate.sent && pair[1].tick == pair[0].tick + 1)
        .flat_map(|pair| {
            let asked = pair[0].actuate.set_point_rad.iter();
            asked.zip(&pair[1].capture.position_rad)
        })
        .map(|(asked, measured)| (asked - measured).abs())
        .fold(0.0, f32::max);
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.guard.reason != Reason::Ok) {
        *reasons.entry(format!("{:?}", row.guard.reason)).or_default() += 1;
    }
    let reasons: String = reasons
        .iter()
        .map(|(reason, ticks)| format!(", {reason} {ticks}"))
        .collect();
    format!(
        "figures: whole {}, ticks {}, fresh {}, age_median_ms {:.1}, age_most_ms {:.1}, planned {}, late {}, by_machine {}, \
         behind_most_mrad {:.0}{reasons}",
        u8::from(log.complete),
        rows.len(),
        ages_ms.len(),
        ages_ms.get(ages_ms.len() / 2).unwrap_or(&f64::NAN),
        ages_ms.last().unwrap_or(&f64::NAN),
        count(&|row| row.plan.source == PlanSource::Fresh),
        count(&|row| row.record.deadline_missed),
        count(&|row| row.record.host_stall),
        1e3 * behind_rad
    )
}
