//! The guard's limits hold for any action: whatever is asked, the set points stay inside every limit.

use std::path::Path;

use calibration::JointMapping;
use robot::config::made::{Actuator, Made};
use robot::philox::Stream;
use robot::{Config, LimitHits};

use crate::root;

#[test]
fn no_action_leaves_the_envelope() {
    for file in ["configs/sim-planar.ron", "configs/sim-arm.ron"] {
        let config = Config::load(&root().join(file)).expect("robot file");
        let envelope = &config.envelope;
        let mut stream = Stream::new(1, 1);
        let mut from = envelope.home();
        let mut push = vec![0.0f32; config.joint_count()];
        for step in 0..20_000 {
            // Long pushes into the limits, jumps, absurd numbers and NaN.
            if step % 17 == 0 {
                push.fill_with(|| stream.range(-3.0, 3.0));
            }
            if step % 501 == 0 {
                push[0] = [f32::NAN, f32::INFINITY, -1e30][step / 501 % 3];
            }
            let clamped = envelope.clamp(&from, &push);
            assert!(
                envelope.in_workspace(&clamped.set_point.position_rad),
                "{file}, step {step}"
            );
            for (index, joint) in envelope.joints().iter().enumerate() {
                let (position, velocity) = (
                    clamped.set_point.position_rad[index],
                    clamped.set_point.velocity_rad_s[index],
                );
                assert!(
                    position >= joint.position_min_rad && position <= joint.position_max_rad,
                    "{file}: {joint:?}"
                );
                assert!(
                    velocity.abs() <= joint.velocity_max_rad_s * 1.000_01,
                    "{file}: {velocity}"
                );
                assert!(clamped.action[index].abs() <= 1.0);
                // Only a position limit or the box may brake harder.
                let change = (velocity - from.velocity_rad_s[index]).abs();
                let harder = clamped.hits.0 & (LimitHits::POSITION | LimitHits::WORKSPACE) != 0;
                assert!(
                    harder || change <= joint.acceleration_max_rad_s2 * config.period_s * 1.000_01,
                    "{file}, step {step}: {change}"
                );
            }
            // The action scored is the action sent: clamping it again changes nothing.
            let again = envelope.clamp(&from, &clamped.action);
            for (a, b) in again
                .set_point
                .position_rad
                .iter()
                .zip(&clamped.set_point.position_rad)
            {
                assert!((a - b).abs() < 1e-5, "{file}, step {step}: {a} {b}");
            }
            from = clamped.set_point;
        }
    }
}

#[test]
fn each_limit_reports_itself() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let envelope = &config.envelope;
    let home = envelope.home();
    assert!(envelope.clamp(&home, &[0.1, 0.1]).hits.is_empty());
    let bits = |action: [f32; 2]| envelope.clamp(&home, &action).hits.0;
    assert_eq!(
        bits([f32::NAN, 0.0]) & LimitHits::NOT_FINITE,
        LimitHits::NOT_FINITE
    );
    assert_eq!(bits([2.0, 0.0]) & LimitHits::VELOCITY, LimitHits::VELOCITY);
    let mut backwards = home.clone();
    backwards.velocity_rad_s[0] = -0.6;
    assert_eq!(
        envelope.clamp(&backwards, &[1.0, 0.0]).hits.0 & LimitHits::ACCELERATION,
        LimitHits::ACCELERATION
    );
    let mut at_limit = home.clone();
    at_limit.position_rad[1] = 2.5;
    assert_eq!(
        envelope.clamp(&at_limit, &[0.0, 1.0]).hits.0 & LimitHits::POSITION,
        LimitHits::POSITION
    );
}

#[test]
fn the_box_reports_itself() {
    let config = Config::load(&root().join("configs/sim-arm.ron")).expect("robot file");
    let envelope = &config.envelope;
    let mut from = envelope.home();
    // Downwards: the table is reached well before a joint's limit.
    let hit = (0..60).any(|_| {
        let clamped = envelope.clamp(&from, &[0.0, -1.0, 0.0]);
        from = clamped.set_point;
        clamped.hits.0 & LimitHits::WORKSPACE != 0
    });
    assert!(hit && envelope.in_workspace(&from.position_rad));
}

