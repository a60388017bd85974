//! The fallback ladder: what each kind of trouble does, tick by tick.

mod kl_sum;

use std::path::Path;

use episode::{ArmState, CaptureRow, FilterRow, PlanRow, PlanSource, Reason};
use guard::arm::Heard;
use guard::{Guard, Rules};
use robot::config::made::{Actuator, Made};
use robot::{Config, JointVec};

/// The shipped planar arm.
fn config() -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent");
    Config::load(&root.join("configs/sim-planar.ron")).expect("robot file")
}

/// Feeds the same trouble for a number of ticks; returns the first tick that demanded a stop, and its reason.
fn first_stop(capture: &CaptureRow, filter: FilterRow, action: f32, ticks: u32) -> Option<(u32, Reason)> {
    let config = config();
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
    let config = config();
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
    let config = config();
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

/// What an arm does in a tick, as [`live_stop`] hears it.
#[derive(Clone)]
struct Report {
    state: ArmState,
    refused: bool,
    position_rad: JointVec,
    set_point_rad: JointVec,
    fresh: bool,
}

/// Where the first joint is sent by each command: as fast as it may go, there and back.
fn sent_rad(step: u32) -> f32 {
    let (up, down) = (step % 80, 80 - step % 80);
    0.0667 * up.min(down) as f32
}

/// Drives a guard by the rules for a world that does not wait, in these ticks. The arm follows, one period late, but for what `happens`
/// changes of its reports from tick 20 on. The tick in which the guard stops it, and why.
fn live_stop(ticks: impl Iterator<Item = u32>, happens: impl Fn(u32, &mut Report)) -> Option<(u32, Reason)> {
    let config = config();
    let mut guard = Guard::new(&config);
    let joints = |first: f32| -> JointVec { [first, 0.3].into_iter().collect() };
    guard.reset(Rules::live(true));
    guard.stands(&joints(0.0));
    // Commands so far: the loop does not go on in periods that pass without a tick.
    let mut step: u32 = 0;
    for tick in ticks {
        let there = joints(step.checked_sub(1).map_or(0.0, sent_rad));
        let mut report = Report {
            state: if tick == 0 {
                ArmState::Held
            } else {
                ArmState::Active
            },
            refused: false,
            position_rad: there.clone(),
            set_point_rad: there,
            fresh: true,
        };
        if tick >= 20 {
            happens(tick, &mut report);
        }
        guard.hear(
            tick,
            &Heard {
                state: report.state,
                refused: report.refused,
                position_rad: &report.position_rad,
                set_point_rad: &report.set_point_rad,
            },
            false,
        );
        if let Some(reason) = guard.stopped() {
            return Some((tick, reason));
        }
        let may_send = guard.may_send();
        let capture = CaptureRow {
            fresh: report.fresh,
            frame_hash: u64::from(tick),
            ..CaptureRow::default()
        };
        let mut plan = PlanRow {
            source: PlanSource::Fresh,
            action: joints(0.0),
            ..PlanRow::default()
        };
        let home = config.envelope.home();
        let verdict = guard.decide(&capture, &FilterRow::default(), &mut plan, &home, true);
        if let Some(reason) = verdict.stop {
            return Some((tick, reason));
        }
        if may_send {
            guard.sent(tick, &joints(sent_rad(step)));
            step += 1;
        }
    }
    None
}

type Happens = fn(u32, &mut Report);

#[test]
fn an_arm_that_does_something_else_is_stopped_before_anything_more_is_sent() {
    let state: [Happens; 6] = [
        |_, report| report.state = ArmState::Unheard,
        |_, report| report.state = ArmState::Held,
        |_, report| report.state = ArmState::Stopping,
        |_, report| report.state = ArmState::Idle,
        |_, report| report.state = ArmState::Released,
        |_, report| report.state = ArmState::EStopped,
    ];
    let [unheard, held, stopping, idle, released, e_stopped] = state;
    let miscounted: Happens = |_, report| report.position_rad.truncate(1);
    let empty: Happens = |_, report| report.set_point_rad.clear();
    let no_number: Happens = |_, report| report.position_rad[1] = f32::NAN;
    let infinite: Happens = |_, report| report.set_point_rad[0] = f32::INFINITY;
    let jumped: Happens = |_, report| report.position_rad[0] += 1.0;
    let jumping: Happens = |tick, report| report.position_rad[0] += (tick % 2) as f32 - 1.0;
    let elsewhere: Happens = |_, report| report.set_point_rad[1] += 0.1;
    // It goes on being where it was led last, whatever it is sent.
    let deaf: Happens = |_, report| {
        report.set_point_rad[0] = sent_rad(19);
        report.position_rad[0] = sent_rad(19);
    };
    let refusing: Happens = |_, report| report.refused = true;
    let jammed: Happens = |_, report| report.position_rad[1] += 0.45;
    let blind: Happens = |_, report| report.fresh = false;
    for (name, happens, tick, reason) in [
        ("silent", unheard, 22, Reason::LinkLost),
        ("of another number of joints", miscounted, 22, Reason::LinkLost),
        ("without set points", empty, 22, Reason::LinkLost),
        ("held", held, 20, Reason::SelfStopped),
        ("slowing down", stopping, 20, Reason::SelfStopped),
        ("placed without torque", idle, 20, Reason::SelfStopped),
        ("released", released, 20, Reason::ArmStopped),
        ("latched", e_stopped, 20, Reason::EStop),
        ("without a position", no_number, 22, Reason::BadReport),
        ("with an infinite set point", infinite, 22, Reason::BadReport),
        ("with a joint that jumped", jumped, 22, Reason::BadReport),
        ("with a joint that jumps", jumping, 24, Reason::BadReport),
        ("that is led elsewhere", elsewhere, 22, Reason::OffCourse),
        // Its set point may be that of the last five commands; from the sixth on three ticks are counted.
        ("that is deaf", deaf, 27, Reason::OffCourse),
        // Its watchdog's time is two and a half periods.
        ("that refuses", refusing, 22, Reason::ArmStopped),
        ("that is held by something", jammed, 30, Reason::ArmStopped),
        ("that is not seen", blind, 24, Reason::FrameGap),
    ] {
        assert_eq!(live_stop(0..200, happens), Some((tick, reason)), "an arm {name}");
    }
}

#[test]
fn an_arm_that_follows_is_not_stopped_and_two_commands_may_be_lost() {
    assert_eq!(live_stop(0..2_000, |_, _| {}), None);
    // Two periods behind for good, as fast as it may go.
    let behind: Happens = |tick, report| {
        let led = sent_rad(tick - 3);
        (report.set_point_rad[0], report.position_rad[0]) = (led, led);
    };
    assert_eq!(live_stop(0..2_000, behind), None);
    // Two reports in a row are missing, again and again.
    let patchy: Happens = |tick, report| {
        if tick % 3 != 0 {
            report.state = ArmState::Unheard;
        }
    };
    assert_eq!(live_stop(0..2_000, patchy), None);
}

/// After a pause that was longer than the arm's watchdog waits, the arm says whether it was stopped. Until then nothing is sent.
#[test]
fn the_watchdogs_time_decides_whether_a_pause_ends_the_episode() {
    let with_pause = |ticks: u32| (0..20).chain(19 + ticks..200);
    let heard = |state: ArmState| {
        move |report: &mut Report| {
            report.state = state;
            // It stands where it was led when the pause began.
            report.set_point_rad[0] = sent_rad(19);
            report.position_rad[0] = sent_rad(19);
        }
    };
    // How long the pause is, what is heard in the first tick after it, and in the second.
    for (ticks, first, second, stopped) in [
        (3, ArmState::Unheard, ArmState::Active, None),
        (9, ArmState::Active, ArmState::Active, None),
        (9, ArmState::Unheard, ArmState::Active, None),
        (9, ArmState::Held, ArmState::Held, Some((28, Reason::SelfStopped))),
        (
            9,
            ArmState::Unheard,
            ArmState::Held,
            Some((29, Reason::SelfStopped)),
        ),
        (
            9,
            ArmState::Unheard,
            ArmState::Stopping,
            Some((29, Reason::SelfStopped)),
        ),
    ] {
        let found = live_stop(with_pause(ticks), move |tick, report| {
            if tick == 19 + ticks {
                heard(first)(report);
            } else if tick == 20 + ticks {
                heard(second)(report);
            }
        });
        assert_eq!(
            found, stopped,
            "a pause of {ticks} ticks, then {first:?} and {second:?}"
        );
    }
}

#[test]
fn nothing_is_sent_after_a_pause_before_the_arm_is_heard() {
    let config = config();
    let home = config.envelope.home().position_rad;
    let heard = |state| Heard {
        state,
        refused: false,
        position_rad: &home,
        set_point_rad: &home,
    };
    let begun = || {
        let mut guard = Guard::new(&config);
        guard.reset(Rules::live(true));
        guard.stands(&home);
        for tick in 0..5 {
            guard.hear(tick, &heard(ArmState::Active), false);
            assert!(guard.may_send());
            guard.sent(tick, &home);
        }
        guard
    };
    // Its watchdog waits for two and a half periods, and the last command left at the end of its period at the latest.
    for (tick, last, may_send, stopped) in [
        (7, false, true, None),
        (8, false, false, None),
        (8, true, false, Some(Reason::SelfStopped)),
        (7, true, true, None),
    ] {
        let mut guard = begun();
        guard.hear(tick, &heard(ArmState::Unheard), last);
        assert_eq!(
            (guard.may_send(), guard.stopped()),
            (may_send, stopped),
            "tick {tick}"
        );
        if stopped.is_none() {
            guard.hear(tick + 1, &heard(ArmState::Active), false);
            assert!(guard.may_send(), "an arm that follows is led on");
        }
    }
}

#[test]
fn the_tail_of_a_plan_stands_in_for_one_that_is_late_and_the_next_late_one_stops_the_arm() {
    let mut config = config();
    let home = config.envelope.home();
    let stop = |config: &Config, rules: Rules, sources: &[PlanSource]| {
        let mut guard = Guard::new(config);
        guard.reset(rules);
        sources.iter().enumerate().find_map(|(tick, source)| {
            let mut plan = PlanRow {
                source: *source,
                action: [0.5; 2].into_iter().collect(),
                ..PlanRow::default()
            };
            let verdict = guard.decide(&seen(), &FilterRow::default(), &mut plan, &home, false);
            if verdict.stop.is_none() && *source == PlanSource::Tail {
                assert_eq!(verdict.row.reason, Reason::PlanLate, "it is told");
            }
            verdict.stop.map(|reason| (tick, reason))
        })
    };
    let (fresh, tail) = (PlanSource::Fresh, PlanSource::Tail);
    let late = [fresh, tail, tail, tail, tail, tail];
    let live = Rules::live(true);
    assert_eq!(stop(&config, live, &late), Some((2, Reason::PlanLate)));
    let now_and_then = [tail, fresh, tail, fresh, tail, fresh, tail, fresh];
    assert_eq!(stop(&config, live, &now_and_then), None);
    // By the rules of earlier logs, and where the world waits, an arm goes on.
    let before = Rules::Live {
        led: true,
        late_plans: false,
    };
    assert_eq!(stop(&config, before, &late), None);
    assert_eq!(stop(&config, Rules::Waiting, &late), None);
    config.trust.tail_ticks = 3;
    assert_eq!(stop(&config, live, &late), Some((4, Reason::PlanLate)));
    config.trust.tail_ticks = 0;
    assert_eq!(stop(&config, live, &late), Some((1, Reason::PlanLate)));
}

#[test]
fn a_number_in_a_log_names_the_rules_of_its_guard() {
    for number in 1..=5 {
        assert_eq!(Rules::of(number).map(Rules::number), Some(number));
    }
    assert_eq!((Rules::of(0), Rules::of(6)), (None, None));
    assert_eq!(Rules::live(true).number(), 4);
}

#[test]
fn a_surprise_that_is_soon_believed_stops_an_arm_in_a_world_that_does_not_wait() {
    let mut config = config();
    let home = config.envelope.home();
    let stop = |config: &Config, rules: Rules| {
        let mut guard = Guard::new(config);
        guard.reset(rules);
        (0..30).find_map(|tick: u32| {
            let mut plan = PlanRow {
                source: PlanSource::Fresh,
                action: [0.0; 2].into_iter().collect(),
                ..PlanRow::default()
            };
            // Large at first, as in any episode, and from tick 10 on as when a target is taken away.
            let nats = match tick {
                0 => 60.0,
                10..14 => 40.0 / (tick - 9) as f32,
                _ => 1.0,
            };
            let verdict = guard.decide(&seen(), &surprised(nats), &mut plan, &home, false);
            verdict.stop.map(|reason| (tick, reason))
        })
    };
    let live = Rules::live(true);
    assert_eq!(stop(&config, live), None, "200 nats a picture are never reached");
    config.trust.kl_sum_nats = Some(30.0);
    assert_eq!(stop(&config, live), Some((11, Reason::Surprise)));
    assert_eq!(stop(&config, Rules::Waiting), None);
    config.trust.kl_sum_nats = Some(90.0);
    assert_eq!(stop(&config, live), None);
}

/// A guard lasts for many episodes.
#[test]
fn a_new_episode_knows_nothing_of_the_arm_before() {
    let config = config();
    let mut guard = Guard::new(&config);
    let at = |first_rad: f32| -> JointVec { [first_rad, 0.3].into_iter().collect() };
    let hear = |guard: &mut Guard, tick: u32, state: ArmState, at_rad: &JointVec| {
        let heard = Heard {
            state,
            refused: false,
            position_rad: at_rad,
            set_point_rad: at_rad,
        };
        guard.hear(tick, &heard, false);
        guard.stopped()
    };
    guard.reset(Rules::live(true));
    guard.stands(&at(0.0));
    for tick in 0..5 {
        assert_eq!(hear(&mut guard, tick, ArmState::Active, &at(0.0)), None);
        guard.sent(tick, &at(0.0));
    }
    // Two periods of silence: one more would stop it.
    for tick in 5..7 {
        assert_eq!(hear(&mut guard, tick, ArmState::Unheard, &at(0.0)), None);
    }
    guard.reset(Rules::live(true));
    guard.stands(&at(1.0));
    assert_eq!(
        hear(&mut guard, 0, ArmState::Unheard, &at(1.0)),
        None,
        "the first silence"
    );
    // Somebody has carried it meanwhile, and it does not follow yet.
    assert_eq!(hear(&mut guard, 1, ArmState::Held, &at(1.0)), None);
    assert_eq!(hear(&mut guard, 2, ArmState::Active, &at(1.0)), None);
}

/// An arm is held, or without torque, until the first command has reached it.
#[test]
fn an_arm_that_never_begins_to_follow_is_given_up() {
    let config = config();
    let mut guard = Guard::new(&config);
    guard.reset(Rules::live(true));
    let home = config.envelope.home().position_rad;
    let stop = (0..50).find(|tick| {
        let heard = Heard {
            state: ArmState::Held,
            refused: false,
            position_rad: &home,
            set_point_rad: &home,
        };
        guard.hear(*tick, &heard, false);
        guard.sent(*tick, &home);
        guard.stopped() == Some(Reason::ArmStopped)
    });
    assert_eq!(stop, Some(10));
}

#[test]
fn a_planner_that_is_lost_stops_the_arm_and_one_that_is_late_is_told() {
    for (source, stop, reason) in [
        (PlanSource::Fresh, None, Reason::Ok),
        (PlanSource::Tail, None, Reason::PlanLate),
        (PlanSource::Lost, Some(Reason::PlannerLost), Reason::PlannerLost),
    ] {
        let config = config();
        let mut guard = Guard::new(&config);
        let mut plan = PlanRow {
            source,
            action: [0.5; 2].into_iter().collect(),
            ..PlanRow::default()
        };
        let home = guard.envelope().home();
        let verdict = guard.decide(&seen(), &FilterRow::default(), &mut plan, &home, true);
        assert_eq!((verdict.stop, verdict.row.reason), (stop, reason), "{source:?}");
        assert_eq!(guard.stopped(), stop);
    }
}

#[test]
fn rules_have_the_numbers_that_logs_have() {
    for (number, rules) in [
        (1, Rules::Waiting),
        (
            2,
            Rules::Live {
                led: true,
                late_plans: false,
            },
        ),
        (
            3,
            Rules::Live {
                led: false,
                late_plans: false,
            },
        ),
        (4, Rules::live(true)),
        (5, Rules::live(false)),
    ] {
        assert_eq!(rules.number(), number);
        assert_eq!(Rules::of(number), Some(rules));
    }
    assert_eq!(Rules::of(0), None);
    assert_eq!(Rules::of(6), None);
    assert_eq!(Rules::default(), Rules::Waiting);
}

/// An arm that follows what it was sent, before anything was sent: there is nothing that its set point could be compared with.
#[test]
fn an_arm_that_was_sent_nothing_is_not_off_course() {
    let config = config();
    let mut guard = Guard::new(&config);
    guard.reset(Rules::live(true));
    let (position_rad, set_point_rad) = (seen().position_rad, seen().arm_set_point_rad);
    let heard = Heard {
        state: ArmState::Active,
        refused: false,
        position_rad: &position_rad,
        set_point_rad: &set_point_rad,
    };
    for tick in 0..50 {
        guard.hear(tick, &heard, false);
        assert!(guard.may_send(), "tick {tick}: {:?}", guard.stopped());
    }
    // As soon as it stands somewhere else, it is.
    guard.stands(&[1.0, 1.0].into_iter().collect());
    let stopped = (50..60).find(|tick| {
        guard.hear(*tick, &heard, false);
        !guard.may_send()
    });
    assert_eq!((stopped, guard.stopped()), (Some(52), Some(Reason::OffCourse)));
}

/// Actuators may round by half a per cent of their range, and move from one end to the other at once.
#[test]
fn an_actuator_may_round_by_a_share_of_its_range() {
    let text = Made {
        comment: "",
        name: "plant",
        period_s: 0.1,
        episode_ticks: 10,
        actuators: &[Actuator {
            name: "turn".to_owned(),
            low: 0.0,
            high: 180.0,
        }],
        simulator: None,
    }
    .text();
    let config = Config::parse(Path::new("made.ron"), text).expect("a robot file");
    for (aside, stop) in [(0.89, None), (0.91, Some(Reason::OffCourse))] {
        let mut guard = Guard::new(&config);
        guard.reset(Rules::live(true));
        for tick in 0..10 {
            // To another end with each command.
            let sent: JointVec = [180.0 * (tick % 2) as f32].into_iter().collect();
            guard.stands(&sent);
            let found: JointVec = [sent[0] + aside].into_iter().collect();
            let heard = Heard {
                state: ArmState::Active,
                refused: false,
                position_rad: &found,
                set_point_rad: &found,
            };
            guard.hear(tick, &heard, false);
        }
        assert_eq!(guard.stopped(), stop, "{aside} beside it");
    }
}
