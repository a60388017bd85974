//! The codec: every message survives, nothing else does.

use crate::bench::framed;
use crate::common::vec;
use firmware_bridge::wire::{
    ArmToHost, Command, Contract, Decoder, EncodeError, FirmwareState, Framed, HelloAck, HostToArm,
    JointLimits, JointVec, MAX_FRAME_BYTES, Message, PROTOCOL_VERSION, StopReason, Telemetry, encode,
    encode_earlier_hello, fitted_serial_number, joint_names_hash, seq_after,
};
use robot::philox::Stream;

fn host_messages() -> Vec<HostToArm> {
    vec![
        HostToArm::Hello {
            protocol_version: PROTOCOL_VERSION,
            host_time_us: u64::MAX,
            host_nonce: u64::MAX,
        },
        HostToArm::Command(command(7, &[0.5, -1.25])),
        HostToArm::Command(Command {
            valid_until_us: u64::MAX,
            ..command(u32::MAX, &[f32::MIN; 8])
        }),
        HostToArm::Command(command(0, &[])),
        HostToArm::Stop,
        HostToArm::Release { session_nonce: 1 },
        HostToArm::EStop,
        HostToArm::ClearEStop {
            session_nonce: u64::MAX,
        },
        HostToArm::Ping {
            host_time_us: 0,
            session_nonce: 0,
        },
    ]
}

fn command(seq: u32, set_point_rad: &[f32]) -> Command {
    Command {
        seq,
        host_time_us: 1,
        valid_until_us: 2,
        move_time_us: u32::MAX,
        set_point_rad: vec(set_point_rad),
        session_nonce: 0x0100_0000_0000_0002,
    }
}

fn arm_messages() -> Vec<ArmToHost> {
    let full: JointVec = vec(&[-f32::MAX; 8]);
    let longest = Telemetry {
        host_time_echo_us: u64::MAX,
        echo_received_us: u64::MAX,
        device_time_us: u64::MAX,
        last_command_seq: u32::MAX,
        received_seq: u32::MAX,
        state: FirmwareState::EStopped,
        stop_reason: StopReason::Placed,
        position_rad: full.clone(),
        velocity_rad_s: full.clone(),
        set_point_rad: full,
        rejected_sequence: u32::MAX,
        rejected_age: u32::MAX,
        rejected_content: u32::MAX,
        rejected_state: u32::MAX,
        clamped: u32::MAX,
        bad_frames: u32::MAX,
        session_nonce: u64::MAX,
        telemetry_seq: u32::MAX,
        rejected_session: u32::MAX,
        rejected_validity: u32::MAX,
    };
    let limits = JointLimits {
        position_min_rad: f32::MIN,
        position_max_rad: f32::MAX,
        velocity_max_rad_s: f32::MAX,
        acceleration_max_rad_s2: f32::MAX,
    };
    let longest_ack = HelloAck {
        protocol_version: PROTOCOL_VERSION,
        joints: u8::MAX,
        firmware_version: [u8::MAX; 3],
        host_time_echo_us: u64::MAX,
        device_time_us: u64::MAX,
        host_nonce_echo: u64::MAX,
        session_nonce: u64::MAX,
        boot_id: u64::MAX,
        serial_number: fitted_serial_number("a name that is far too long for it"),
        joint_names_hash: u64::MAX,
        contract: Contract {
            joints: heapless::Vec::from_slice(&[limits; 8]).unwrap(),
            watchdog_us: u32::MAX,
            torque_grace_us: u32::MAX,
            validity_max_us: u32::MAX,
            jump_max_rad: f32::MAX,
        },
    };
    let ack = HelloAck {
        protocol_version: PROTOCOL_VERSION,
        joints: 6,
        serial_number: fitted_serial_number(""),
        contract: Contract::default(),
        session_nonce: 1,
        ..longest_ack.clone()
    };
    vec![
        ArmToHost::HelloAck(longest_ack),
        ArmToHost::HelloAck(ack),
        ArmToHost::Telemetry(longest),
        ArmToHost::Pong {
            host_time_echo_us: 1 << 40,
            device_time_us: 0,
            session_nonce: 0,
        },
    ]
}

