//! Who is obeyed: recordings, other arms, other sessions, and clocks that cannot be.

use firmware_bridge::wire::{
    ArmToHost, Command, HostToArm, MAX_FRAME_BYTES, NO_SESSION, PROTOCOL_VERSION, encode_earlier_hello,
};
use firmware_bridge::{FirmwareState, StopReason};
use robot::philox::Stream;

use crate::bench::{Bench, framed};
use crate::common::{PERIOD_US, TICK_US, firmware_options, identity, vec};

/// An arm that booted with another boot id, or is another.
fn arm(serial_number: &str, boot_id: u64) -> Bench {
    let mut options = firmware_options();
    options.identity = identity(serial_number, boot_id);
    let mut bench = Bench::of(options);
    bench.tick();
    bench
}

/// Everything that a host says in a session of some periods, and when, in microseconds since the first.
fn recorded(bench: &mut Bench) -> Vec<(u64, Vec<u8>)> {
    let begun_us = bench.now_us;
    let mut said = Vec::new();
    let mut say = |bench: &mut Bench, message: HostToArm| {
        said.push((bench.now_us - begun_us, framed(&message)));
        bench.say(&message);
    };
    say(
        bench,
        HostToArm::Hello {
            protocol_version: PROTOCOL_VERSION,
            host_time_us: 0,
            host_nonce: 0xABCD,
        },
    );
    let nonce = bench.heard().into_iter().find_map(|message| match message {
        ArmToHost::HelloAck(ack) => Some(ack.session_nonce),
        _ => None,
    });
    let session_nonce = nonce.expect("an answer");
    let here = bench.position_rad.clone();
    for seq in 1..=8 {
        let rad: Vec<f32> = here.iter().map(|rad| rad + 0.02 * seq as f32).collect();
        let command = Command {
            seq,
            host_time_us: bench.now_us,
            valid_until_us: bench.now_us + PERIOD_US,
            move_time_us: PERIOD_US as u32,
            set_point_rad: vec(&rad),
            session_nonce,
        };
        say(bench, HostToArm::Command(command));
        (0..5).for_each(|_| {
            bench.tick();
        });
    }
    assert_eq!(bench.core.state(), FirmwareState::Active, "it has moved");
    assert!(bench.position_rad[0] - here[0] > 0.15);
    say(bench, HostToArm::Release { session_nonce });
    bench.tick_until(FirmwareState::Released);
    said
}

/// Says again what was `said`, at the same distances, to an arm whose torque is on or off; returns whether anything moved or let go.
fn replay(bench: &mut Bench, said: &[(u64, Vec<u8>)]) -> bool {
    let begun_us = bench.now_us;
    let (before, torque) = (bench.position_rad.clone(), bench.tick().torque_on);
    let mut moved = false;
    for (at_us, bytes) in said {
        while bench.now_us < begun_us + at_us {
            moved |= bench.tick().torque_on != torque;
        }
        bench.core.on_bytes(bench.now_us, bytes);
        moved |= bench.core.state() == FirmwareState::Active;
    }
    for _ in 0..20 {
        moved |= bench.tick().torque_on != torque;
    }
    moved || bench.position_rad != before
}

#[test]
fn a_recorded_session_moves_nothing_whichever_arm_it_is_played_to() {
    let mut first = arm("arm-1", 11);
    let said = recorded(&mut first);
    // The same frames to the same arm before that did move it: a new arm that is in all things the same.
    assert!(
        replay(&mut arm("arm-1", 11), &said),
        "the recording is a good one"
    );

    assert!(!replay(&mut first, &said), "the same arm later");
    assert_eq!(first.telemetry().rejected_session as usize, said.len() - 1);
    assert!(!replay(&mut first, &said), "and again");
    assert!(
        !replay(&mut arm("arm-1", 12), &said),
        "the same arm, booted since"
    );
    assert!(!replay(&mut arm("arm-2", 11), &said), "another arm");
    assert!(!replay(&mut arm("arm-2", 12), &said), "another arm, booted since");

    // While a host of its own drives it, or it holds.
    let mut driven = arm("arm-1", 12);
    driven.hello();
    driven.command(&[0.0, 0.0]);
    driven.tick_until(FirmwareState::Held);
    let (release, motion) = said[1..].split_last().unwrap();
    // Shorter than the time for which it holds by itself.
    assert!(!replay(&mut driven, &motion[..4]), "without the Hello");
    driven.core.on_bytes(driven.now_us, &release.1);
    assert_eq!(driven.core.state(), FirmwareState::Held, "nor does it let go");
    driven.hello();
    driven.command(&[0.01, 0.0]);
    assert_eq!(
        driven.core.state(),
        FirmwareState::Active,
        "its host goes on in a new session"
    );
}

