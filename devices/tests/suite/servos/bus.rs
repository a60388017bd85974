//! Exchanges on an emulated wire, in virtual time.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, Faults, MemoryLine};
use devices::feetech::Feetech;
use devices::servo_bus::{
    Block, Bus, BusError, Family, Line, Reading, Readings, SUSPECT_NOISE_BYTES, Timing,
};

const IDS: [u8; 6] = [1, 2, 3, 4, 5, 6];
const BUDGET_US: u64 = 15_000;

type EmulatedArm<P> = Bus<P, MemoryLine<P>>;

fn place(id: u8) -> u16 {
    1_000 + 100 * u16::from(id)
}

/// Six servos at 1 Mbit/s, each at its [`place`], without return delay.
fn arm<P: Emulated>() -> EmulatedArm<P> {
    let mut servos: Vec<EmulatedServo<P>> =
        IDS.iter().map(|id| EmulatedServo::new(*id, place(*id))).collect();
    for servo in &mut servos {
        servo.set(P::ROLES.return_delay, 0);
    }
    Bus::new(
        MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
        Timing::default(),
    )
}

fn position<P: Emulated>() -> Block {
    Block {
        address: P::ROLES.present_position.address,
        length: P::ROLES.present_position.width + 4,
    }
}

fn ticks<P: Emulated>(block: Block, reading: &Reading) -> Option<i64> {
    reading
        .fresh()
        .and_then(|data| P::ROLES.present_position.within(block.address, data))
}

fn sync_read<P: Emulated>(bus: &mut EmulatedArm<P>, readings: &mut Readings) -> u64 {
    let begun_us = bus.line().now_us();
    bus.sync_read(position::<P>(), BUDGET_US, readings)
        .expect("the line works");
    bus.line().now_us() - begun_us
}

