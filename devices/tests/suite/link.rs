//! The host's half over a line in memory, with and without faults.

mod e_stop;

use std::time::Duration;

use devices::fake::FakeBus;
use devices::fault::{FaultInjector, FaultRates};
use devices::link::{ByteStream, HostLink, IN_FLIGHT_MAX};
use devices::lockstep::LoopbackStream;
use devices::{LockstepError, Loopback};
use firmware_bridge::FirmwareState;
use firmware_bridge::wire::{HostToArm, MAX_FRAME_BYTES, encode};
use robot::Frame;
use robot::device::{ArmState, Joints, Task};
use robot::device::{JointBus, LinkError, Lockstep};

use crate::common::{JOINTS, PERIOD_US, TestPlant, arm_options};

type Line = LoopbackStream<TestPlant>;

fn line() -> Line {
    LoopbackStream::new(TestPlant::default(), &arm_options())
}

fn link() -> HostLink<Line> {
    HostLink::new(line(), JOINTS, 1_000_000)
}

fn loopback() -> Loopback<TestPlant> {
    Loopback::new(TestPlant::default(), &arm_options())
}

#[test]
fn a_handshake_finds_the_arm() {
    let mut link = link();
    let info = link.handshake().unwrap();
    assert_eq!(
        (info.joints, info.firmware_version, info.round_trip_us),
        (JOINTS, [0, 1, 0], 0)
    );
    assert_eq!(link.poll_telemetry().unwrap().unwrap().state, FirmwareState::Idle);
    assert!(link.poll_telemetry().unwrap().is_none(), "telemetry is news once");
}

#[test]
fn another_joint_count_is_an_error() {
    let mut link = HostLink::new(line(), 3, 1_000_000);
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::JointCountMismatch {
                expected: 3,
                reported: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_command_needs_a_session_and_all_joints() {
    let mut link = link();
    assert!(matches!(
        link.send_set_point(&[0.0; 2], 1, 1),
        Err(LinkError::NoSession { .. })
    ));
    link.handshake().unwrap();
    for wrong in [&[0.0; 1][..], &[0.0; 9]] {
        assert!(matches!(
            link.send_set_point(wrong, 1, 1),
            Err(LinkError::JointCountMismatch { .. })
        ));
    }
}

#[test]
fn no_more_than_two_commands_are_in_flight() {
    let mut link = link();
    link.handshake().unwrap();
    let send = |link: &mut HostLink<Line>| link.send_set_point(&[0.0; 2], 100_000, 200_000);
    for seq in 1..=IN_FLIGHT_MAX as u32 {
        assert_eq!(send(&mut link).unwrap(), seq);
    }
    let error = send(&mut link).unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::InFlight {
                unacknowledged: 2,
                ..
            }
        ),
        "{error}"
    );
    link.send_e_stop().expect("an emergency stop is never held back");
    link.stream_mut().advance_period().unwrap();
    link.poll_telemetry().unwrap();
    assert_eq!(
        send(&mut link).unwrap(),
        3,
        "telemetry acknowledges, and a refused number is used again"
    );
}

/// A tick that is held up between its look at the arm and its command makes that command no younger.
#[test]
fn a_command_of_a_tick_is_void_so_long_after_the_arm_was_polled() {
    let mut link = link();
    link.handshake().unwrap();
    link.poll().unwrap();
    let send = |link: &mut HostLink<Line>, valid_us| {
        link.send_set_point_since_poll(&[0.0; 2], PERIOD_US as u32, valid_us)
    };
    let valid_us = (PERIOD_US + PERIOD_US / 2) as u32;
    assert_eq!(send(&mut link, valid_us).unwrap(), 1);
    link.stream_mut().advance_period().unwrap();
    // A period later there is half a period left, and none after another one. Nothing is sent then, and no number is used.
    assert_eq!(send(&mut link, valid_us).unwrap(), 2);
    link.stream_mut().advance_period().unwrap();
    let late_us = 2 * PERIOD_US - u64::from(valid_us);
    let error = send(&mut link, valid_us).unwrap_err();
    assert!(
        matches!(&error, LinkError::Late { late_us: found, .. } if *found == late_us),
        "{error}"
    );
    let accepted = link.stream().arm().telemetry().last_command_seq;
    assert_eq!(accepted, 2);
    link.poll().unwrap();
    assert_eq!(send(&mut link, valid_us).unwrap(), 3);
    assert!(matches!(send(&mut link, 0), Err(LinkError::Late { .. })));
}

