//! The report's chart of rewards.

use controller::session::PolicyChoice;
use episode::Episode;
use robot::config::Pipeline;

use crate::{record, session};

/// The report of `log`.
fn page(log: Episode) -> String {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("report.html");
    let mut digest = armillary::report::Digest::default();
    digest.add(&log);
    armillary::report::write(&path, "A run", &[], &digest, None).expect("writes");
    std::fs::read_to_string(&path).expect("a page")
}

/// Marks of the axis and heights of the lines, in the units of the drawing.
fn chart(page: &str) -> (Vec<f32>, Vec<Vec<f32>>) {
    let chart = &page[page.find("Reward by control period").expect("a chart")..];
    let chart = &chart[..chart.find("</svg>").unwrap_or(0)];
    let marks = chart
        .split("</text>")
        .filter_map(|part| part.rsplit('>').next()?.parse().ok())
        .collect();
    let lines = chart
        .split("points=\"")
        .skip(1)
        .map(|line| {
            let points = line.split('"').next().unwrap_or_default().split_whitespace();
            points
                .filter_map(|point| point.split_once(',')?.1.parse().ok())
                .collect()
        })
        .collect();
    (marks, lines)
}

#[test]
fn the_axis_of_rewards_follows_the_data() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = record(
        &session(PolicyChoice::Random, Pipeline::NextTick),
        dir.path(),
        3,
        9,
    );
    let log = episode::read_episode(&path).expect("a log");
    for (rewards, low, high) in [
        (&[Some(0.1), Some(0.93)][..], 0.0, 1.0),
        (&[Some(-16.3), Some(-0.2)], -20.0, 0.0),
        (&[Some(3.0), Some(912.0)], 0.0, 1000.0),
        (&[Some(2.0)], 1.0, 3.0),
        (&[Some(-1e-4), None, Some(3e-4)], -2e-4, 4e-4),
    ] {
        let mut edited = log.clone();
        for (index, tick) in edited.ticks.iter_mut().enumerate() {
            tick.capture.reward = rewards[index % rewards.len()];
        }
        let (marks, lines) = chart(&page(edited));
        assert_eq!(
            (marks.first(), marks.last()),
            (Some(&low), Some(&high)),
            "{rewards:?}: {marks:?}"
        );
        assert!(marks.len() <= 7, "{marks:?}");
        let heights: Vec<f32> = lines.iter().flatten().copied().collect();
        let given = (0..10)
            .filter(|index| rewards[index % rewards.len()].is_some())
            .count();
        assert_eq!(heights.len(), given, "a period without a reward has no point");
        assert!(heights.iter().all(|y| (0.0..=220.0).contains(y)), "{heights:?}");
        assert_eq!(lines.len() > 1, rewards.contains(&None), "and breaks the line");
    }
    let mut none = log;
    for tick in &mut none.ticks {
        tick.capture.reward = None;
    }
    assert!(page(none).contains("Nobody gave a reward"));
}