#[test]
fn six_servos_in_one_exchange() {
    fn check<P: Emulated>() {
        let mut bus = arm::<P>();
        let mut readings = Readings::new(&IDS);
        assert!(readings.iter().all(|reading| reading.fresh().is_none()));
        sync_read(&mut bus, &mut readings);
        for (id, reading) in IDS.iter().zip(readings.iter()) {
            assert_eq!(ticks::<P>(readings.block(), reading), Some(place(*id).into()));
        }
        // Nothing but the wire takes time once the line is known to be quiet.
        let took_us = sync_read(&mut bus, &mut readings);
        let wire_us = bus.wire_us(20 + IDS.len() * P::answer_bytes_max(position::<P>().length.into()));
        assert!(took_us <= wire_us, "{took_us} us of {wire_us}");
        assert_eq!(
            bus.counts().retries + bus.counts().foreign + bus.counts().misses,
            0
        );
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

/// Faults of one servo, and whether it can be read all the same.
fn faults<P: Emulated>() -> Vec<(Faults, bool)> {
    let none = Faults::default;
    let whole = P::answer_bytes_max(position::<P>().length.into());
    let mut faults = vec![
        (
            Faults {
                silent: true,
                ..none()
            },
            false,
        ),
        (
            Faults {
                late_us: 60_000,
                ..none()
            },
            false,
        ),
        (
            Faults {
                trickle_us: 50,
                ..none()
            },
            true,
        ),
        (
            Faults {
                foreign_id: Some(9),
                ..none()
            },
            true,
        ),
        (
            Faults {
                foreign_id: Some(5),
                ..none()
            },
            true,
        ),
        (
            Faults {
                foreign_id: Some(2),
                ..none()
            },
            true,
        ),
        (
            Faults {
                noise: vec![0x00],
                ..none()
            },
            true,
        ),
        (
            Faults {
                noise: vec![0xFF; 2],
                ..none()
            },
            true,
        ),
        (
            Faults {
                noise: vec![0xFF; 40],
                ..none()
            },
            true,
        ),
        (
            Faults {
                noise: vec![0xFF, 0xFF, 0x03, 0x08, 0x00],
                ..none()
            },
            true,
        ),
        (
            Faults {
                noise: vec![0xFF, 0xFF, 0xFD, 0x00, 0x03, 0x08, 0x00],
                ..none()
            },
            true,
        ),
    ];
    faults.extend((0..10).map(|byte| {
        (
            Faults {
                corrupt_byte: Some(byte),
                ..none()
            },
            false,
        )
    }));
    faults.extend((0..whole.min(10)).map(|bytes| {
        (
            Faults {
                cut_after_bytes: Some(bytes),
                ..none()
            },
            false,
        )
    }));
    faults
}

/// One servo at fault: the others are read in the same exchange, within the budget, and it is back as soon as its fault is gone.
fn check_faults<P: Emulated>(echo: bool, chained: bool) {
    for (case, (faults, readable)) in faults::<P>().into_iter().enumerate() {
        for at_fault in [1, 3, 6] {
            let mut bus = arm::<P>();
            bus.line_mut().bus().echo = echo;
            bus.line_mut().bus().chained = chained;
            let mut readings = Readings::new(&IDS);
            sync_read(&mut bus, &mut readings);
            for round in 1..4 {
                bus.line_mut().bus().servo(at_fault).faults = faults.clone();
                let took_us = sync_read(&mut bus, &mut readings);
                let about = format!("{} case {case} {faults:?} of {at_fault}, round {round}", P::NAME);
                assert!(took_us <= BUDGET_US, "{about}: {took_us} us");
                for (id, reading) in IDS.iter().zip(readings.iter()) {
                    let expected = (*id != at_fault || readable).then_some(i64::from(place(*id)));
                    assert_eq!(ticks::<P>(readings.block(), reading), expected, "{about}: {id}");
                    if expected.is_none() {
                        assert_eq!(reading.missed(), round, "{about}");
                    }
                }
            }
            bus.line_mut().bus().servo(at_fault).faults = Faults::default();
            bus.line_mut().advance(100_000);
            sync_read(&mut bus, &mut readings);
            assert!(
                readings.iter().all(|reading| reading.missed() == 0),
                "case {case}"
            );
            assert_eq!(bus.counts().echoes > 0, echo);
            assert_eq!(bus.line_mut().bus().collisions(), 0, "case {case}");
        }
    }
}

#[test]
fn a_servo_at_fault_costs_its_own_reading_and_nothing_else() {
    for echo in [false, true] {
        for chained in [false, true] {
            check_faults::<Feetech>(echo, chained);
            check_faults::<Dynamixel>(echo, chained);
        }
    }
}

/// A servo's answers come later and later, up to three periods late, while it moves a tick a period. Exchanges ask for four lengths in
/// turn. What counts as fresh is where it is now.
#[test]
fn a_late_answer_never_passes_for_a_fresh_one() {
    fn check<P: Emulated>() {
        let period_us = 20_000;
        let address = P::ROLES.present_position.address;
        let (mut fresh, mut missed) = (0, 0);
        for late_us in (0..3 * period_us).step_by(331) {
            let mut bus = arm::<P>();
            let mut readings = Readings::new(&IDS);
            bus.line_mut().bus().servo(3).faults.late_us = late_us;
            for tick in 0..12_u64 {
                bus.line_mut().bus().servo(3).motor_mut().position_ticks = 1_000.0 + tick as f64;
                let block = Block {
                    address,
                    length: 6 + 2 * (tick % 4) as u8,
                };
                let begun_us = bus.line().now_us();
                bus.sync_read(block, 8_000, &mut readings)
                    .expect("the line works");
                let took_us = bus.line().now_us() - begun_us;
                assert!(took_us <= 8_000);
                match readings.get(2).and_then(|reading| ticks::<P>(block, reading)) {
                    Some(ticks) => {
                        assert_eq!(ticks, 1_000 + tick as i64, "{late_us} us late");
                        fresh += 1;
                    }
                    None => missed += 1,
                }
                // Where a late answer meets those of others on the wire, they may be lost; never wrong.
                for (servo, id) in IDS.iter().enumerate().filter(|(servo, _)| *servo != 2) {
                    let read = readings.get(servo).and_then(|reading| ticks::<P>(block, reading));
                    assert!(
                        read.is_none_or(|ticks| ticks == i64::from(place(*id))),
                        "{late_us} us late"
                    );
                }
                bus.line_mut().advance(period_us - took_us);
            }
        }
        assert!(fresh > 100 && missed > 100, "{fresh} {missed}");
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

/// A servo that takes the wire for longer than the exchange may last ends that exchange and no other.
#[test]
fn a_servo_that_trickles_does_not_lengthen_an_exchange() {
    fn check<P: Emulated>() {
        let mut bus = arm::<P>();
        let mut readings = Readings::new(&IDS);
        for round in 0..5 {
            bus.line_mut().bus().servo(3).faults.trickle_us = if round % 2 == 0 { 4_000 } else { 0 };
            let took_us = sync_read(&mut bus, &mut readings);
            assert!(took_us <= BUDGET_US, "{took_us} us");
            let fresh = readings.iter().filter(|reading| reading.missed() == 0).count();
            assert!(
                if round % 2 == 0 { fresh < 6 } else { fresh == 6 },
                "round {round}: {fresh}"
            );
            bus.line_mut().advance(500_000);
        }
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

#[test]
fn a_line_that_never_falls_silent_ends_an_exchange_too() {
    let mut bus = arm::<Feetech>();
    let mut readings = Readings::new(&IDS);
    bus.line_mut().bus().servo(1).faults.noise = vec![0xFF; 20_000];
    for _ in 0..3 {
        let took_us = sync_read(&mut bus, &mut readings);
        assert!(took_us <= BUDGET_US, "{took_us} us");
    }
}

#[test]
fn an_adapter_that_is_unplugged_is_an_error() {
    let mut bus = arm::<Feetech>();
    let mut readings = Readings::new(&IDS);
    bus.line_mut().plugged_in = false;
    let result = bus.sync_read(position::<Feetech>(), BUDGET_US, &mut readings);
    assert!(matches!(result, Err(BusError::Line(_))), "{result:?}");
}

#[test]
fn registers_are_written_and_read_back() {
    fn check<P: Emulated>() {
        let mut bus = arm::<P>();
        let goal = P::ROLES.goal_position;
        let width = usize::from(goal.width);
        let steps = |id: u8| 2_000 + i64::from(id);
        let data: Vec<u8> = IDS
            .iter()
            .flat_map(|id| goal.encode(steps(*id)).expect("fits")[..width].to_vec())
            .collect();
        bus.sync_write(&IDS, goal.address, goal.width, &data, BUDGET_US)
            .expect("the line works");
        for id in IDS {
            let mut bytes = vec![0; width];
            bus.read(id, goal.address, &mut bytes, BUDGET_US)
                .expect("answers");
            assert_eq!(goal.decode(&bytes), Some(steps(id)));
        }
        let torque = P::ROLES.torque_enable;
        bus.write(4, torque.address, &[1], BUDGET_US).expect("answers");
        assert!(bus.line_mut().bus().servo(4).torque_on());
        assert!(!bus.line_mut().bus().servo(5).torque_on());
        assert_eq!(bus.model(2, BUDGET_US).expect("answers"), P::MODEL);
        let silent = bus.model(40, BUDGET_US);
        assert!(
            matches!(silent, Err(BusError::Silent { id: 40, .. })),
            "{silent:?}"
        );
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

#[test]
fn a_refusal_is_told() {
    let mut bus = arm::<Dynamixel>();
    let goal = Dynamixel::ROLES.goal_position;
    let beyond = goal.encode(5_000).expect("fits");
    let refused = bus.write(1, goal.address, &beyond, BUDGET_US);
    assert!(
        matches!(refused, Err(BusError::Refused { id: 1, reason: 6, .. })),
        "{refused:?}"
    );
}

#[test]
fn two_servos_of_one_id_show() {
    let mut bus = arm::<Feetech>();
    assert_eq!(
        bus.count_answers(3, BUDGET_US).expect("the line works"),
        (1, false)
    );
    let mut twin = EmulatedServo::new(3, 0);
    // Out of the factory it answers half a millisecond later.
    bus.line_mut().bus().servos.push(twin.clone());
    assert_eq!(
        bus.count_answers(3, BUDGET_US).expect("the line works"),
        (2, false)
    );
    twin.set(Feetech::ROLES.return_delay, 0);
    bus.line_mut().bus().servos.pop();
    bus.line_mut().bus().servos.push(twin);
    let (count, spoilt) = bus.count_answers(3, BUDGET_US).expect("the line works");
    assert!(count != 1 || spoilt);
    assert_eq!(
        bus.count_answers(7, BUDGET_US).expect("the line works"),
        (0, false)
    );
    const { assert!(SUSPECT_NOISE_BYTES > 2) };
}
