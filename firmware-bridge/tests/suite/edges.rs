//! The firmware core exactly at its bounds, and between two ticks.

use firmware_bridge::wire::{ArmToHost, Command, HostToArm, NO_SESSION};
use firmware_bridge::{FirmwareLimits, FirmwareOptions, FirmwareState, JointLimits, StopReason};
use robot::device::{ArmReport, ArmState};

use crate::bench::Bench;
use crate::common::{JOINTS, PERIOD_US, TICK_US, firmware_options, vec};

/// How far ahead of the ticks the line may be read, in microseconds.
const AHEAD_MAX_US: u64 = 1_000_000;

/// An arm in motion whose joints may gain `acceleration_max_rad_s2`.
fn active_with(acceleration_max_rad_s2: f32) -> Bench {
    let joint = JointLimits {
        position_min_rad: -2.0,
        position_max_rad: 2.0,
        velocity_max_rad_s: 1.0,
        acceleration_max_rad_s2,
    };
    let mut bench = Bench::of(FirmwareOptions {
        limits: FirmwareLimits::new(&[joint; JOINTS]).expect("sound"),
        ..firmware_options()
    });
    bench.tick();
    bench.hello();
    bench.command(&[0.0, 0.0]);
    bench
}

#[test]
fn the_watchdog_waits_for_its_time_and_not_longer() {
    let watchdog_us = firmware_options().watchdog_us;
    for (late_us, state) in [(0, FirmwareState::Active), (1, FirmwareState::Stopping)] {
        let mut bench = Bench::active();
        // An arm that moves does not come to rest in the tick that stops it.
        bench.command(&[0.2, 0.0]);
        bench.tick();
        bench.command(&[0.2, 0.0]);
        bench.core.tick(bench.now_us + TICK_US, &[0.0; 2], &[0.0; 2]);
        bench
            .core
            .tick(bench.now_us + watchdog_us + late_us, &[0.0; 2], &[0.0; 2]);
        let stopped = bench.telemetry().stop_reason == StopReason::Watchdog;
        assert_eq!(stopped, state == FirmwareState::Stopping, "{late_us} us late");
    }
}

#[test]
fn torque_is_kept_for_the_grace_time_and_not_longer() {
    for (late_us, state) in [(0, FirmwareState::Held), (1, FirmwareState::Released)] {
        let mut bench = Bench::active();
        bench.tick_until(FirmwareState::Held);
        let held_us = bench.now_us;
        let grace_us = firmware_options().torque_grace_us;
        bench
            .core
            .tick(held_us + grace_us + late_us, &[0.0; 2], &[0.0; 2]);
        assert_eq!(bench.core.state(), state, "{late_us} us late");
    }
}

#[test]
fn an_arm_that_is_to_send_no_telemetry_sends_none() {
    let mut bench = Bench::of(FirmwareOptions {
        telemetry_every_ticks: 0,
        ..firmware_options()
    });
    for _ in 0..5 {
        bench.tick();
        assert_eq!(bench.heard(), []);
    }
}

#[test]
fn a_clock_that_stands_still_or_is_a_little_ahead_ends_no_session() {
    let mut bench = Bench::active();
    bench.core.tick(bench.now_us, &[0.0; 2], &[0.0; 2]);
    bench.core.tick(bench.now_us, &[0.0; 2], &[0.0; 2]);
    assert_eq!(
        bench.telemetry().session_nonce,
        bench.nonce,
        "the same time twice"
    );
    for (ahead_us, goes_on) in [(AHEAD_MAX_US, true), (AHEAD_MAX_US + 1, false)] {
        let mut bench = Bench::active();
        let tick_us = bench.now_us + TICK_US;
        let now_us = bench.now_us;
        bench.now_us = tick_us + ahead_us;
        bench.say(&bench.ping());
        bench.now_us = now_us;
        bench.tick();
        assert_eq!(
            bench.telemetry().session_nonce != NO_SESSION,
            goes_on,
            "heard {ahead_us} us ahead of the tick"
        );
    }
}