#[test]
fn a_recorded_clearance_unlatches_nothing() {
    let mut bench = arm("arm-1", 11);
    bench.say(&HostToArm::EStop);
    let hello = HostToArm::Hello {
        protocol_version: PROTOCOL_VERSION,
        host_time_us: 0,
        host_nonce: 77,
    };
    let ack = bench.hello_with(77);
    let clearance = bench.clearance();
    bench.say(&clearance);
    bench.hello_with(78);
    assert_eq!(bench.core.state(), FirmwareState::Idle, "a person cleared it");

    for boot_id in [11, 12] {
        let mut later = if boot_id == 11 {
            bench
        } else {
            arm("arm-1", boot_id)
        };
        later.say(&HostToArm::EStop);
        for _ in 0..3 {
            later.say(&hello);
            later.say(&clearance);
            later.say(&hello);
            later.tick();
            assert_eq!(later.core.state(), FirmwareState::EStopped, "boot {boot_id}");
        }
        assert_eq!(later.telemetry().rejected_session, 3);
        assert_ne!(later.telemetry().session_nonce, ack.session_nonce);
        bench = later;
    }
}

#[test]
fn no_session_is_like_another() {
    let mut nonces = Vec::new();
    for (serial_number, boot_id) in [("a", 1), ("a", 2), ("b", 1), ("", 1), ("", 0)] {
        let mut bench = arm(serial_number, boot_id);
        for host_nonce in [1, 2, 1, u64::MAX] {
            let ack = bench.hello_with(host_nonce);
            assert_eq!(
                (ack.boot_id, ack.serial_number.as_str()),
                (boot_id, serial_number)
            );
            nonces.push(ack.session_nonce);
        }
    }
    assert!(!nonces.contains(&NO_SESSION));
    let count = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), count);
}

/// Computed elsewhere from the published finalizer of SplitMix64: over the boot id and the bytes of the serial number, the count of sessions, and
/// the host's nonce.
#[test]
fn a_nonce_is_the_mix_of_arm_boot_session_and_host() {
    let mut bench = arm("bench", 7);
    for (host_nonce, nonce) in [
        (1, 0xCC86_EF5A_B49C_9A8E),
        (1_000, 0x8FF7_4083_4928_95E9),
        (u64::MAX, 0xB181_0B6B_97A0_CE8A),
    ] {
        assert_eq!(bench.hello_with(host_nonce).session_nonce, nonce, "{host_nonce}");
    }
    let mut nameless = arm("", 0);
    assert_eq!(nameless.hello_with(1).session_nonce, 0x187F_E8ED_AC0E_9EEE);
}

#[test]
fn telemetry_echoes_the_newest_word_of_the_host_and_when_it_came() {
    let mut bench = Bench::active();
    let ping = |bench: &mut Bench, host_time_us: u64| {
        bench.tick();
        bench.say(&HostToArm::Ping {
            host_time_us,
            session_nonce: bench.nonce,
        });
        let telemetry = bench.telemetry();
        (telemetry.host_time_echo_us, telemetry.echo_received_us)
    };
    let begun_us = bench.now_us;
    assert_eq!(ping(&mut bench, 900_000), (900_000, begun_us + TICK_US));
    // One that was overtaken on its way, and one of the same time, which came again.
    assert_eq!(ping(&mut bench, 800_000), (900_000, begun_us + TICK_US));
    assert_eq!(ping(&mut bench, 900_000), (900_000, begun_us + 3 * TICK_US));
    assert_eq!(ping(&mut bench, 900_001), (900_001, begun_us + 4 * TICK_US));
}

#[test]
fn a_hello_that_a_line_repeats_opens_one_session() {
    let mut bench = arm("arm-1", 11);
    let first = bench.hello_with(5);
    assert_eq!(bench.hello_with(5).session_nonce, first.session_nonce);
    bench.command(&[0.0, 0.0]);
    assert_eq!(bench.core.state(), FirmwareState::Active);
    let later = bench.hello_with(5);
    assert_ne!(later.session_nonce, first.session_nonce, "it has been used");
    assert_eq!(bench.core.state(), FirmwareState::Stopping);
}

