//! The codec: every message survives, nothing else does.

use crate::common::vec;
use firmware_bridge::wire::{
    ArmToHost, Command, Decoder, EncodeError, FirmwareState, HelloAck, HostToArm, JointVec, MAX_FRAME_BYTES,
    Message, PROTOCOL_VERSION, StopReason, Telemetry, encode, seq_after,
};
use robot::philox::Stream;

fn host_messages() -> Vec<HostToArm> {
    vec![
        HostToArm::Hello {
            protocol_version: PROTOCOL_VERSION,
            host_time_us: u64::MAX,
        },
        HostToArm::Command(command(7, &[0.5, -1.25])),
        HostToArm::Command(Command {
            valid_until_us: u64::MAX,
            ..command(u32::MAX, &[f32::MIN; 8])
        }),
        HostToArm::Command(command(0, &[])),
        HostToArm::Stop,
        HostToArm::Release,
        HostToArm::EStop,
        HostToArm::ClearEStop,
        HostToArm::Ping { host_time_us: 0 },
    ]
}

fn command(seq: u32, set_point_rad: &[f32]) -> Command {
    Command {
        seq,
        host_time_us: 1,
        valid_until_us: 2,
        move_time_us: u32::MAX,
        set_point_rad: vec(set_point_rad),
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
    };
    let ack = HelloAck {
        protocol_version: PROTOCOL_VERSION,
        joints: 6,
        firmware_version: [1, 2, 3],
        host_time_echo_us: 4,
        device_time_us: 5,
    };
    vec![
        ArmToHost::HelloAck(ack),
        ArmToHost::Telemetry(longest),
        ArmToHost::Pong {
            host_time_echo_us: 1 << 40,
            device_time_us: 0,
        },
    ]
}

fn framed<M: Message>(message: &M) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    encode(message, &mut buffer).unwrap().to_vec()
}

fn decoded<M: Message>(decoder: &mut Decoder<M>, bytes: &[u8]) -> Vec<M> {
    bytes.iter().filter_map(|&byte| decoder.push(byte)).collect()
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
