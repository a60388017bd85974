//! Robot files made of what something says of itself are read again as it said it, whatever its names and ranges are.

use std::path::Path;

use robot::Config;
use robot::config::made::{Actuator, Made};

fn made(name: &str, comment: &str, (low, high): (f32, f32), period_s: f32) -> Config {
    let actuators = [Actuator {
        name: name.to_owned(),
        low,
        high,
    }];
    let text = Made {
        comment,
        name,
        period_s,
        episode_ticks: 10,
        actuators: &actuators,
        simulator: Some("py:module:make"),
    }
    .text();
    Config::parse(Path::new("made.ron"), text).expect("a robot file")
}

#[test]
fn any_range_and_period_makes_a_robot_file() {
    let ranges = [
        (-1.0, 1.0),
        (0.0, 255.0),
        (-1e9, 1e9),
        (-1e-6, 1e-6),
        (0.0, 1e-40),
        (1.0, 1.0_f32.next_up()),
        (999_999.0, 1_000_000.0),
        (-1e35, -1.0),
    ];
    for range in ranges {
        for period_s in [0.005, 0.05, 1.0] {
            let config = made("push", "a test", range, period_s);
            let joint = &config.envelope.joints()[0];
            assert_eq!((joint.position_min_rad, joint.position_max_rad), range);
            assert!((range.0..=range.1).contains(&joint.home_rad));
            // The range is its only limit: it can be crossed within a period.
            assert!(joint.velocity_max_rad_s * period_s >= range.1 - range.0);
        }
    }
}

#[test]
fn any_name_makes_a_robot_file() {
    for name in [
        "a name with blanks",
        "quotes \" and \\ backslashes",
        "{joints}",
        "{name} of {comment} {",
        "line\nbreak\ttab\0nul",
        "Gelenk ä, 関節, \u{1f9be}, \u{301}",
        "*/ //",
    ] {
        let config = made(name, name, (-1.0, 1.0), 0.1);
        assert_eq!(config.name, name);
        assert_eq!(config.envelope.joints()[0].name, name);
    }
}
