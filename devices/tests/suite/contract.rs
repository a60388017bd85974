//! Which arms a host drives: the one that is meant, whose own limits are those of the robot file.

use std::path::Path;

use devices::link::{Allowed, ByteStream, HostLink};
use devices::lockstep::LoopbackStream;
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::wire::{
    Decoder, HostToArm, JointLimits, PROTOCOL_VERSION, fitted_serial_number, joint_names_hash,
};
use firmware_bridge::{FirmwareLimits, FirmwareState};
use robot::Config;
use robot::device::{ContractTerm, JointBus, LinkError};

use crate::common::TestPlant;

const ANSWER_US: u64 = 2_000_000;

fn planar() -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    Config::load(&path).expect("the shipped robot file")
}

/// A handshake with the arm of the shipped robot file, after `change`, by a host with that file and perhaps a serial number.
fn handshake(change: impl Fn(&mut ArmOptions), serial_number: Option<&str>) -> Result<(), LinkError> {
    let config = planar();
    let mut options = ArmOptions::from_config(&config).unwrap();
    change(&mut options);
    let stream = LoopbackStream::new(TestPlant::default(), &options);
    let mut link = HostLink::new(stream, config.joint_count(), ANSWER_US)
        .with_allowed(Allowed::of(&config, serial_number).unwrap());
    let shaken = link.handshake().map(|_| ());
    let sent = link.send_set_point(&[0.0; 2], 100_000, 100_000);
    assert_eq!(
        shaken.is_ok(),
        sent.is_ok(),
        "no session with an arm that is refused"
    );
    assert_eq!(
        link.stream().arm().state() == FirmwareState::Active,
        shaken.is_ok(),
        "an arm that is refused does not move"
    );
    shaken
}

/// Changes the limits of the arm's joint `joint`.
fn limit(joint: usize, change: impl Fn(&mut JointLimits)) -> impl Fn(&mut ArmOptions) {
    move |options| {
        let mut joints = options.limits.joints().to_vec();
        change(&mut joints[joint]);
        options.limits = FirmwareLimits::new(&joints).unwrap();
    }
}

type Change = Box<dyn Fn(&mut ArmOptions)>;

