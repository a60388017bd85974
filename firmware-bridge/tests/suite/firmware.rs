//! The firmware core in virtual time.

use crate::bench::Bench;
use crate::common::{PERIOD_US, TICK_US, firmware_options, vec};
use firmware_bridge::wire::{Command, HostToArm, MAX_FRAME_BYTES, PROTOCOL_VERSION};
use firmware_bridge::{FirmwareCore, FirmwareLimits, FirmwareState, JointLimits, StopReason};

#[test]
fn boot_waits_with_torque_off() {
    let mut bench = Bench::new();
    bench.position_rad = vec![0.3, -0.3];
    let drive = bench.tick();
    assert!(!drive.torque_on);
    assert_eq!(drive.set_point_rad, [0.3, -0.3], "the set point follows the arm");
    bench.command(&[0.3, -0.3]);
    assert_eq!(
        bench.core.state(),
        FirmwareState::Idle,
        "no command without a handshake"
    );
    assert_eq!(bench.telemetry().rejected_session, 1);
    bench.hello();
    assert_eq!(bench.core.state(), FirmwareState::Idle);
    bench.command(&[0.3, -0.3]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
    assert!(bench.tick().torque_on);
}

#[test]
fn an_arm_that_has_not_measured_itself_takes_no_command() {
    let mut bench = Bench::new();
    bench.hello();
    bench.command(&[0.0, 0.0]);
    assert_eq!(
        (bench.core.state(), bench.telemetry().rejected_state),
        (FirmwareState::Idle, 1)
    );
}

#[test]
fn another_protocol_version_is_answered_and_not_obeyed() {
    for protocol_version in [1, PROTOCOL_VERSION + 1] {
        let mut bench = Bench::active();
        bench.say(&HostToArm::Hello {
            protocol_version,
            host_time_us: 5,
            host_nonce: 6,
        });
        let mut buffer = [0; MAX_FRAME_BYTES];
        let frame = bench.core.poll_transmit(&mut buffer);
        // The answer has the fields of version 1 and no others, so that a host of that version reads it: `00`, COBS of `A`, kind 0,
        // version, joints, firmware version, host time, device time, CRC, `00`.
        assert_eq!(
            frame.len(),
            1 + 1 + 1 + 1 + 1 + 1 + 3 + 1 + 3 + 4 + 1,
            "{frame:?}"
        );
        assert_eq!(bench.core.state(), FirmwareState::Stopping, "the session is over");
        bench.tick_until(FirmwareState::Held);
        bench.command(&[0.0, 0.0]);
        assert_eq!(bench.core.state(), FirmwareState::Held);
    }
}

#[test]
fn set_points_are_interpolated_and_reached_exactly() {
    let mut bench = Bench::active();
    bench.command(&[0.05, -0.04]);
    let path: Vec<f32> = (0..5).map(|_| bench.tick().set_point_rad[0]).collect();
    for (step, rad) in path.iter().enumerate() {
        assert!((rad - 0.01 * (step + 1) as f32).abs() < 1e-6, "{path:?}");
    }
    assert_eq!(bench.telemetry().set_point_rad, [0.05, -0.04]);
}

#[test]
fn full_speed_is_not_slowed_by_rounding() {
    let mut bench = Bench::active();
    // Half speed first: 5 rad/s^2 over a period of 0.1 s.
    for step in 1..=16 {
        let target = 0.1 * step as f32 - 0.05;
        bench.command(&[target, -target]);
        (0..5).for_each(|_| {
            bench.tick();
        });
        assert_eq!(bench.telemetry().set_point_rad, [target, -target]);
    }
}

#[test]
fn a_target_too_far_is_approached_at_full_speed() {
    let mut bench = Bench::active();
    bench.command(&[0.05, 0.0]);
    (0..5).for_each(|_| {
        bench.tick();
    });
    let mut before = 0.05;
    bench.command(&[1.0, 0.0]);
    for _ in 0..5 {
        let rad = bench.tick().set_point_rad[0];
        assert!(
            (rad - before - 0.02).abs() < 1e-4,
            "1 rad/s is 0.02 rad a tick, not {}",
            rad - before
        );
        before = rad;
    }
}

#[test]
fn positions_are_clamped_and_counted() {
    let mut bench = Bench::active();
    for _ in 0..40 {
        bench.command(&[9.0, 0.0]);
        (0..5).for_each(|_| assert!(bench.tick().set_point_rad[0] <= 2.0));
    }
    assert_eq!(bench.telemetry().set_point_rad, [2.0, 0.0]);
    assert_eq!(bench.telemetry().clamped, 40);
}

#[test]
fn what_is_not_a_set_point_is_rejected() {
    let mut bench = Bench::active();
    bench.command(&[0.05, 0.05]);
    for bad in [
        &[f32::NAN, 0.0][..],
        &[0.0, f32::INFINITY],
        &[0.0],
        &[0.0; 3],
        &[],
    ] {
        bench.command(bad);
    }
    bench.tick_until(FirmwareState::Held);
    let telemetry = bench.telemetry();
    assert_eq!(telemetry.rejected_content, 5);
    assert_eq!((telemetry.last_command_seq, telemetry.received_seq), (2, 7));
    assert_eq!(telemetry.set_point_rad, [0.05, 0.05]);
}

#[test]
fn a_jump_from_the_pose_is_rejected() {
    let mut bench = Bench::new();
    bench.position_rad = vec![0.5, 0.0];
    bench.tick();
    bench.hello();
    bench.command(&[0.0, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::Idle);
    assert_eq!(bench.telemetry().rejected_content, 1);
    bench.command(&[0.46, 0.04]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
    let first_rad = bench.tick().set_point_rad[0];
    assert!(
        (first_rad - 0.492).abs() < 1e-6,
        "it starts from the pose: {first_rad}"
    );
}

#[test]
fn an_arm_whose_pose_is_no_number_takes_no_command() {
    let mut bench = Bench::new();
    bench.position_rad[1] = f32::NAN;
    bench.tick();
    bench.hello();
    bench.command(&[0.0, 0.0]);
    bench.tick();
    assert_eq!(bench.core.state(), FirmwareState::Idle);
    assert_eq!(bench.telemetry().rejected_content, 1);
    assert!(!bench.tick().torque_on);
}

#[test]
fn old_and_late_commands_are_rejected() {
    let mut bench = Bench::active();
    let valid = bench.now_us + PERIOD_US;
    bench.command_with(1, valid, &[0.1, 0.1]);
    bench.command_with(0, valid, &[0.1, 0.1]);
    bench.command_with(u32::MAX, valid, &[0.1, 0.1]);
    assert_eq!(bench.telemetry().rejected_sequence, 3);
    (0..3).for_each(|_| {
        bench.tick();
    });
    bench.command_with(2, bench.now_us - 1, &[0.1, 0.1]);
    let telemetry = bench.telemetry();
    assert_eq!(
        (
            telemetry.rejected_age,
            telemetry.received_seq,
            telemetry.last_command_seq
        ),
        (1, 2, 1)
    );
    assert_eq!(telemetry.set_point_rad, [0.0, 0.0]);
    bench.command_with(3, bench.now_us, &[0.1, 0.1]);
    assert_eq!(bench.telemetry().last_command_seq, 3, "valid until now is valid");
}

#[test]
fn sequence_numbers_wrap_around() {
    let mut bench = Bench::new();
    bench.tick();
    bench.hello();
    for (seq, accepted) in [
        (u32::MAX - 1, true),
        (u32::MAX, true),
        (0, true),
        (u32::MAX, false),
        (1, true),
    ] {
        bench.command_with(seq, bench.now_us + 1, &[0.0, 0.0]);
        assert_eq!(bench.telemetry().last_command_seq == seq, accepted, "{seq}");
    }
}

#[test]
fn silence_stops_then_holds_then_releases() {
    let mut bench = Bench::active();
    bench.say(&HostToArm::Command(Command {
        seq: 2,
        host_time_us: 0,
        valid_until_us: bench.now_us,
        move_time_us: 1_000_000,
        set_point_rad: vec(&[0.9, 0.0]),
        session_nonce: bench.nonce,
    }));
    let to_stopping = bench.tick_until(FirmwareState::Stopping);
    assert!(to_stopping <= PERIOD_US * 5 / 2 + TICK_US, "{to_stopping}");
    assert_eq!(bench.telemetry().stop_reason, StopReason::Watchdog);

    // The tick that noticed has slowed already.
    let (mut position, mut speed) = (bench.position_rad[0], 0.8);
    let mut slowing = 1;
    while bench.core.state() == FirmwareState::Stopping {
        let drive = bench.tick();
        assert!(drive.torque_on);
        let now_speed = (drive.set_point_rad[0] - position) / 0.02;
        assert!(
            speed - now_speed <= 5.0 * 0.02 + 1e-3,
            "brakes at {} rad/s^2",
            (speed - now_speed) / 0.02
        );
        (position, speed) = (drive.set_point_rad[0], now_speed);
        slowing += 1;
    }
    assert!(
        (9..=10).contains(&slowing),
        "0.9 rad/s at 5 rad/s^2 takes 0.18 s, took {slowing} ticks"
    );
    assert_eq!(bench.core.state(), FirmwareState::Held);
    assert!(bench.tick().torque_on);

    let to_released = bench.tick_until(FirmwareState::Released);
    assert!(
        (1_000_000 - 2 * TICK_US..=1_000_000 + TICK_US).contains(&to_released),
        "{to_released}"
    );
    assert!(!bench.tick().torque_on);
    bench.command(&[position, 0.0]);
    assert_eq!(
        bench.core.state(),
        FirmwareState::Released,
        "torque never comes back by itself"
    );
    bench.hello();
    bench.command(&[position, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
}

#[test]
fn a_ping_keeps_torque_but_does_not_feed_the_watchdog() {
    let mut bench = Bench::active();
    for _ in 0..200 {
        bench.say(&bench.ping());
        bench.tick();
    }
    assert_eq!(bench.core.state(), FirmwareState::Held);
}

#[test]
fn an_arm_that_was_stopped_moves_again_only_in_a_new_session() {
    let stops: [fn(&mut Bench); 2] = [
        // It hears nothing.
        |_| {},
        |bench| bench.say(&HostToArm::Stop),
    ];
    for stop in stops {
        let mut bench = Bench::active();
        stop(&mut bench);
        bench.tick_until(FirmwareState::Held);
        for refused in 1..4 {
            bench.command(&[0.0, 0.0]);
            bench.tick();
            assert_eq!(bench.core.state(), FirmwareState::Held);
            assert_eq!(bench.telemetry().rejected_state, refused);
        }
        bench.hello();
        bench.command(&[0.0, 0.0]);
        assert_eq!(bench.core.state(), FirmwareState::Active);
    }
}

#[test]
fn a_held_arm_begins_near_its_pose() {
    let mut bench = Bench::active();
    bench.tick_until(FirmwareState::Held);
    bench.hello();
    bench.command(&[1.0, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::Held, "a jump");
    bench.command(&[0.1, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
    assert_eq!(bench.telemetry().stop_reason, StopReason::None);
}

#[test]
fn stop_holds_and_release_lets_go() {
    let mut bench = Bench::active();
    bench.command(&[0.1, 0.1]);
    bench.tick();
    bench.say(&HostToArm::Stop);
    assert_eq!(bench.core.state(), FirmwareState::Stopping);
    bench.command(&[0.1, 0.1]);
    assert_eq!(bench.telemetry().rejected_state, 1, "a stop is seen through");
    bench.tick_until(FirmwareState::Held);
    assert_eq!(bench.telemetry().stop_reason, StopReason::HostStop);
    bench.say(&bench.release());
    assert_eq!(bench.core.state(), FirmwareState::Released);

    let mut bench = Bench::active();
    bench.command(&[0.1, 0.1]);
    bench.tick();
    bench.say(&bench.release());
    assert_eq!(bench.core.state(), FirmwareState::Stopping);
    assert!(bench.tick().torque_on, "first stop, then release");
    bench.tick_until(FirmwareState::Released);
    assert_eq!(bench.telemetry().stop_reason, StopReason::HostRelease);
}

#[test]
fn a_new_session_stops_the_old_motion() {
    let mut bench = Bench::active();
    bench.hello();
    assert_eq!(bench.core.state(), FirmwareState::Stopping);
    bench.tick_until(FirmwareState::Held);
    bench.command(&[0.0, 0.0]);
    assert_eq!(
        (bench.core.state(), bench.telemetry().last_command_seq),
        (FirmwareState::Active, 1)
    );
}

#[test]
fn e_stop_latches_until_a_person_clears_it() {
    let mut bench = Bench::active();
    bench.say(&HostToArm::EStop);
    assert!(!bench.tick().torque_on, "at once");
    for message in [HostToArm::Stop, bench.release(), bench.ping()] {
        bench.say(&message);
    }
    bench.command(&[0.0, 0.0]);
    bench.hello();
    bench.command(&[0.0, 0.0]);
    bench.core.place(bench.now_us, &[0.0, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::EStopped);
    bench.hello();
    let clearance = bench.clearance();
    bench.say(&clearance);
    bench.command(&[0.0, 0.0]);
    bench.tick();
    assert_eq!(
        bench.core.state(),
        FirmwareState::EStopped,
        "cleared, but no new handshake"
    );
    bench.hello();
    assert!(!bench.tick().torque_on);
    assert_eq!(bench.core.state(), FirmwareState::Idle);
    bench.say(&HostToArm::EStop);
    bench.hello();
    bench.say(&clearance);
    bench.hello();
    assert_eq!(
        bench.core.state(),
        FirmwareState::EStopped,
        "an old clearance does not count"
    );
}

#[test]
fn a_placed_arm_holds_and_accepts_a_first_command() {
    let mut bench = Bench::new();
    bench.position_rad = vec![1.0, -1.0];
    bench.core.place(0, &[1.0, -1.0]);
    let drive = bench.tick();
    assert_eq!(
        (drive.torque_on, &drive.set_point_rad[..]),
        (true, &[1.0, -1.0][..])
    );
    bench.command(&[1.0, -1.0]);
    assert_eq!(bench.core.state(), FirmwareState::Held, "the old session is over");
    bench.hello();
    bench.command(&[1.05, -1.0]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
}

#[test]
fn telemetry_comes_at_the_rate_asked_for() {
    let mut options = firmware_options();
    options.telemetry_every_ticks = 3;
    let mut core = FirmwareCore::new(options);
    let mut buffer = [0; MAX_FRAME_BYTES];
    let sent: Vec<bool> = (1..=9)
        .map(|tick| {
            core.tick(tick * TICK_US, &[0.0; 2], &[0.0; 2]);
            !core.poll_transmit(&mut buffer).is_empty()
        })
        .collect();
    assert_eq!(sent, [false, false, true].repeat(3));
}

#[test]
fn senseless_limits_are_refused() {
    let good = JointLimits {
        position_min_rad: -1.0,
        position_max_rad: 1.0,
        velocity_max_rad_s: 1.0,
        acceleration_max_rad_s2: 1.0,
    };
    assert!(FirmwareLimits::new(&[good; 8]).is_some());
    for bad in [
        &[][..],
        &[good; 9],
        &[JointLimits {
            position_min_rad: 2.0,
            ..good
        }],
        &[JointLimits {
            position_max_rad: f32::NAN,
            ..good
        }],
        &[JointLimits {
            velocity_max_rad_s: 0.0,
            ..good
        }],
        &[JointLimits {
            acceleration_max_rad_s2: f32::INFINITY,
            ..good
        }],
    ] {
        assert!(FirmwareLimits::new(bad).is_none(), "{bad:?}");
    }
}
