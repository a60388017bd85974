//! The fallback ladder: what each kind of trouble does, tick by tick.

use controller::guard::Guard;
use episode::{ArmState, CaptureRow, FilterRow, PlanRow, PlanSource, Reason};
use robot::Config;

use crate::root;

/// Feeds the same trouble for a number of ticks; returns the first tick that demanded a stop, and its reason.
fn first_stop(capture: &CaptureRow, filter: FilterRow, action: f32, ticks: u32) -> Option<(u32, Reason)> {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let mut guard = Guard::new(&config);
    let home = config.envelope.home();
    // A picture that does not change is no news of an arm at rest.
    let moving = capture.frame_hash != 0;
    (1..=ticks).find_map(|tick| {
        let action = [action; 2].into_iter().collect();
        let mut plan = PlanRow {
            source: PlanSource::Fresh,
            action,
            ..PlanRow::default()
        };
        let verdict = guard.decide(capture, &filter, &mut plan, &home, moving);
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

fn seen() -> CaptureRow {
    CaptureRow {
        fresh: true,
        frame_hash: 7,
        arm: ArmState::Active,
        position_rad: [0.1, 0.2].into_iter().collect(),
        arm_set_point_rad: [0.1, 0.3].into_iter().collect(),
        ..CaptureRow::default()
    }
}

fn surprised(kl_nats: f32) -> FilterRow {
    FilterRow {
        kl_nats,
        ..FilterRow::default()
    }
}

#[test]
fn persistent_trouble_stops_the_arm_and_passing_trouble_does_not() {
    let arm = |arm| CaptureRow {
        arm,
        frame_hash: 0,
        ..seen()
    };
    let blind = CaptureRow {
        fresh: false,
        ..seen()
    };
    let jammed = CaptureRow {
        frame_hash: 0,
        arm_set_point_rad: [0.1, 0.7].into_iter().collect(),
        ..seen()
    };
    let refusing = CaptureRow {
        arm_refused: true,
        ..arm(ArmState::Active)
    };
    let lost_count = CaptureRow {
        position_rad: [0.1, f32::NAN].into_iter().collect(),
        ..arm(ArmState::Active)
    };
    let useless = FilterRow {
        prior_only: true,
        ..FilterRow::default()
    };
    let fine = FilterRow::default;
    // gap_ticks 5, frozen_ticks 10, kl_ticks 10, track_ticks 10: the next tick stops. A first frame cannot be a
    // repeated one, and an arm is held when an episode begins.
    for (name, capture, filter, last_fine, reason) in [
        ("no frame", &blind, fine(), 5, Reason::FrameGap),
        (
            "frames the model cannot use",
            &seen(),
            useless,
            5,
            Reason::FrameGap,
        ),
        ("the same frame", &seen(), fine(), 11, Reason::FrozenFrame),
        ("surprise", &seen(), surprised(1e4), 10, Reason::Surprise),
        (
            "no innovation",
            &seen(),
            surprised(f32::NAN),
            10,
            Reason::Surprise,
        ),
        ("silence", &arm(ArmState::Unheard), fine(), 3, Reason::LinkLost),
        ("held", &arm(ArmState::Held), fine(), 11, Reason::ArmStopped),
        ("refusing", &refusing, fine(), 11, Reason::ArmStopped),
        (
            "released",
            &arm(ArmState::Released),
            fine(),
            0,
            Reason::ArmStopped,
        ),
        ("e-stop", &arm(ArmState::EStopped), fine(), 0, Reason::EStop),
        ("jammed", &jammed, fine(), 10, Reason::ArmStopped),
        ("no position", &lost_count, fine(), 10, Reason::ArmStopped),
    ] {
        assert_eq!(first_stop(capture, filter, 0.5, last_fine), None, "{name}");
        assert_eq!(
            first_stop(capture, filter, 0.5, 50),
            Some((last_fine + 1, reason)),
            "{name}"
        );
    }
    assert_eq!(first_stop(&arm(ArmState::Active), fine(), 0.5, 200), None);
}

#[test]
fn an_action_that_is_no_number_stops_the_arm() {
    assert_eq!(
        first_stop(&seen(), FilterRow::default(), f32::NAN, 5),
        Some((1, Reason::NonFinite))
    );
}

#[test]
fn no_proposal_at_all_stops_the_arm() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let mut guard = Guard::new(&config);
    // What a planner gives when every candidate's return is no number.
    let mut plan = PlanRow {
        source: PlanSource::None,
        action: [0.5; 2].into_iter().collect(),
        ..PlanRow::default()
    };
    let home = config.envelope.home();
    let verdict = guard.decide(&seen(), &FilterRow::default(), &mut plan, &home, true);
    assert_eq!(verdict.stop, Some(Reason::NonFinite));
    assert!(verdict.clamped.action.iter().all(|action| *action == 0.0));
}

/// Ticks that tell nothing must not hide what the others tell.
#[test]
fn silence_in_between_does_not_reset_a_count() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let mut guard = Guard::new(&config);
    let stop = (0..60).find_map(|tick: u32| {
        let capture = CaptureRow {
            arm: if tick.is_multiple_of(2) {
                ArmState::Held
            } else {
                ArmState::Unheard
            },
            frame_hash: u64::from(tick),
            ..seen()
        };
        let mut plan = PlanRow {
            action: [0.5; 2].into_iter().collect(),
            source: PlanSource::Fresh,
            ..PlanRow::default()
        };
        let home = config.envelope.home();
        guard
            .decide(&capture, &FilterRow::default(), &mut plan, &home, true)
            .stop
    });
    assert_eq!(stop, Some(Reason::ArmStopped));
}