#[test]
fn an_absolute_action_is_a_place_in_the_range() {
    let text = Made {
        comment: "two actuators",
        name: "plant",
        period_s: 0.08,
        episode_ticks: 125,
        actuators: &[("push", -1.0, 1.0), ("turn", 0.0, 180.0)].map(|(name, low, high)| Actuator {
            name: name.to_owned(),
            low,
            high,
        }),
        simulator: Some("dmc:some-task"),
    }
    .text();
    let config = Config::parse(Path::new("made.ron"), text).expect("a robot file");
    let envelope = &config.envelope;
    let mut from = envelope.home();
    assert_eq!(from.position_rad[..], [0.0, 90.0]);
    let mut stream = Stream::new(2, 2);
    for _ in 0..1000 {
        let action = [stream.range(-1.0, 1.0), stream.range(-1.0, 1.0)];
        let clamped = envelope.clamp(&from, &action);
        assert!(clamped.hits.is_empty(), "{action:?}: {:?}", clamped.hits);
        let expected = [action[0], 90.0 + 90.0 * action[1]];
        for joint in 0..2 {
            let found = clamped.set_point.position_rad[joint];
            assert!((found - expected[joint]).abs() < 1e-4, "{found} {expected:?}");
            assert!((clamped.action[joint] - action[joint]).abs() < 1e-5);
        }
        // Where nothing new is sent, the control stands.
        let standing = envelope.standing_action(&clamped.set_point.position_rad);
        assert!((standing[0] - action[0]).abs() < 1e-5 && (standing[1] - action[1]).abs() < 1e-5);
        from = clamped.set_point;
    }
    let beyond = envelope.clamp(&from, &[3.0, -3.0]);
    assert_eq!(beyond.hits.0, LimitHits::POSITION);
    assert_eq!(beyond.action[..], [1.0, -1.0]);
    // A plan that is no number lets go: the middle of the range.
    let lost = envelope.clamp(&from, &[f32::NAN, 0.0]);
    assert_eq!(lost.hits.0, LimitHits::NOT_FINITE);
    assert!(lost.action[0].abs() < 1e-6);
}

#[test]
fn an_arm_is_not_driven_by_places() {
    let text = std::fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    for (from, to, words) in [
        (
            "    workspace_m: (min: (-1.0, -1.0, 0.0), max: (1.0, 1.0, 0.5)),\n",
            "",
            "workspace_m",
        ),
        (
            "velocity_max_rad_s: 0.667",
            "velocity_max_rad_s: 101.0",
            "velocity_max_rad_s",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let problem = Config::parse(Path::new("arm.ron"), text.replacen(from, to, 1)).expect_err("refused");
        assert!(problem.to_string().contains(words), "{problem}");
    }
    let hash = |text: &str| {
        let config = Config::parse(Path::new("arm.ron"), text.to_owned()).expect("a robot file");
        JointMapping::of(&config).sha256()
    };
    let absolute = text.replacen("    joints:", "    action: absolute,\n    joints:", 1);
    let problem = Config::parse(Path::new("arm.ron"), absolute).expect_err("it has links and a box");
    assert!(problem.to_string().contains("`action`"), "{problem}");
    let made = |low: f32| {
        Made {
            comment: "",
            name: "plant",
            period_s: 0.1,
            episode_ticks: 10,
            actuators: &[Actuator {
                name: "push".to_owned(),
                low,
                high: low + 1.0,
            }],
            simulator: None,
        }
        .text()
    };
    assert_eq!(hash(&made(0.0)), hash(&made(0.0)));
    assert_ne!(hash(&made(0.0)), hash(&made(-0.5)), "as wide, but elsewhere");
}