fn decoded<M: Message>(decoder: &mut Decoder<M>, bytes: &[u8]) -> Vec<M> {
    bytes.iter().filter_map(|&byte| decoder.push(byte)).collect()
}

/// Version 1 of the messages, as far as an independent program of that version reads them.
mod version_1 {
    use serde::Deserialize;

    type Joints = heapless::Vec<f32, 8>;

    #[derive(Debug, PartialEq, Deserialize)]
    pub(super) enum HostToArm {
        Hello(u16, u64),
        Command(u32, u64, u64, u32, Joints),
        Stop,
        Release,
        EStop,
        ClearEStop,
        Ping(u64),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub(super) enum ArmToHost {
        HelloAck(u16, u8, [u8; 3], u64, u64),
        Telemetry(u64, u64, u64, u32, u32, u8, u8, Joints, Joints, Joints, [u32; 6]),
        Pong(u64, u64),
    }
}

/// Kind and message in `frame`, whose COBS and CRC are taken apart here without the crate's own code.
fn taken_apart(frame: &[u8]) -> (u8, Vec<u8>) {
    let coded = &frame[1..frame.len() - 1];
    let (mut packet, mut at) = (Vec::new(), 0);
    while at < coded.len() {
        let code = usize::from(coded[at]);
        packet.extend(&coded[at + 1..at + code]);
        at += code;
        if code != 255 && at < coded.len() {
            packet.push(0);
        }
    }
    let crc = packet.split_off(packet.len() - 4);
    let mut register = !0_u32;
    for byte in &packet {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0xEDB8_8320 * (register & 1));
        }
    }
    assert_eq!(crc, (!register).to_le_bytes());
    (packet[0], packet.split_off(1))
}

#[test]
fn a_program_of_version_1_reads_every_message_as_far_as_it_knows_it() {
    use version_1::{ArmToHost as Arm, HostToArm as Host};
    let host: Vec<Host> = host_messages()
        .iter()
        .map(|message| {
            let (kind, body) = taken_apart(&framed(message));
            assert_eq!(kind, b'H');
            postcard::take_from_bytes(&body).unwrap().0
        })
        .collect();
    let joints = |rad: &[f32]| vec(rad);
    assert_eq!(
        host,
        [
            Host::Hello(PROTOCOL_VERSION, u64::MAX),
            Host::Command(7, 1, 2, u32::MAX, joints(&[0.5, -1.25])),
            Host::Command(u32::MAX, 1, u64::MAX, u32::MAX, joints(&[f32::MIN; 8])),
            Host::Command(0, 1, 2, u32::MAX, joints(&[])),
            Host::Stop,
            Host::Release,
            Host::EStop,
            Host::ClearEStop,
            Host::Ping(0),
        ]
    );
    let arm: Vec<Arm> = arm_messages()
        .iter()
        .map(|message| {
            let (kind, body) = taken_apart(&framed(message));
            assert_eq!(kind, b'A');
            postcard::take_from_bytes(&body).unwrap().0
        })
        .collect();
    let full = joints(&[-f32::MAX; 8]);
    let long = u64::MAX;
    assert_eq!(
        arm,
        [
            Arm::HelloAck(PROTOCOL_VERSION, u8::MAX, [u8::MAX; 3], long, long),
            Arm::HelloAck(PROTOCOL_VERSION, 6, [u8::MAX; 3], long, long),
            Arm::Telemetry(
                long,
                long,
                long,
                u32::MAX,
                u32::MAX,
                5,
                6,
                full.clone(),
                full.clone(),
                full,
                [u32::MAX; 6]
            ),
            Arm::Pong(1 << 40, 0),
        ]
    );
}

/// The bytes of version 1: a stop must get through whoever sends it, and whatever the arm speaks.
#[test]
fn stops_have_the_bytes_that_they_always_had() {
    assert_eq!(taken_apart(&framed(&HostToArm::Stop)), (b'H', vec![2]));
    assert_eq!(taken_apart(&framed(&HostToArm::EStop)), (b'H', vec![4]));
}