#[test]
fn a_question_in_the_words_of_version_1_changes_nothing() {
    let mut bench = Bench::active();
    let mut buffer = [0; MAX_FRAME_BYTES];
    let before = bench.telemetry();
    let probe = encode_earlier_hello(9, &mut buffer).unwrap();
    bench.core.on_bytes(bench.now_us, probe);
    assert_eq!(bench.telemetry(), before);
    assert!(bench.heard().is_empty());
}

#[test]
fn what_is_not_of_the_session_has_no_effect_and_stops_always_have() {
    for wrong in [NO_SESSION, 1, u64::MAX] {
        let mut bench = Bench::active();
        let session = std::mem::replace(&mut bench.nonce, wrong);
        bench.command(&[0.1, 0.0]);
        bench.say(&bench.release());
        bench.say(&bench.clearance());
        assert_eq!(bench.core.state(), FirmwareState::Active, "{wrong}");
        let telemetry = bench.telemetry();
        assert_eq!(telemetry.rejected_session, 3, "{wrong}");
        assert_eq!((telemetry.received_seq, telemetry.session_nonce), (1, session));
        bench.say(&HostToArm::Stop);
        assert_eq!(bench.core.state(), FirmwareState::Stopping);
        bench.say(&HostToArm::EStop);
        assert_eq!(bench.core.state(), FirmwareState::EStopped);
    }
}

/// Whoever stops an arm without a session learns whether it has heard.
#[test]
fn a_ping_without_a_session_is_answered_and_keeps_no_torque() {
    for nonce in [NO_SESSION, 99] {
        let mut bench = Bench::active();
        let session = std::mem::replace(&mut bench.nonce, nonce);
        bench.tick_until(FirmwareState::Held);
        let before = bench.telemetry();
        for _ in 0..60 {
            bench.say(&bench.ping());
            let pong = bench
                .heard()
                .into_iter()
                .find(|heard| matches!(heard, ArmToHost::Pong { .. }));
            let Some(ArmToHost::Pong {
                host_time_echo_us,
                session_nonce,
                ..
            }) = pong
            else {
                panic!("no answer");
            };
            assert_eq!((host_time_echo_us, session_nonce), (1, session));
            bench.tick();
        }
        assert_eq!(bench.core.state(), FirmwareState::Released);
        let after = bench.telemetry();
        assert_eq!(
            (after.host_time_echo_us, after.echo_received_us),
            (before.host_time_echo_us, before.echo_received_us),
            "the session has not spoken since"
        );
        let counted = if nonce == NO_SESSION { 0 } else { 60 };
        assert_eq!(bench.telemetry().rejected_session, counted);
    }
}

#[test]
fn a_command_that_would_be_valid_for_too_long_is_refused_and_counted() {
    let most_us = firmware_options().validity_max_us;
    for (valid_for_us, accepted) in [
        (0, true),
        (most_us, true),
        (most_us + 1, false),
        (u64::MAX / 2, false),
    ] {
        let mut bench = Bench::active();
        bench.command_with(2, bench.now_us + valid_for_us, &[0.01, 0.0]);
        let telemetry = bench.telemetry();
        assert_eq!(telemetry.last_command_seq == 2, accepted, "{valid_for_us}");
        assert_eq!(telemetry.rejected_validity, u32::from(!accepted));
        assert_eq!(telemetry.received_seq, 2);
    }
    let mut bench = Bench::active();
    bench.command_with(2, u64::MAX, &[0.01, 0.0]);
    assert_eq!(bench.telemetry().rejected_validity, 1);
}

#[test]
fn telemetry_is_numbered_and_carries_the_nonce_of_its_session() {
    let mut bench = arm("arm-1", 11);
    let mut numbers = Vec::new();
    let mut nonces = Vec::new();
    for round in 0..4 {
        if round > 0 {
            let session_nonce = bench.hello().session_nonce;
            bench.tick();
            nonces.push(session_nonce);
        }
        for message in bench.heard() {
            if let ArmToHost::Telemetry(telemetry) = message {
                numbers.push(telemetry.telemetry_seq);
                let expected = nonces.last().copied().unwrap_or(NO_SESSION);
                assert_eq!(telemetry.session_nonce, expected);
            }
        }
    }
    assert_eq!(numbers.len(), 4);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    bench.core.place(bench.now_us, &[0.0, 0.0]);
    assert_eq!(bench.telemetry().session_nonce, NO_SESSION, "placed: no session");
}

