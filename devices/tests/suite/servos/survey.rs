//! Servos are asked about themselves, and nothing is written to them.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::servo_bus::{Bus, Timing};
use devices::survey::{Presence, fault_names, look, presence, sweep};

fn bus<P: Emulated>(servos: Vec<EmulatedServo<P>>) -> Bus<P, MemoryLine<P>> {
    Bus::new(
        MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
        Timing::default(),
    )
}

#[test]
fn what_a_servo_says_is_read_and_nothing_is_written() {
    fn check<P: Emulated>(firmware: &str) {
        let mut hot = EmulatedServo::<P>::new(4, 1000);
        hot.faults.temperature_c = Some(66.0);
        hot.faults.status = P::STATUS_BITS.temperature;
        hot.set(P::ROLES.torque_enable, 1);
        hot.set(P::ROLES.goal_position, 1000);
        let mut bus = bus(vec![EmulatedServo::new(3, 2048), hot]);
        bus.settle(1_000).expect("the line works");
        let found = sweep(&mut bus, 0..=P::ID_MAX, 2_000).expect("the line works");
        assert_eq!(found, [(3, Presence::One), (4, Presence::One)]);
        let facts = look(&mut bus, 4).expect("it answers");
        assert_eq!((facts.model, facts.firmware.as_str()), (P::MODEL, firmware));
        assert_eq!((facts.voltage_v, facts.temperature_c), (12.0, 66.0));
        assert_eq!((facts.position_ticks, facts.limits_ticks), (1000, (0, 4095)));
        assert!(facts.torque_on && facts.position_mode && !facts.voltage_is_wrong());
        assert_eq!(fault_names::<P>(facts.status), ["over-temperature"]);
        let wire = bus.line_mut().bus();
        assert!(wire.writes() == 0 && wire.requests() > 250);
        assert!(wire.servo(4).torque_on(), "it goes on holding");
    }
    check::<Feetech>("3.10");
    check::<Dynamixel>("46");
}

#[test]
fn one_servo_is_told_from_two_and_from_none() {
    let mut bus = bus::<Feetech>([2, 2, 5].map(|id| EmulatedServo::new(id, 2048)).into());
    for (id, expected) in [(2, Presence::Several), (5, Presence::One), (9, Presence::Absent)] {
        assert_eq!(presence(&mut bus, id).expect("the line works"), expected);
    }
}

#[test]
fn a_servo_is_heard_at_its_own_rate_alone() {
    let mut bus = bus::<Dynamixel>(vec![EmulatedServo::new(1, 2048)]);
    for (baud, expected) in [
        (1_000_000, Presence::Absent),
        (57_600, Presence::One),
        (115_200, Presence::Absent),
    ] {
        // It would not be asked at the rate that the line has already.
        bus.line_mut().bus().set_host_baud(baud);
        bus.set_baud(baud).expect("any rate");
        assert_eq!(presence(&mut bus, 1).expect("the line works"), expected, "{baud}");
    }
}

/// Somebody who answers when others are asked already is found all the same.
#[test]
fn a_servo_that_is_late_is_found() {
    let mut slow = EmulatedServo::<Feetech>::new(40, 2048);
    slow.faults.late_us = 9_000;
    let mut bus = Bus::<Feetech, _>::new(
        MemoryLine::new(EmulatedBus::new(
            1_000_000,
            vec![EmulatedServo::new(7, 2048), slow],
        )),
        Timing {
            turnaround_us: 20_000,
            ..Timing::default()
        },
    );
    let found = sweep(&mut bus, 0..=60, 2_000).expect("the line works");
    assert_eq!(found, [(7, Presence::One), (40, Presence::One)]);
}