#[test]
fn a_report_between_ticks_is_what_is_told_next() {
    let mut bench = Bench::new();
    bench.hello();
    bench.core.report(5, &[0.5, -0.5], &[0.1, 0.2]);
    let told = bench.heard();
    let [ArmToHost::Telemetry(telemetry)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(telemetry.device_time_us, 5);
    assert_eq!(telemetry.position_rad, [0.5, -0.5]);
    assert_eq!(telemetry.velocity_rad_s, [0.1, 0.2]);
    // Now it is known where the arm is: it can be led from there.
    bench.now_us = 6;
    assert_eq!(bench.core.received_seq(), None);
    bench.command_with(8, 7, &[0.5, -0.5]);
    assert_eq!(bench.core.received_seq(), Some(8));
    assert_eq!(bench.core.state(), FirmwareState::Active);
}

#[test]
fn a_command_between_ticks_makes_no_time_count_twice() {
    let mut bench = Bench::active();
    for _ in 0..10 {
        bench.command(&[2.0, 0.0]);
        bench.tick();
    }
    let half_us = TICK_US / 2;
    bench.now_us += half_us;
    bench.command(&[2.0, 0.0]);
    let before = bench.telemetry().set_point_rad[0];
    bench.now_us -= half_us;
    let after = bench.tick().set_point_rad[0];
    // At 1 rad/s.
    let most = half_us as f32 * 1e-6;
    assert!(
        (0.9 * most..1.01 * most).contains(&(after - before)),
        "{} rad in half a tick",
        after - before
    );
    // A tick whose time is before the last command's leads nowhere.
    bench.now_us += 3 * half_us;
    bench.command(&[2.0, 0.0]);
    let before = bench.telemetry().set_point_rad[0];
    bench.now_us -= 3 * half_us;
    let after = bench.tick().set_point_rad[0];
    assert!(after - before < 2.1 * most, "{} rad", after - before);
}

#[test]
fn torque_goes_off_at_rest_once_it_was_asked_for_whatever_comes_after() {
    for stop_follows in [false, true] {
        let mut bench = Bench::active();
        bench.command(&[0.1, 0.1]);
        bench.tick();
        bench.say(&bench.release());
        if stop_follows {
            bench.say(&HostToArm::Stop);
        }
        while bench.core.state() == FirmwareState::Stopping {
            bench.tick();
        }
        assert_eq!(bench.core.state(), FirmwareState::Released);
    }
}

#[test]
fn an_arm_that_has_rested_begins_from_rest() {
    // May gain 2 rad/s^2.
    let mut bench = active_with(2.0);
    for target_rad in [0.02, 0.06, 0.12] {
        bench.command(&[target_rad, 0.0]);
        for _ in 0..PERIOD_US / TICK_US {
            bench.tick();
        }
    }
    let at = bench.telemetry().set_point_rad[0];
    assert_eq!(at, 0.12, "it has arrived, at 0.6 rad/s");
    // It rests for 0.1 s, and is then asked for 1 rad/s. Of its 0.6 rad/s 0.4 are left, and 0.4 may be gained in the 0.2 s since the last
    // command.
    for _ in 0..PERIOD_US / TICK_US {
        bench.tick();
    }
    bench.command(&[at + 0.1, 0.0]);
    let step = bench.tick().set_point_rad[0] - at;
    assert!((0.015..0.0165).contains(&step), "{} rad/s", step / 0.02);
}

#[test]
fn a_control_that_is_in_force_at_once_keeps_the_limit_of_acceleration() {
    let mut bench = active_with(0.5);
    bench.say(&HostToArm::Command(Command {
        seq: 9,
        host_time_us: 0,
        valid_until_us: bench.now_us + PERIOD_US,
        move_time_us: 0,
        set_point_rad: vec(&[1.0, 0.0]),
        session_nonce: bench.nonce,
    }));
    let step = bench.tick().set_point_rad[0];
    // In the watchdog's 0.25 s an arm at rest may gain 0.125 rad/s.
    assert!((0.0024..0.0026).contains(&step), "{} rad/s", step / 0.02);
}

#[test]
fn what_the_firmware_says_is_what_the_control_loop_hears() {
    let bench = Bench::active();
    for (said, heard) in [
        (FirmwareState::Idle, ArmState::Idle),
        (FirmwareState::Active, ArmState::Active),
        (FirmwareState::Stopping, ArmState::Stopping),
        (FirmwareState::Held, ArmState::Held),
        (FirmwareState::Released, ArmState::Released),
        (FirmwareState::EStopped, ArmState::EStopped),
    ] {
        for (received_seq, refused) in [(7, false), (8, true)] {
            let mut telemetry = bench.telemetry();
            telemetry.state = said;
            telemetry.position_rad = vec(&[1.0, 2.0]);
            (telemetry.last_command_seq, telemetry.received_seq) = (7, received_seq);
            let report = ArmReport::from(telemetry);
            assert_eq!((report.state, report.refused), (heard, refused));
            assert_eq!(report.position_rad, [1.0, 2.0]);
        }
    }
    let ids = [(); 3].map(|()| firmware_bridge::fresh::id());
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn an_arm_promises_the_limits_that_it_keeps() {
    for (given_us, promised_us) in [(250_000, 250_000), (u64::MAX, u32::MAX)] {
        let options = FirmwareOptions {
            torque_grace_us: given_us,
            ..firmware_options()
        };
        let contract = Bench::of(options.clone()).hello().contract;
        assert_eq!(contract.joints[..], *options.limits.joints());
        assert_eq!(u64::from(contract.watchdog_us), options.watchdog_us);
        assert_eq!(u64::from(contract.validity_max_us), options.validity_max_us);
        assert_eq!(contract.torque_grace_us, promised_us, "as long as can be said");
        assert_eq!(contract.jump_max_rad, options.jump_max_rad);
    }
}
