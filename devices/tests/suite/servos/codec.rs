//! Packets and registers against written-down examples.

use std::collections::BTreeSet;

use devices::dynamixel::{self, Dynamixel};
use devices::feetech::{self, Feetech};
use devices::servo_bus::{
    Answer, BLOCK_BYTES_MAX, BROADCAST_ID, Decoder, EncodeError, Family, PacketBytes, Protocol, Register,
    Request, Sign,
};

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn check<P: Protocol>(request: Request<'_>, expected: &str) {
    let mut packet = PacketBytes::new();
    request.encode::<P>(&mut packet).expect("a packet");
    assert_eq!(hex(&packet), expected, "{request:?}");
}

/// What the decoder makes of `bytes`: id, error byte and data of each answer.
fn answers<P: Protocol>(bytes: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut decoder = Decoder::<P>::default();
    let mut answers = Vec::new();
    for byte in bytes {
        decoder.push(*byte);
        while let Some(frame) = decoder.take() {
            answers.extend(P::answer(frame).map(|answer| (answer.id, answer.error, answer.data.to_vec())));
        }
    }
    answers
}

#[test]
fn feetech_requests() {
    check::<Feetech>(Request::Ping { id: 1 }, "FF FF 01 02 01 FB");
    let ids = &[1, 2, 3, 4, 5, 6];
    check::<Feetech>(
        Request::SyncRead {
            ids,
            address: 56,
            length: 2,
        },
        "FF FF FE 0A 82 38 02 01 02 03 04 05 06 26",
    );
    check::<Feetech>(
        Request::Read {
            id: 1,
            address: 56,
            length: 2,
        },
        "FF FF 01 04 02 38 02 BE",
    );
    check::<Feetech>(
        Request::Write {
            id: 1,
            address: 40,
            data: &[1],
        },
        "FF FF 01 04 03 28 01 CE",
    );
    check::<Feetech>(
        Request::SyncWrite {
            ids: &[1, 2],
            address: 42,
            length: 2,
            data: &[0x00, 0x08, 0xE8, 0x03],
        },
        "FF FF FE 0A 83 2A 02 01 00 08 02 E8 03 52",
    );
}

#[test]
fn dynamixel_requests() {
    check::<Dynamixel>(Request::Ping { id: 1 }, "FF FF FD 00 01 03 00 01 19 4E");
    check::<Dynamixel>(Request::Reboot { id: 2 }, "FF FF FD 00 02 03 00 08 2F 72");
    // From the maker's manual.
    check::<Dynamixel>(
        Request::Read {
            id: 1,
            address: 132,
            length: 4,
        },
        "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15",
    );
    check::<Dynamixel>(
        Request::Write {
            id: 1,
            address: 116,
            data: &512_u32.to_le_bytes(),
        },
        "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89",
    );
    check::<Dynamixel>(
        Request::SyncRead {
            ids: &[1, 2],
            address: 132,
            length: 4,
        },
        "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA",
    );
    check::<Dynamixel>(
        Request::SyncWrite {
            ids: &[1, 2],
            address: 116,
            length: 4,
            data: &[150, 0, 0, 0, 170, 0, 0, 0],
        },
        "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
    );
}

#[test]
fn a_request_that_no_servo_takes_is_refused() {
    let mut packet = PacketBytes::new();
    let mut encode = |request: Request<'_>| request.encode::<Feetech>(&mut packet);
    assert_eq!(
        encode(Request::Read {
            id: 254,
            address: 0,
            length: 1
        }),
        Err(EncodeError::Id(254))
    );
    assert_eq!(encode(Request::Ping { id: 255 }), Err(EncodeError::Id(255)));
    assert_eq!(
        encode(Request::Read {
            id: 1,
            address: 256,
            length: 1
        }),
        Err(EncodeError::Address(256))
    );
    assert_eq!(
        encode(Request::Write {
            id: 1,
            address: 0,
            data: &[0; 244]
        }),
        Err(EncodeError::TooLong)
    );
    assert_eq!(
        encode(Request::Write {
            id: 1,
            address: 0,
            data: &[0; 243]
        }),
        Ok(())
    );
    let uneven = Request::SyncWrite {
        ids: &[1, 2],
        address: 0,
        length: 2,
        data: &[0; 3],
    };
    assert_eq!(
        encode(uneven),
        Err(EncodeError::Uneven {
            bytes: 3,
            length: 2,
            servos: 2
        })
    );
    let mut dynamixel = |request: Request<'_>| request.encode::<Dynamixel>(&mut packet);
    assert_eq!(dynamixel(Request::Ping { id: 253 }), Err(EncodeError::Id(253)));
    assert_eq!(dynamixel(Request::Ping { id: BROADCAST_ID }), Ok(()));
    assert_eq!(
        dynamixel(Request::Write {
            id: 1,
            address: 0,
            data: &[0xFF; 239]
        }),
        Err(EncodeError::TooLong)
    );
}