#[test]
fn a_hello_of_another_version_is_read_as_far_as_version_1_goes() {
    let mut buffer = [0; MAX_FRAME_BYTES];
    let probe = encode_earlier_hello(300, &mut buffer).unwrap();
    let asked = HostToArm::Hello {
        protocol_version: PROTOCOL_VERSION,
        host_time_us: 300,
        host_nonce: 0,
    };
    assert_eq!(decoded(&mut Decoder::<HostToArm>::default(), probe), [asked]);
    assert_eq!(
        taken_apart(probe),
        (b'H', vec![0, PROTOCOL_VERSION as u8, 0xAC, 0x02]),
        "as version 1 had it"
    );
    // A later version may have any fields after those.
    for protocol_version in [1, PROTOCOL_VERSION + 1, u16::MAX] {
        let later = Later::Hello(protocol_version, 5, [0xA5; 32]);
        assert_eq!(
            decoded(&mut Decoder::<HostToArm>::default(), &framed(&later)),
            [HostToArm::Hello {
                protocol_version,
                host_time_us: 5,
                host_nonce: 0,
            }]
        );
        let later = LaterAck::HelloAck(protocol_version, 3, [1, 2, 3], 4, 5, [0xA5; 32]);
        let ack = HelloAck::of_another_version(protocol_version, 3, [1, 2, 3], 4, 5);
        assert_eq!(
            decoded(&mut Decoder::<ArmToHost>::default(), &framed(&later)),
            [ArmToHost::HelloAck(ack)]
        );
    }
    // One of our version with other fields is damaged.
    let other = Later::Hello(PROTOCOL_VERSION, 5, [0xA5; 32]);
    assert_eq!(decoded(&mut Decoder::<HostToArm>::default(), &framed(&other)), []);
    let other = LaterAck::HelloAck(PROTOCOL_VERSION, 3, [1, 2, 3], 4, 5, [0xA5; 32]);
    assert_eq!(decoded(&mut Decoder::<ArmToHost>::default(), &framed(&other)), []);
}

/// Messages with fields that nobody knows.
#[derive(serde::Serialize)]
enum Later {
    Hello(u16, u64, [u8; 32]),
}

#[derive(serde::Serialize)]
enum LaterAck {
    HelloAck(u16, u8, [u8; 3], u64, u64, [u8; 32]),
}

impl Framed for Later {
    const KIND: u8 = b'H';
}

impl Framed for LaterAck {
    const KIND: u8 = b'A';
}

#[test]
fn joint_names_have_one_hash_in_one_order() {
    let hash = |names: &[&str]| joint_names_hash(names.iter().copied());
    // FNV-1a of `ab`, 0, from another implementation.
    assert_eq!(hash(&["ab"]), 0xE720_0319_0541_FC1E);
    let different = [
        hash(&[]),
        hash(&[""]),
        hash(&["a", "b"]),
        hash(&["b", "a"]),
        hash(&["ab"]),
        hash(&["a", "b", ""]),
    ];
    for (index, one) in different.iter().enumerate() {
        assert!(!different[index + 1..].contains(one), "{different:?}");
    }
}

#[test]
fn a_serial_number_is_cut_between_characters() {
    for (name, fitted) in [
        ("", ""),
        ("arm-7", "arm-7"),
        ("0123456789012345678901234567", "012345678901234567890123"),
        ("01234567890123456789012\u{e9}", "01234567890123456789012"),
    ] {
        assert_eq!(fitted_serial_number(name).as_str(), fitted);
    }
}

fn check_round_trip<M: Message + PartialEq + std::fmt::Debug>(messages: Vec<M>) {
    let mut decoder = Decoder::<M>::default();
    for message in messages {
        let bytes = framed(&message);
        assert!(bytes.len() <= MAX_FRAME_BYTES);
        assert!(
            !bytes[1..bytes.len() - 1].contains(&0),
            "only delimiters are zero"
        );
        assert_eq!(decoded(&mut decoder, &bytes), [message]);
    }
    assert_eq!(decoder.bad_frames(), 0);
}