#[test]
fn lost_commands_expire_and_do_not_block_the_link() {
    let lossy = FaultInjector::new(line(), FaultRates::default(), 0);
    let mut link = HostLink::new(lossy, JOINTS, 1_000_000);
    link.handshake().unwrap();
    link.stream_mut().set_rates(FaultRates {
        drop: 1.0,
        ..FaultRates::default()
    });
    link.send_set_point(&[0.0; 2], 100_000, 150_000).unwrap();
    link.send_set_point(&[0.0; 2], 100_000, 150_000).unwrap();
    assert!(matches!(
        link.send_set_point(&[0.0; 2], 100_000, 150_000),
        Err(LinkError::InFlight { .. })
    ));
    link.stream_mut().inner_mut().advance_period().unwrap();
    link.stream_mut().inner_mut().advance_period().unwrap();
    link.send_set_point(&[0.0; 2], 100_000, 150_000)
        .expect("150 ms later the two are void");
}

#[test]
fn a_loopback_moves_the_plant() {
    let (mut rig, mut frame) = (loopback(), Frame::default());
    let start = rig.reset(3, &mut frame).unwrap();
    assert_eq!(start.state, ArmState::Held);
    assert_eq!(start.set_point_rad, start.joints.position_rad);
    let target = [
        start.joints.position_rad[0] + 0.05,
        start.joints.position_rad[1] - 0.05,
    ];
    let moved = rig.step(&target, &mut frame).unwrap();
    assert_eq!(
        (moved.state, &moved.set_point_rad[..]),
        (ArmState::Active, &target[..])
    );
    assert_eq!(
        moved.joints,
        rig.plant().joints(),
        "observed where the plant is, not where it was"
    );
    assert_eq!(moved.reward, rig.plant().reward());
    assert_eq!(frame.rgb()[8..12], moved.joints.position_rad[0].to_le_bytes());
    for _ in 0..3 {
        rig.pass(&mut frame).unwrap();
    }
    assert_eq!(rig.pass(&mut frame).unwrap().state, ArmState::Held, "silence");
}

#[test]
fn a_loopback_repeats_itself_to_the_last_bit() {
    let run = || {
        let (mut rig, mut frame) = (loopback(), Frame::default());
        let mut seen = Vec::new();
        for seed in 0..3 {
            let mut set_point = rig.reset(seed, &mut frame).unwrap().set_point_rad;
            for step in 0..20 {
                set_point[step % 2] += 0.03;
                seen.push((rig.step(&set_point, &mut frame).unwrap(), frame.hash()));
            }
        }
        seen
    };
    assert_eq!(run(), run());
}

#[test]
fn a_rejected_command_is_reported() {
    let (mut rig, mut frame) = (loopback(), Frame::default());
    let start = rig.reset(3, &mut frame).unwrap();
    let far = [start.joints.position_rad[0] + 1.0, 0.0];
    let error = rig.step(&far, &mut frame).unwrap_err();
    assert!(
        matches!(
            error.downcast_ref(),
            Some(LockstepError::Rejected {
                seq: 1,
                rejected_content: 1,
                ..
            })
        ),
        "{error}"
    );
    rig.bus().send_e_stop().unwrap();
    rig.pass(&mut frame).unwrap();
    let latched = rig.reset(4, &mut frame).unwrap();
    assert_eq!(
        latched.state,
        ArmState::EStopped,
        "a reset does not clear an emergency stop"
    );
    let error = rig.step(&latched.joints.position_rad, &mut frame).unwrap_err();
    assert!(
        matches!(
            error.downcast_ref(),
            Some(LockstepError::Rejected {
                state: FirmwareState::EStopped,
                ..
            })
        ),
        "{error}"
    );
    rig.bus().send_clear_e_stop().unwrap();
    let start = rig.reset(5, &mut frame).unwrap();
    let resumed = rig.step(&start.joints.position_rad, &mut frame).unwrap();
    assert_eq!(resumed.state, ArmState::Active);
}

#[test]
fn a_stop_from_the_bus_is_seen_through() {
    let (mut rig, mut frame) = (loopback(), Frame::default());
    let start = rig.reset(3, &mut frame).unwrap();
    rig.step(&start.set_point_rad, &mut frame).unwrap();
    rig.bus().send_release().unwrap();
    assert_eq!(rig.pass(&mut frame).unwrap().state, ArmState::Released);
    assert!(!rig.plant().torque_on);
}