#[test]
fn an_answer_is_found_behind_noise_and_false_headers() {
    let good = [0xFF, 0xFF, 0x03, 0x04, 0x20, 0x18, 0x08, 0xB8];
    let expected = vec![(3, feetech::status::OVERLOAD, vec![0x18, 0x08])];
    for noise in [
        &[][..],
        &[0x00],
        &[0xFF],
        &[0xFF, 0xFF],
        &[0xFF, 0xFF, 0xFF],
        &[0xFF, 0xFF, 0x01],
        // Promises three bytes more than there are.
        &[0xFF, 0xFF, 0x01, 0x04, 0x00],
        &[0xFF, 0xFF, 0x01, 0x00],
        &[0xFF, 0xFF, 0x01, 0xFE],
    ] {
        let bytes: Vec<u8> = noise.iter().chain(&good).copied().collect();
        assert_eq!(answers::<Feetech>(&bytes), expected, "{}", hex(noise));
    }
}

#[test]
fn an_answer_behind_an_unfinished_packet_is_found_once_that_is_given_up() {
    let mut decoder = Decoder::<Feetech>::default();
    for byte in [
        0xFF, 0xFF, 0x01, 0x40, 0xFF, 0xFF, 0x03, 0x04, 0x00, 0x18, 0x08, 0xD8,
    ] {
        decoder.push(byte);
        assert!(decoder.take().is_none());
    }
    let mut found = Vec::new();
    while decoder.give_up() {
        while let Some(frame) = decoder.take() {
            found.extend(Feetech::answer(frame).map(|answer| (answer.id, answer.data.to_vec())));
        }
    }
    assert_eq!(found, [(3, vec![0x18, 0x08])]);
    assert_eq!(decoder.counts().packets, 1);
    assert_eq!(decoder.counts().noise_bytes, 4);
}

#[test]
fn a_header_in_the_data_is_stuffed_and_unstuffed() {
    for data in [
        &[0xFF, 0xFF, 0xFD][..],
        &[0xFF, 0xFF, 0xFD, 0xFD],
        &[0xFF, 0xFF, 0xFF, 0xFD, 0x00],
        &[0xFF, 0xFF, 0xFD, 0xFF, 0xFF, 0xFD],
        &[0xFF, 0xFF, 0xFD, 0xFD, 0xFF, 0xFF, 0xFD, 0xFD],
        &[0xFD, 0xFF, 0xFD, 0xFF, 0xFF],
    ] {
        let mut packet = PacketBytes::new();
        Dynamixel::frame_answer(
            Answer {
                id: 5,
                error: 0x80,
                data,
            },
            &mut packet,
        )
        .expect("a packet");
        let inner = &packet[4..];
        assert!(
            !inner.windows(4).any(|four| four == [0xFF, 0xFF, 0xFD, 0x00]),
            "{}",
            hex(&packet)
        );
        assert_eq!(
            answers::<Dynamixel>(&packet),
            [(5, 0x80, data.to_vec())],
            "{}",
            hex(&packet)
        );
    }
    let mut packet = PacketBytes::new();
    let request = Request::Write {
        id: 1,
        address: 116,
        data: &[0xFF, 0xFF, 0xFD, 0x00],
    };
    request.encode::<Dynamixel>(&mut packet).expect("a packet");
    assert_eq!(hex(&packet[..15]), "FF FF FD 00 01 0A 00 03 74 00 FF FF FD FD 00");
}