#[test]
fn every_message_survives() {
    check_round_trip(host_messages());
    check_round_trip(arm_messages());
}

#[test]
fn the_directions_do_not_mix() {
    let mut decoder = Decoder::<ArmToHost>::default();
    for message in host_messages() {
        assert_eq!(decoded(&mut decoder, &framed(&message)), []);
    }
    assert_eq!(decoder.bad_frames() as usize, host_messages().len());
}

#[test]
fn a_short_buffer_is_an_error() {
    for len in 0..9 {
        assert_eq!(
            encode(&HostToArm::Stop, &mut vec![0; len][..]).err(),
            (len < 9).then_some(EncodeError::BufferTooShort)
        );
    }
}

/// A message of any length: two bytes say how long it is.
#[derive(serde::Serialize)]
struct OfLength(Vec<u8>);

impl Framed for OfLength {
    const KIND: u8 = b'?';
}

#[test]
fn a_message_of_240_bytes_is_the_longest_and_fits_a_frame() {
    let mut buffer = [0; MAX_FRAME_BYTES];
    for (bytes, result) in [(238, Ok(248)), (239, Err(EncodeError::MessageTooLong))] {
        let message = OfLength(vec![7; bytes]);
        assert_eq!(encode(&message, &mut buffer).map(<[u8]>::len), result, "{bytes}");
    }
}

#[test]
fn noise_yields_nothing_and_costs_only_itself() {
    let mut random = Stream::new(1, 0);
    let mut decoder = Decoder::<HostToArm>::default();
    let good = HostToArm::Command(command(9, &[0.1, 0.2]));
    for round in 0..2_000 {
        // Every other round is rich in zeros and small codes, which look like frames to COBS.
        let noise: Vec<u8> = (0..random.below(100))
            .map(|_| random.below(if round % 2 == 0 { 256 } else { 4 }) as u8)
            .collect();
        assert_eq!(decoded(&mut decoder, &noise), []);
        assert_eq!(
            decoded(&mut decoder, &framed(&good)),
            std::slice::from_ref(&good),
            "the frame after noise, round {round}"
        );
    }
    assert!(decoder.bad_frames() > 1_000);
}

#[test]
fn a_flipped_bit_never_passes() {
    for message in host_messages() {
        let clean = framed(&message);
        for bit in 8..8 * (clean.len() - 1) {
            let mut bytes = clean.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut decoder = Decoder::<HostToArm>::default();
            assert_eq!(decoded(&mut decoder, &bytes), [], "bit {bit} of {message:?}");
        }
    }
}

#[test]
fn a_damaged_stream_yields_only_what_was_sent() {
    let mut random = Stream::new(2, 0);
    let messages = arm_messages();
    let mut stream = Vec::new();
    while stream.len() < 100_000 {
        stream.extend(framed(&messages[random.below(messages.len())]));
    }
    for byte in &mut stream {
        if random.below(300) == 0 {
            *byte ^= 1 << random.below(8);
        }
    }
    let mut decoder = Decoder::<ArmToHost>::default();
    let survivors = decoded(&mut decoder, &stream);
    assert!(survivors.len() > 100 && decoder.bad_frames() > 100);
    assert!(survivors.iter().all(|survivor| messages.contains(survivor)));
    assert_eq!(survivors.len(), decoder.good_frames() as usize);
}

#[test]
fn an_endless_frame_is_skipped_to_its_end() {
    let mut decoder = Decoder::<HostToArm>::default();
    assert_eq!(decoded(&mut decoder, &vec![0x55; 10 * MAX_FRAME_BYTES]), []);
    assert_eq!(
        decoded(&mut decoder, &framed(&HostToArm::Stop)),
        [HostToArm::Stop]
    );
    assert_eq!(decoder.bad_frames(), 1);
}

#[test]
fn sequence_numbers_wrap() {
    assert!(seq_after(1, 0) && seq_after(0, u32::MAX) && seq_after(5, u32::MAX - 5));
    assert!(!seq_after(0, 0) && !seq_after(0, 1) && !seq_after(u32::MAX, 0));
}
