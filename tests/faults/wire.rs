//! Damage between host and arm.

use firmware_bridge::wire::{Command, Decoder, HostToArm, JointVec, MAX_FRAME_BYTES, encode};
use robot::philox::Stream;

use crate::row::{Outcome, Scale};

/// Frames of one trial.
const FRAMES: usize = 4;

/// Any message.
fn message(random: &mut Stream) -> HostToArm {
    match random.below(8) {
        0 => HostToArm::Stop,
        1 => HostToArm::EStop,
        2 => HostToArm::ClearEStop {
            session_nonce: u64::from(random.next_u32()),
        },
        3 => HostToArm::Ping {
            host_time_us: u64::from(random.next_u32()),
            session_nonce: u64::from(random.next_u32()),
        },
        _ => {
            let mut set_point_rad = JointVec::new();
            for _ in 0..random.below(9) {
                // As many as fit.
                let _ = set_point_rad.push(random.range(-3.0, 3.0));
            }
            HostToArm::Command(Command {
                seq: random.next_u32(),
                host_time_us: u64::from(random.next_u32()),
                valid_until_us: u64::from(random.next_u32()),
                move_time_us: random.next_u32() % 200_000,
                set_point_rad,
                session_nonce: u64::from(random.next_u32()),
            })
        }
    }
}

/// Bits flip, bytes are lost, added and exchanged. Returns whether the bytes are others than before.
fn spoil(random: &mut Stream, line: &mut Vec<u8>) -> bool {
    let before = line.clone();
    match random.below(5) {
        0 => {
            for _ in 0..=random.below(12) {
                let at = random.below(line.len());
                line[at] ^= 1 << random.below(8);
            }
        }
        1 => line.truncate(random.below(line.len())),
        2 => {
            let at = random.below(line.len());
            for _ in 0..=random.below(40) {
                line.insert(at, random.next_u32() as u8);
            }
        }
        3 => {
            let from = random.below(line.len());
            let to = from + random.below(line.len() - from + 1);
            line.drain(from..to);
        }
        _ => {
            let from = random.below(line.len());
            line[from..].reverse();
        }
    }
    *line != before
}

/// Whatever happens to frames, a decoder gives those that were sent, in order, or none; and the next good frame arrives.
pub(crate) fn damage(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(1, 0x11FE);
    let mut decoder: Decoder<HostToArm> = Decoder::default();
    let (mut buffer, mut line, mut lost) = ([0; MAX_FRAME_BYTES], Vec::new(), 0_u64);
    for _ in 0..scale.trials(10_100_000, 200_000) {
        line.clear();
        let sent: Vec<HostToArm> = (0..FRAMES).map(|_| message(&mut random)).collect();
        for message in &sent {
            line.extend_from_slice(encode(message, &mut buffer).unwrap_or(&[]));
        }
        if !spoil(&mut random, &mut line) {
            continue;
        }
        // A damaged tail may run into what follows; the zero in front of each frame ends it.
        let good = HostToArm::Ping {
            host_time_us: u64::from(random.next_u32()),
            session_nonce: u64::from(random.next_u32()),
        };
        line.extend_from_slice(encode(&good, &mut buffer).unwrap_or(&[]));
        let got: Vec<HostToArm> = line.iter().filter_map(|byte| decoder.push(*byte)).collect();
        let (last, others) = match got.split_last() {
            Some((last, others)) => (Some(last), others),
            None => (None, &[][..]),
        };
        let mut left = sent.iter();
        let in_order = others.iter().all(|message| left.any(|sent| sent == message));
        lost += (FRAMES - others.len().min(FRAMES)) as u64;
        let result = match (last == Some(&good), in_order) {
            (true, true) => Ok(()),
            (false, _) => Err("the good frame after the damage was not decoded".to_owned()),
            (_, false) => Err(format!("decoded what nobody sent: {others:?} of {sent:?}")),
        };
        outcome.tried(result);
    }
    outcome.worst = format!("{lost} frames lost");
    outcome
}
