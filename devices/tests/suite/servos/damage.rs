//! Damaged packets: what a checksum can find is found, nothing hangs, and what follows is not lost.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::servo_bus::{
    Answer, Bus, Decoder, Line, PacketBytes, Protocol, Readings, SUSPECT_NOISE_BYTES, Timing,
};
use robot::philox::Stream;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// One byte becomes another.
    Byte,
    /// One bit flips.
    Bit,
    /// The end is missing.
    Cut,
    /// Bytes come before it.
    Noise,
    /// A byte goes missing.
    Lost,
    /// Several bytes become others.
    Bytes,
    /// Two bytes change places.
    Swap,
}

const KINDS: [Damage; 7] = [
    Damage::Byte,
    Damage::Bit,
    Damage::Cut,
    Damage::Noise,
    Damage::Lost,
    Damage::Bytes,
    Damage::Swap,
];

impl Damage {
    fn apply(self, packet: &mut Vec<u8>, random: &mut Stream) {
        let at = random.below(packet.len());
        match self {
            Damage::Byte => packet[at] ^= 1 + random.below(255) as u8,
            Damage::Bit => packet[at] ^= 1 << random.below(8),
            Damage::Cut => packet.truncate(at),
            Damage::Noise => {
                for _ in 0..=random.below(6) {
                    // Much of it looks like a header.
                    let byte = [0xFF, 0xFF, 0xFD, 0x00, random.next_u32() as u8][random.below(5)];
                    packet.insert(0, byte);
                }
            }
            Damage::Lost => drop(packet.remove(at)),
            Damage::Bytes => {
                for _ in 0..2 + random.below(4) {
                    let at = random.below(packet.len());
                    packet[at] = random.next_u32() as u8;
                }
            }
            Damage::Swap => {
                let other = random.below(packet.len());
                packet.swap(at, other);
            }
        }
    }
}

fn answer_packet<P: Protocol>(random: &mut Stream, length: usize) -> (u8, Vec<u8>, Vec<u8>) {
    let id = 1 + random.below(6) as u8;
    let data: Vec<u8> = (0..length)
        .map(|_| {
            if random.below(3) == 0 {
                0xFF
            } else {
                random.next_u32() as u8
            }
        })
        .collect();
    let mut packet = PacketBytes::new();
    P::frame_answer(
        Answer {
            id,
            error: 0,
            data: &data,
        },
        &mut packet,
    )
    .expect("a packet");
    (id, data, packet.to_vec())
}

/// Every answer in `bytes` that noise does not make suspect, with its packet.
fn decode<P: Protocol>(decoder: &mut Decoder<P>, bytes: &[u8]) -> Vec<(u8, Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut take = |decoder: &mut Decoder<P>| {
        while let Some(frame) = decoder.take() {
            if frame.noise_before_bytes >= SUSPECT_NOISE_BYTES {
                found.pop();
            }
            if let Some(answer) = P::answer(frame) {
                found.push((answer.id, answer.data.to_vec(), frame.raw.to_vec()));
            }
        }
    };
    for byte in bytes {
        decoder.push(*byte);
        take(decoder);
    }
    let mut turns = 0;
    while decoder.give_up() {
        take(decoder);
        turns += 1;
        assert!(turns <= 600, "more turns than the buffer has bytes");
    }
    if decoder.noise_bytes() >= SUSPECT_NOISE_BYTES {
        found.pop();
    }
    found
}

/// Damages `count` packets, each followed by a good one. `sound` recomputes a packet's checksum by the book; `escapes` is the share of
/// each kind of damage that may be believed, and that may cost the good packet.
fn check<P: Protocol>(count: u64, sound: impl Fn(&[u8]) -> bool, escapes: impl Fn(Damage) -> [f64; 2]) {
    let mut random = Stream::new(17, 4);
    let mut decoder = Decoder::<P>::default();
    // By kind: packets damaged, those that would be believed, and good ones behind them that were lost.
    let mut counts = [[0_u64; 3]; KINDS.len()];
    for round in 0..count {
        let length = 1 + random.below(21);
        let (id, data, packet) = answer_packet::<P>(&mut random, length);
        let (next_id, next_data, next) = answer_packet::<P>(&mut random, length);
        let kind = random.below(KINDS.len());
        let mut bytes = packet.clone();
        KINDS[kind].apply(&mut bytes, &mut random);
        let [damaged, believed, lost] = &mut counts[kind];
        *damaged += u64::from(bytes != packet);
        bytes.extend(&next);
        decoder.reset(usize::MAX);
        let mut follower = false;
        for (found_id, found_data, raw) in decode(&mut decoder, &bytes) {
            assert!(
                sound(&raw),
                "round {round}: {:?}: accepted with a wrong checksum: {raw:02X?}",
                KINDS[kind]
            );
            let of_follower = (found_id, &found_data) == (next_id, &next_data);
            follower |= of_follower;
            // Who asked knows whom, and how many bytes.
            let as_asked = found_id == id && found_data.len() == length;
            *believed += u64::from(as_asked && found_data != data && !of_follower);
        }
        *lost += u64::from(!follower);
    }
    println!(
        "{}: of {count} packets [damaged, believed all the same, good ones lost behind them]:",
        P::NAME
    );
    for (kind, [damaged, believed, lost]) in KINDS.into_iter().zip(counts) {
        println!("  {kind:?}: {damaged}, {believed}, {lost}");
        assert!(damaged > count / 20);
        let [most_believed, most_lost] = escapes(kind).map(|share| share * damaged as f64);
        assert!(
            believed as f64 <= most_believed && lost as f64 <= most_lost,
            "{kind:?}"
        );
    }
}