#[test]
fn an_arm_with_the_limits_of_the_robot_file_or_narrower_ones_is_driven() {
    let fitting: Vec<(&str, Change)> = vec![
        ("as it is", Box::new(|_: &mut ArmOptions| {})),
        (
            "narrower",
            Box::new(limit(0, |joint| {
                joint.position_min_rad += 0.1;
                joint.position_max_rad -= 0.1;
                joint.velocity_max_rad_s *= 0.5;
                joint.acceleration_max_rad_s2 *= 0.5;
            })),
        ),
        (
            "typed with fewer digits",
            Box::new(limit(1, |joint| {
                joint.position_min_rad -= 4e-5;
                joint.position_max_rad += 4e-5;
                joint.velocity_max_rad_s += 4e-5;
                joint.acceleration_max_rad_s2 *= 1.00005;
            })),
        ),
        (
            "a watchdog in whole milliseconds",
            Box::new(|options: &mut ArmOptions| options.watchdog_us += 200),
        ),
        (
            "a quicker watchdog",
            Box::new(|options: &mut ArmOptions| options.watchdog_us = 150_000),
        ),
        (
            "a shorter first step",
            Box::new(|options: &mut ArmOptions| options.jump_max_rad = 0.1),
        ),
    ];
    for (what, change) in fitting {
        handshake(change, None).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// Each limit, a hundredth wider than the robot file allows.
#[test]
fn an_arm_with_wider_limits_is_refused_with_both_numbers() {
    use ContractTerm::{
        Acceleration, Jump, PositionMax, PositionMin, TorqueGrace, Validity, Velocity, Watchdog,
        WatchdogShort,
    };
    let wide: Vec<(ContractTerm, Change, &[&str])> = vec![
        (
            PositionMin,
            Box::new(limit(0, |joint| joint.position_min_rad = -2.93)),
            &["joint shoulder", "-2.93", "-2.9;", "`position_rad`"],
        ),
        (
            PositionMax,
            Box::new(limit(1, |joint| joint.position_max_rad = 2.53)),
            &["joint elbow", "2.53", "2.5;", "`position_rad`"],
        ),
        (
            Velocity,
            Box::new(limit(1, |joint| joint.velocity_max_rad_s *= 1.01)),
            &["joint elbow", "0.67367", "0.667;", "`velocity_max_rad_s`"],
        ),
        (
            Acceleration,
            Box::new(limit(0, |joint| joint.acceleration_max_rad_s2 = 10.1)),
            &["joint shoulder", "10.1", "10;", "`acceleration_max_rad_s2`"],
        ),
        (
            Watchdog,
            Box::new(|options: &mut ArmOptions| options.watchdog_us = 253_000),
            &["0.253", "0.25 ", "`link.watchdog_periods`"],
        ),
        (
            Watchdog,
            Box::new(|options: &mut ArmOptions| options.watchdog_us = u64::MAX),
            &["4294.9673", "0.25 ", "`link.watchdog_periods`"],
        ),
        (
            WatchdogShort,
            Box::new(|options: &mut ArmOptions| options.watchdog_us = 99_000),
            &["0.099", "0.1 ", "`period_s`"],
        ),
        (
            TorqueGrace,
            Box::new(|options: &mut ArmOptions| options.torque_grace_us = 1_010_000),
            &["1.01", "1 s", "`link.torque_grace_s`"],
        ),
        (
            TorqueGrace,
            Box::new(|options: &mut ArmOptions| options.torque_grace_us = 500_000),
            &["0.5", "1 s", "`link.torque_grace_s`"],
        ),
        (
            Jump,
            Box::new(|options: &mut ArmOptions| options.jump_max_rad = 0.2525),
            &["0.2525", "0.25 "],
        ),
        (
            Validity,
            Box::new(|options: &mut ArmOptions| options.validity_max_us = 149_000),
            &["0.149", "0.15 ", "`period_s`"],
        ),
    ];
    for (term, change, parts) in wide {
        let error = handshake(change, None).unwrap_err();
        let LinkError::Contract { problems, .. } = &error else {
            panic!("{term:?}: {error}");
        };
        assert_eq!(
            problems.iter().map(|problem| problem.term).collect::<Vec<_>>(),
            [term],
            "{error}"
        );
        let message = error.to_string();
        for part in parts.iter().chain(&["loopback: ", "arm.rs", "robot file"]) {
            assert!(message.contains(part), "{term:?}: no `{part}` in: {message}");
        }
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let change = |options: &mut ArmOptions| {
        limit(0, |joint| joint.velocity_max_rad_s = 2.0)(options);
        options.watchdog_us *= 2;
        options.jump_max_rad = 1.0;
    };
    let error = handshake(change, None).unwrap_err();
    let LinkError::Contract { problems, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(problems.len(), 3, "{error}");
}

/// A limit that is no number would be smaller than none.
#[test]
fn random_contracts_are_driven_just_when_no_limit_is_wider() {
    use robot::philox::Stream;
    let mut driven = 0;
    for seed in 0..2_000 {
        let mut random = Stream::new(seed, 0xC0);
        let mut wider = false;
        let mut changed = |value: f32, more_is_wider: bool| {
            // Far from what rounding does.
            let share = [0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1][random.below(9)];
            let widens = if more_is_wider { share > 1.0 } else { share < 1.0 };
            wider |= widens && value != 0.0;
            value * share
        };
        let mut options = ArmOptions::from_config(&planar()).unwrap();
        let joints: Vec<JointLimits> = options
            .limits
            .joints()
            .iter()
            .map(|joint| JointLimits {
                position_min_rad: changed(joint.position_min_rad, true),
                position_max_rad: changed(joint.position_max_rad, true),
                velocity_max_rad_s: changed(joint.velocity_max_rad_s, true),
                acceleration_max_rad_s2: changed(joint.acceleration_max_rad_s2, true),
            })
            .collect();
        options.watchdog_us = changed(options.watchdog_us as f32, true) as u64;
        options.jump_max_rad = changed(options.jump_max_rad, true);
        options.limits = FirmwareLimits::new(&joints).unwrap();
        let shaken = handshake(|arm| arm.clone_from(&options), None);
        assert_eq!(shaken.is_err(), wider, "seed {seed}: {shaken:?}");
        driven += u32::from(!wider);
    }
    assert!((200..1_800).contains(&driven), "{driven}");
}

#[test]
fn an_arm_whose_joints_have_other_names_is_refused() {
    for names in [["elbow", "shoulder"], ["shoulder", "wrist"], ["", ""]] {
        let change = |options: &mut ArmOptions| options.identity.joint_names_hash = joint_names_hash(names);
        let error = handshake(change, None).unwrap_err();
        let LinkError::JointNamesMismatch { ours, theirs, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*ours, joint_names_hash(["shoulder", "elbow"]));
        assert_eq!(*theirs, joint_names_hash(names));
        let message = error.to_string();
        for part in [
            "shoulder, elbow",
            &format!("{ours:016x}"),
            &format!("{theirs:016x}"),
            "use the robot file of this arm",
        ] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
}

#[test]
fn a_robot_file_may_ask_for_one_arm_and_no_other() {
    let named = |name: &'static str| {
        move |options: &mut ArmOptions| options.identity.serial_number = fitted_serial_number(name)
    };
    handshake(named("E66038B713952D31"), Some("E66038B713952D31")).unwrap();
    handshake(named("E66038B713952D31"), None).unwrap();
    for reported in ["E66038B713952D32", ""] {
        let error = handshake(named(reported), Some("E66038B713952D31")).unwrap_err();
        assert!(matches!(error, LinkError::SerialNumberMismatch { .. }), "{error}");
        let message = error.to_string();
        for part in [
            "\"E66038B713952D31\"",
            &format!("\"{reported}\""),
            "`serial_number`",
        ] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
}

/// An arm of version 1: it reads Hellos of that version alone, and its answer has no more fields.
struct Earlier {
    decoder: Decoder<HostToArm>,
    answer: Vec<u8>,
    now_us: u64,
    longer_hellos: u32,
}

impl ByteStream for Earlier {
    fn name(&self) -> &str {
        "earlier"
    }

    fn now_us(&self) -> u64 {
        self.now_us
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        for byte in bytes {
            if let Some(HostToArm::Hello {
                host_time_us,
                host_nonce,
                ..
            }) = self.decoder.push(*byte)
            {
                if host_nonce != 0 {
                    // Longer than it knows: a damaged frame to it.
                    self.longer_hellos += 1;
                    continue;
                }
                let mut body = vec![b'A', 0, 1, 2, 9, 9, 9];
                varint(host_time_us, &mut body);
                varint(77, &mut body);
                self.answer.extend(framed(&body));
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let count = self.answer.len().min(into.len());
        into[..count].copy_from_slice(&self.answer[..count]);
        self.answer.drain(..count);
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.now_us += timeout_us;
        // Telemetry, of which this host understands nothing.
        self.answer.extend(framed(&[b'A', 1, 9, 9, 9]));
        Ok(())
    }
}

fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value > 0x7F {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A frame by the description of the line, without the crate's own code; `packet` has fewer than 250 bytes.
fn framed(packet: &[u8]) -> Vec<u8> {
    let mut register = !0_u32;
    for byte in packet {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0xEDB8_8320 * (register & 1));
        }
    }
    let packet: Vec<u8> = packet.iter().copied().chain((!register).to_le_bytes()).collect();
    let mut frame = vec![0];
    for part in packet.split(|byte| *byte == 0) {
        frame.push(part.len() as u8 + 1);
        frame.extend(part);
    }
    frame.push(0);
    frame
}

#[test]
fn an_arm_of_version_1_gets_its_sentence() {
    let stream = Earlier {
        decoder: Decoder::default(),
        answer: Vec::new(),
        now_us: 0,
        longer_hellos: 0,
    };
    let mut link = HostLink::new(stream, 2, ANSWER_US).with_boot_us(5_000_000);
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::VersionMismatch {
                ours: PROTOCOL_VERSION,
                theirs: 1,
                ..
            }
        ),
        "{error}"
    );
    for part in [
        "the arm speaks protocol 1, this program 2",
        "flash the firmware of this release",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(link.stream().longer_hellos > 0);
    assert!(link.stream().now_us() < 1_000_000, "{}", link.stream().now_us());
}
