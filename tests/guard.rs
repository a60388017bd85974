//! The fallback ladder: what each kind of trouble does, tick by tick.

use controller::guard::Guard;
use episode::{CaptureRow, FilterRow, PlanRow, PlanSource, Reason};
use robot::Config;

use crate::root;

/// Feeds the same trouble for a number of ticks; returns the first tick that demanded a stop, and its reason.
fn first_stop(capture: &CaptureRow, kl_nats: f32, action: f32, ticks: u32) -> Option<(u32, Reason)> {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let mut guard = Guard::new(&config);
    let home = config.envelope.home();
    let filter = FilterRow {
        kl_nats,
        ..FilterRow::default()
    };
    (1..=ticks).find_map(|tick| {
        let action = [action; 2].into_iter().collect();
        let mut plan = PlanRow {
            source: PlanSource::Fresh,
            action,
            ..PlanRow::default()
        };
        let verdict = guard.decide(capture, &filter, &mut plan, &home, true);
        verdict.stop.map(|reason| {
            assert_eq!(plan.source, PlanSource::Stop);
            assert!(
                verdict.row.action.iter().all(|action| *action == 0.0),
                "a stop asks for no motion"
            );
            (tick, reason)
        })
    })
}

#[test]
fn persistent_trouble_stops_the_arm_and_passing_trouble_does_not() {
    let seen = CaptureRow {
        fresh: true,
        frame_hash: 7,
        ..CaptureRow::default()
    };
    let blind = CaptureRow {
        fresh: false,
        ..CaptureRow::default()
    };
    // gap_ticks 5, frozen_ticks 10, kl_ticks 10: the next tick stops. A first frame cannot be a repeated one.
    assert_eq!(first_stop(&blind, 0.0, 0.5, 5), None);
    assert_eq!(first_stop(&blind, 0.0, 0.5, 50), Some((6, Reason::FrameGap)));
    assert_eq!(first_stop(&seen, 0.0, 0.5, 11), None);
    assert_eq!(first_stop(&seen, 0.0, 0.5, 50), Some((12, Reason::FrozenFrame)));
    assert_eq!(first_stop(&seen, 1e4, 0.5, 10), None);
    assert_eq!(first_stop(&seen, 1e4, 0.5, 50), Some((11, Reason::Surprise)));
    assert_eq!(first_stop(&seen, f32::NAN, 0.5, 50), Some((11, Reason::Surprise)));
}

#[test]
fn an_action_that_is_no_number_becomes_hold() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let mut guard = Guard::new(&config);
    let action = [f32::NAN, 0.5].into_iter().collect();
    let mut plan = PlanRow {
        source: PlanSource::Fresh,
        action,
        ..PlanRow::default()
    };
    let seen = CaptureRow {
        fresh: true,
        ..CaptureRow::default()
    };
    let verdict = guard.decide(
        &seen,
        &FilterRow::default(),
        &mut plan,
        &config.envelope.home(),
        false,
    );
    assert_eq!(
        (plan.source, verdict.row.reason),
        (PlanSource::Hold, Reason::NonFinite)
    );
    assert!(verdict.row.action.iter().all(|action| *action == 0.0));
}