/// Whatever the line does, the set point stays within its limits and the arm stops when nothing gets through.
#[test]
fn a_bad_line_never_breaks_a_limit() {
    for seed in 0..20 {
        let rates = FaultRates {
            bit_flip: 0.002,
            drop: 0.1,
            duplicate: 0.1,
            truncate: 0.05,
            delay: 0.1,
            delay_us: 130_000,
            ..FaultRates::default()
        };
        let faulty = FaultInjector::new(line(), FaultRates::default(), seed);
        let mut link = HostLink::new(faulty, JOINTS, 1_000_000);
        link.handshake().unwrap();
        link.stream_mut().set_rates(rates);
        let mut before = [0.0; JOINTS];
        let mut target = [0.0_f32; JOINTS];
        for step in 0..200 {
            target[step % 2] += if step % 40 < 20 { 0.04 } else { -0.04 };
            match link.send_set_point(&target, PERIOD_US as u32, 2 * PERIOD_US as u32) {
                Ok(_) | Err(LinkError::InFlight { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            for _ in 0..5 {
                link.stream_mut().inner_mut().arm_mut().substep().unwrap();
                let set_point = link.stream().inner().arm().telemetry().set_point_rad;
                for (now, before) in set_point.iter().zip(&mut before) {
                    assert!(
                        (now - *before).abs() <= 0.0201 && now.abs() <= 2.0,
                        "{before} to {now}"
                    );
                    *before = *now;
                }
            }
            if let Some(telemetry) = link.poll_telemetry().unwrap()
                && !matches!(telemetry.state, FirmwareState::Active)
            {
                target = [telemetry.set_point_rad[0], telemetry.set_point_rad[1]];
            }
        }
        assert!(link.stream().injected() > 50);
        let telemetry = link.stream().inner().arm().telemetry();
        assert!(
            telemetry.bad_frames > 0 && telemetry.rejected_sequence > 0,
            "{telemetry:?}"
        );

        link.stream_mut().set_rates(FaultRates {
            drop: 1.0,
            ..FaultRates::default()
        });
        (0..20).for_each(|_| link.stream_mut().inner_mut().advance_period().unwrap());
        let state = link.stream().inner().arm().state();
        assert!(
            matches!(state, FirmwareState::Released | FirmwareState::Idle),
            "{state:?}"
        );
    }
}

#[test]
fn a_damaged_handshake_is_tried_again() {
    let faulty = FaultInjector::new(
        line(),
        FaultRates {
            drop: 0.7,
            ..FaultRates::default()
        },
        5,
    );
    let mut link = HostLink::new(faulty, JOINTS, 5_000_000);
    link.handshake().unwrap();
    assert!(link.stream().injected() > 0, "the first Hello was lost");
}

#[test]
fn silence_fails_the_handshake_in_time() {
    let deaf = FaultInjector::new(
        line(),
        FaultRates {
            drop: 1.0,
            ..FaultRates::default()
        },
        0,
    );
    let mut link = HostLink::new(deaf, JOINTS, 500_000);
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::NoHandshake {
                received_bytes: 0,
                waited_ms: 500..=600,
                ..
            }
        ),
        "{error}"
    );
    assert!(link.stream().now_us() <= 600_000);
}

#[test]
fn the_fake_mirrors_commands() {
    let mut bus = FakeBus::new(&[0.1, 0.2]);
    assert!(matches!(
        bus.send_set_point(&[0.0; 2], 1, 1),
        Err(LinkError::NoSession { .. })
    ));
    bus.handshake().unwrap();
    bus.send_set_point(&[5.0, 6.0], 100, 1).unwrap();
    let report = bus.poll().unwrap().unwrap();
    assert_eq!(
        (report.refused, &report.position_rad[..]),
        (false, &[5.0, 6.0][..])
    );
    assert!(bus.poll().unwrap().is_none(), "a report is news once");
    bus.send_e_stop().unwrap();
    bus.send_stop().unwrap();
    bus.send_set_point(&[0.0; 2], 1, 1).unwrap();
    let report = bus.poll().unwrap().unwrap();
    assert_eq!((report.state, report.refused), (ArmState::EStopped, true));
    assert_eq!(bus.sent_rad.len(), 1);
}

/// After the device's clock stood still for two seconds, commands would stay valid two seconds longer, were the host to
/// keep the offset it knew.
#[test]
fn a_device_clock_that_stood_still_does_not_keep_old_commands_valid() {
    for paused_us in [0, 2_000_000] {
        let faulty = FaultInjector::new(line(), FaultRates::default(), 0);
        let mut link = HostLink::new(faulty, JOINTS, 1_000_000);
        link.handshake().unwrap();
        let _ = link.poll_telemetry().unwrap();
        // The host's clock goes on, the device's does not.
        link.wait(paused_us).unwrap();
        let mut reports = 0;
        for _ in 0..15 {
            link.stream_mut().inner_mut().advance_period().unwrap();
            reports += u32::from(link.poll_telemetry().unwrap().is_some());
        }
        // Late telemetry looks the same at first, and is no report.
        assert_eq!(reports, if paused_us == 0 { 15 } else { 6 });
        assert_eq!(link.refused_reports().clock, 15 - reports);
        link.stream_mut().set_rates(FaultRates {
            delay: 1.0,
            delay_us: 3 * PERIOD_US,
            ..FaultRates::default()
        });
        link.send_set_point(&[0.0; 2], PERIOD_US as u32, PERIOD_US as u32)
            .unwrap();
        let mut rejected = 0;
        for _ in 0..5 {
            link.stream_mut().inner_mut().advance_period().unwrap();
            if let Some(telemetry) = link.poll_telemetry().unwrap() {
                assert_eq!(telemetry.last_command_seq, 0, "pause {paused_us} us");
                rejected = telemetry.rejected_age;
            }
        }
        assert_eq!(rejected, 1, "pause {paused_us} us");
    }
}

/// A board that resets when its port is opened: nothing passes until it has booted.
fn booting(boot_us: u64) -> FaultInjector<Line> {
    let rates = FaultRates {
        deaf_us: boot_us,
        ..FaultRates::default()
    };
    FaultInjector::new(line(), rates, 0)
}

/// What an arm is given to answer, and to boot before that.
const ANSWER_US: u64 = 2_000_000;
const BOOT_MAX_US: u64 = 5_000_000;

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

#[test]
fn a_board_that_boots_is_awaited_and_one_that_does_not_is_not_delayed() {
    for boot_us in [0, 50_000, 1_200_000, 2_500_000, 4_900_000, BOOT_MAX_US] {
        let mut link = HostLink::new(booting(boot_us), JOINTS, ANSWER_US).with_boot_us(BOOT_MAX_US);
        link.handshake().unwrap();
        let waited_us = link.stream().now_us();
        assert!(
            (boot_us..=boot_us + 520_000).contains(&waited_us),
            "boots for {boot_us} us, answered after {waited_us}"
        );
        assert_eq!(boot_us == 0, waited_us == 0, "{waited_us}");
        // It has booted, so that it is not given that time again.
        link.stream_mut().set_rates(FaultRates {
            drop: 1.0,
            ..FaultRates::default()
        });
        let error = link.handshake().unwrap_err();
        assert!(
            matches!(
                error,
                LinkError::NoHandshake {
                    waited_ms: 2_000..=2_100,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_board_that_boots_is_found_over_a_bad_line() {
    for seed in 0..40 {
        let rates = FaultRates {
            deaf_us: seed * 100_000,
            bit_flip: 0.002,
            drop: 0.3,
            ..FaultRates::default()
        };
        let mut link = HostLink::new(FaultInjector::new(line(), rates, seed), JOINTS, ANSWER_US)
            .with_boot_us(BOOT_MAX_US);
        link.handshake()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(link.stream().now_us() >= seed * 100_000);
    }
}

#[test]
fn a_board_that_boots_for_too_long_is_given_up_with_advice() {
    let mut link = HostLink::new(booting(9_000_000), JOINTS, ANSWER_US).with_boot_us(BOOT_MAX_US);
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::NoHandshake {
                waited_ms: 7_000..=7_100,
                received_bytes: 0,
                ..
            }
        ),
        "{error}"
    );
    for part in [
        "resets when its port is opened",
        "link.boot_s",
        "DTR",
        "capacitor",
    ] {
        assert!(error.to_string().contains(part), "no `{part}` in: {error}");
    }
}

/// A boot loader that hears bytes again and again may take them for a program.
#[test]
fn a_board_that_is_silent_is_left_in_peace() {
    let mut link = HostLink::new(booting(9_000_000), JOINTS, ANSWER_US).with_boot_us(BOOT_MAX_US);
    link.handshake().unwrap_err();
    let hellos = link.stream().injected();
    assert!((10..=25).contains(&hellos), "{hellos} Hellos in 7 s");
}

fn frame(message: &HostToArm) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    encode(message, &mut buffer).unwrap().to_vec()
}