#[test]
fn requests_of_others_are_no_answers() {
    let mut packet = PacketBytes::new();
    Request::Read {
        id: 1,
        address: 132,
        length: 4,
    }
    .encode::<Dynamixel>(&mut packet)
    .expect("a packet");
    assert_eq!(answers::<Dynamixel>(&packet), []);
}

#[test]
fn what_an_error_byte_says() {
    assert!(Dynamixel::alert(0x80) && !Dynamixel::alert(0x07));
    assert_eq!(Dynamixel::refusal(0x87), Some(7));
    assert_eq!(Dynamixel::refusal(0x80), None);
    assert_eq!(Feetech::refusal(feetech::status::OVERLOAD), None);
}

#[test]
fn signs_of_registers() {
    let check = |register: Register, steps: i64, bytes: &[u8]| {
        assert_eq!(
            &register.encode(steps).expect("fits")[..bytes.len()],
            bytes,
            "{}",
            register.name
        );
        assert_eq!(register.decode(bytes), Some(steps), "{}", register.name);
    };
    check(feetech::registers::GOAL_POSITION, 2048, &[0x00, 0x08]);
    check(feetech::registers::PRESENT_POSITION, -100, &[0x64, 0x80]);
    check(feetech::registers::HOMING_OFFSET, -2047, &[0xFF, 0x0F]);
    check(feetech::registers::PRESENT_LOAD, -7, &[0x07, 0x04]);
    check(feetech::registers::PRESENT_VOLTAGE, 255, &[0xFF]);
    check(
        dynamixel::registers::PRESENT_POSITION,
        -100,
        &[0x9C, 0xFF, 0xFF, 0xFF],
    );
    check(dynamixel::registers::BUS_WATCHDOG, -1, &[0xFF]);
    check(dynamixel::registers::PRESENT_CURRENT, -3, &[0xFD, 0xFF]);
    for (register, steps) in [
        (feetech::registers::HOMING_OFFSET, 2048),
        (feetech::registers::HOMING_OFFSET, -2048),
        (feetech::registers::MIN_POSITION, -1),
        (feetech::registers::GOAL_POSITION, 32768),
        (dynamixel::registers::BUS_WATCHDOG, 128),
    ] {
        assert!(register.encode(steps).is_err(), "{} {steps}", register.name);
    }
    assert_eq!(feetech::registers::MODEL.decode(&[1]), None);
}

/// Tables are in order, without overlaps, and every end of a range goes there and back.
#[test]
fn tables_are_sound() {
    for table in [feetech::registers::TABLE, dynamixel::registers::TABLE] {
        assert!(table.windows(2).all(|two| two[0].end() <= two[1].address));
        for register in table {
            let (low, high) = register.range();
            for steps in [low, 0, high] {
                let bytes = register.encode(steps).expect("within the range");
                let read = register.decode(&bytes[..usize::from(register.width)]);
                assert_eq!(read, Some(steps), "{}", register.name);
            }
            if let Sign::Bit(bit) = register.sign {
                assert!(bit < register.width * 8, "{}", register.name);
            }
        }
    }
}

/// Every block of feedback tells where a servo is and how fast it moves, and no two can be taken for each other.
#[test]
fn feedback_is_told_by_its_length() {
    fn check<P: Family>() {
        let lengths: BTreeSet<u8> = P::FEEDBACK.iter().map(|block| block.length).collect();
        assert_eq!(lengths.len(), P::FEEDBACK.len());
        for block in P::FEEDBACK {
            let data = vec![0; block.length.into()];
            assert!(data.len() <= BLOCK_BYTES_MAX);
            for register in [P::ROLES.present_position, P::ROLES.present_velocity] {
                assert_eq!(register.within(block.address, &data), Some(0), "{block:?}");
            }
            assert!(P::EXTRAS.iter().all(|extra| !lengths.contains(&extra.width)));
        }
        let all = P::FEEDBACK.iter().any(|block| {
            let data = vec![0; block.length.into()];
            [P::ROLES.present_voltage, P::ROLES.present_temperature]
                .iter()
                .all(|register| register.within(block.address, &data).is_some())
        });
        assert!(all);
    }
    check::<Feetech>();
    check::<Dynamixel>();
}