/// The caller's clock must not go back. Where it does, nothing that was timed by it before counts any more, and the watchdog does not wait
/// until the clock is where it was.
#[test]
fn a_clock_that_goes_back_stops_the_arm_and_voids_what_is_on_its_way() {
    for back_us in [TICK_US + 1, 300_000, 3_600_000_000] {
        let mut bench = arm("arm-1", 11);
        bench.now_us = 7_200_000_000;
        bench.tick();
        bench.hello();
        bench.command(&[0.0, 0.0]);
        bench.command(&[0.05, 0.0]);
        bench.tick();
        assert_eq!(bench.core.state(), FirmwareState::Active);
        bench.now_us -= back_us;
        bench.tick();
        assert_eq!(bench.core.state(), FirmwareState::Stopping, "{back_us} us");
        assert_eq!(bench.telemetry().stop_reason, StopReason::Watchdog);
        // Sent before, by the clock that was.
        bench.command_with(9, 7_200_000_000 + PERIOD_US, &[0.05, 0.0]);
        bench.tick_until(FirmwareState::Held);
        bench.command_with(10, bench.now_us + PERIOD_US, &[0.05, 0.0]);
        assert_eq!(bench.core.state(), FirmwareState::Held);
        assert_eq!(bench.telemetry().rejected_session, 2);
        assert_eq!(bench.telemetry().session_nonce, NO_SESSION);
        let released_us = bench.tick_until(FirmwareState::Released);
        assert!(released_us <= 1_100_000, "{released_us}");
    }
}

#[test]
fn a_clock_at_its_end_overflows_nothing() {
    let mut bench = arm("arm-1", 11);
    bench.now_us = u64::MAX - 40 * TICK_US;
    bench.tick();
    bench.hello();
    bench.command_with(1, u64::MAX, &[0.0, 0.0]);
    for _ in 0..30 {
        bench.tick();
    }
    assert_eq!(bench.core.state(), FirmwareState::Held, "the watchdog");
}

/// Random messages of several sessions and arms at random times, clocks that jump included.
fn random_trials(trials: u64) -> u64 {
    let mut commands = 0;
    for seed in 0..trials {
        let mut random = Stream::new(seed, 0x5E55);
        let mut bench = arm("arm-1", 1 + seed % 3);
        // What other sessions said, from the start or recorded in this trial.
        let mut other = arm("arm-1", 5);
        let mut recorded: Vec<Vec<u8>> = recorded(&mut other).into_iter().map(|(_, bytes)| bytes).collect();
        let mut driven = false;
        for _ in 0..60 {
            match random.below(8) {
                0 => {
                    let host_nonce = 1 + random.below(1 << 20) as u64;
                    bench.hello_with(host_nonce);
                    driven = false;
                }
                1 | 2 => {
                    let target = bench.core.telemetry().set_point_rad[0] + random.range(-0.05, 0.05);
                    bench.command(&[target, 0.0]);
                    let frame = framed(&HostToArm::Release {
                        session_nonce: bench.nonce ^ (1 << random.below(64)),
                    });
                    recorded.push(frame);
                    driven |= bench.core.state() == FirmwareState::Active;
                    commands += 1;
                }
                3..=5 => {
                    let bytes = &recorded[random.below(recorded.len())];
                    let before = bench.core.state();
                    bench.core.on_bytes(bench.now_us, bytes);
                    // A recorded Hello may end the session and stop the arm. Nothing of another session starts, releases or unlatches.
                    let after = bench.core.state();
                    assert!(
                        after == before
                            || matches!(
                                (before, after),
                                (FirmwareState::Active, FirmwareState::Stopping)
                                    | (FirmwareState::Released, FirmwareState::Idle)
                            ),
                        "seed {seed}: {before:?} to {after:?}"
                    );
                    driven &= after == FirmwareState::Active;
                }
                6 if random.below(10) == 0 => bench.say(&HostToArm::EStop),
                _ => {
                    let before = bench.position_rad.clone();
                    let drive = bench.tick();
                    if drive.torque_on && bench.core.state() == FirmwareState::Active {
                        assert!(driven, "seed {seed}: nobody of this session drives it");
                    }
                    let step = (bench.position_rad[0] - before[0]).abs();
                    assert!(step <= 0.0201, "seed {seed}: {step} rad in a tick");
                }
            }
        }
    }
    commands
}

#[test]
fn random_recordings_move_nothing() {
    assert!(random_trials(300) > 1_000);
}

/// `cargo test --release -p armillary-firmware-bridge random_recordings -- --ignored --nocapture`
#[test]
#[ignore = "some minutes"]
fn random_recordings_move_nothing_for_long() {
    let trials = 300_000;
    let commands = random_trials(trials);
    println!(
        "{trials} trials of 60 events each, {commands} commands of the session among them, 0 motions by others"
    );
}