fn feetech_sound(packet: &[u8]) -> bool {
    let total: u32 = packet[2..packet.len()].iter().map(|byte| u32::from(*byte)).sum();
    packet[..2] == [0xFF, 0xFF] && usize::from(packet[3]) + 4 == packet.len() && total % 256 == 255
}

fn dynamixel_sound(packet: &[u8]) -> bool {
    let (body, crc) = packet.split_at(packet.len() - 2);
    let mut remainder: u16 = 0;
    for byte in body {
        for bit in (0..8).rev() {
            let carry = remainder >> 15 & 1 ^ u16::from(byte >> bit & 1);
            remainder = (remainder << 1) ^ (carry * 0x8005);
        }
    }
    let length = usize::from(packet[5]) + 256 * usize::from(packet[6]);
    packet[..4] == [0xFF, 0xFF, 0xFD, 0x00] && length + 7 == packet.len() && remainder.to_le_bytes() == crc
}

/// A sum finds every damage to one byte, does not see that two bytes changed places, and misses one in 256 of the rest. Where an FF
/// went missing, the next packet's first FF stands in for it: the noise that is left of that packet gives it away, unless it begins like
/// a packet itself. A third of the bytes here are FF; a servo's are rarely.
fn feetech_escapes(damage: Damage) -> [f64; 2] {
    match damage {
        Damage::Noise => [0.0, 0.001],
        Damage::Byte | Damage::Bit => [0.0, 0.012],
        Damage::Cut => [2e-4, 0.012],
        Damage::Lost => [2e-4, 0.25],
        Damage::Swap => [1.0, 0.25],
        Damage::Bytes => [1.0 / 128.0, 0.012],
    }
}

/// A CRC finds every damage within 16 bits and misses one in 65,536 of the rest.
fn dynamixel_escapes(damage: Damage) -> [f64; 2] {
    match damage {
        Damage::Byte | Damage::Bit | Damage::Noise | Damage::Cut | Damage::Lost => [0.0, 1e-3],
        Damage::Swap | Damage::Bytes => [1e-3, 1e-3],
    }
}

#[test]
fn a_hundred_thousand_damaged_packets() {
    check::<Feetech>(100_000, feetech_sound, feetech_escapes);
    check::<Dynamixel>(100_000, dynamixel_sound, dynamixel_escapes);
}

/// Takes about three seconds.
#[test]
#[ignore = "a longer run of the test above"]
fn a_million_damaged_packets() {
    check::<Feetech>(1_000_000, feetech_sound, feetech_escapes);
    check::<Dynamixel>(1_000_000, dynamixel_sound, dynamixel_escapes);
}

/// Bytes of any kind, packets of any length: nothing is accepted that is not sound, and every byte is accounted for.
#[test]
fn noise_is_counted_to_the_byte() {
    fn check<P: Protocol>(sound: impl Fn(&[u8]) -> bool) {
        let mut random = Stream::new(18, 5);
        let mut decoder = Decoder::<P>::default();
        let total = 1_000_000;
        let bytes: Vec<u8> = (0..total)
            .map(|_| [0xFF, 0xFF, 0xFD, 0x00, 0x55, 0x04, random.next_u32() as u8][random.below(7)])
            .collect();
        let found = decode(&mut decoder, &bytes);
        assert!(found.iter().all(|(_, _, raw)| sound(raw)));
        let accepted: usize = found.iter().map(|(_, _, raw)| raw.len()).sum();
        assert!(accepted + decoder.counts().noise_bytes as usize <= total);
        assert!(decoder.counts().damaged > 0);
    }
    check::<Feetech>(feetech_sound);
    check::<Dynamixel>(dynamixel_sound);
}

/// Two of three answers are damaged in one byte. No reading that is fresh is wrong, and no exchange fails or takes longer.
#[test]
fn a_hundred_thousand_damaged_answers_on_a_bus() {
    fn check<P: Emulated>() {
        let ids = [1, 2, 3, 4, 5, 6];
        let servos = ids.iter().map(|id| EmulatedServo::<P>::new(*id, 0)).collect();
        let mut bus = Bus::<P, _>::new(
            MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
            Timing::default(),
        );
        bus.line_mut().bus().damage = 0.67;
        let mut readings = Readings::new(&ids);
        let (mut exchanges, mut fresh) = (0, 0);
        while bus.line_mut().bus().damaged() < 50_000 {
            exchanges += 1;
            for (servo, id) in ids.iter().enumerate() {
                let place = (exchanges * 7 + servo * 500) % 4096;
                bus.line_mut().bus().servo(*id).motor_mut().position_ticks = place as f64;
            }
            let block = P::FEEDBACK[exchanges % 4];
            let begun_us = bus.line().now_us();
            bus.sync_read(block, 12_000, &mut readings)
                .expect("the line works");
            assert!(bus.line().now_us() - begun_us <= 12_000);
            for (servo, reading) in readings.iter().enumerate() {
                let Some(data) = reading.fresh() else { continue };
                let place = (exchanges * 7 + servo * 500) % 4096;
                let read = P::ROLES.present_position.within(block.address, data);
                assert_eq!(read, Some(place as i64), "exchange {exchanges}");
                assert_eq!(reading.error(), Some(0), "exchange {exchanges}");
                fresh += 1;
            }
        }
        println!(
            "{}: {exchanges} exchanges, {fresh} fresh readings, {:?}",
            P::NAME,
            bus.counts()
        );
        assert!(fresh > 2 * exchanges);
    }
    check::<Feetech>();
    check::<Dynamixel>();
}
