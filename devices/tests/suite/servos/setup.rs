//! Servos get their ids one at a time, in virtual time.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::{self, Feetech};
use devices::servo_bus::{Bus, Timing};
use devices::setup::{Given, Setup, SetupError, Wanted};

const BAUD: u32 = 1_000_000;

const QUICK_US: u64 = 2_000;

const JOINTS: [&str; 6] = [
    "shoulder_pan",
    "shoulder_lift",
    "elbow_flex",
    "wrist_flex",
    "wrist_roll",
    "gripper",
];

type Line<P> = MemoryLine<P>;

fn new_servo<P: Emulated>() -> EmulatedServo<P> {
    EmulatedServo::new(P::DELIVERED_ID, 2048)
}

fn setup<P: Emulated>(servos: Vec<EmulatedServo<P>>) -> Setup<P, Line<P>> {
    let mut wire = EmulatedBus::new(BAUD, servos);
    wire.set_host_baud(BAUD);
    let timing = Timing {
        baud: BAUD,
        ..Timing::default()
    };
    let wanted = JOINTS.iter().zip(1..).map(|(joint, id)| Wanted {
        joint: (*joint).to_owned(),
        id,
    });
    Setup::new(
        Bus::new(MemoryLine::new(wire), timing),
        BAUD,
        QUICK_US,
        wanted.collect(),
    )
    .expect("sound")
}

fn on_line<P: Emulated>(setup: &mut Setup<P, Line<P>>) -> &mut Vec<EmulatedServo<P>> {
    &mut setup.bus_mut().line_mut().bus().servos
}

/// Connects one servo alone, and gives it the id that is next.
fn give_next<P: Emulated>(
    setup: &mut Setup<P, Line<P>>,
    servo: EmulatedServo<P>,
) -> Result<(Given, EmulatedServo<P>), SetupError> {
    let joint = setup.next().expect("one is left");
    *on_line(setup) = vec![servo];
    let given = setup.give(joint, false)?;
    let servo = on_line(setup).remove(0);
    Ok((given, servo))
}

#[test]
fn six_new_servos_get_their_ids_from_the_gripper_down_and_keep_them_without_power() {
    fn check<P: Emulated>() {
        let mut setup = setup::<P>(Vec::new());
        setup.recognise().expect("nobody is no error");
        let mut done = Vec::new();
        for id in (1..=6_u8).rev() {
            let mut servo = new_servo::<P>();
            // Somebody has left it holding.
            servo.set(P::ROLES.goal_position, 2048);
            servo.set(P::ROLES.torque_enable, 1);
            let before = servo.motor().position_ticks;
            let (given, servo) = give_next(&mut setup, servo).expect("a new servo");
            assert_eq!((given.facts.id, given.was_id), (id, P::DELIVERED_ID));
            assert_eq!(given.was_baud, P::DELIVERED_BAUD);
            assert_eq!(given.written, (id, P::DELIVERED_BAUD) != (1, BAUD));
            assert_eq!(servo.kept(P::ROLES.id), i64::from(id));
            assert_eq!(servo.kept(P::BAUD), i64::from(P::baud_code(BAUD).expect("known")));
            assert!(!servo.torque_on(), "torque is off");
            assert!((servo.motor().position_ticks - before).abs() < 0.5, "it moved");
            if let Some(lock) = P::ROLES.lock {
                assert_eq!(servo.get(lock), 1, "EEPROM is locked again");
            }
            // Nothing else was written to what it keeps.
            for register in [
                P::ROLES.homing_offset,
                P::ROLES.min_position,
                P::ROLES.max_position,
                P::ROLES.mode,
            ] {
                assert_eq!(servo.kept(register), new_servo::<P>().get(register));
            }
            done.push(servo);
        }
        assert_eq!(setup.next(), None);
        *on_line(&mut setup) = done;
        setup.check_all().expect("each answers once");
        on_line(&mut setup).remove(2);
        assert!(
            matches!(setup.check_all(), Err(SetupError::Missing { joints }) if joints.contains("wrist_flex"))
        );
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

#[test]
fn servos_that_are_done_may_stay_on_the_line() {
    let mut setup = setup::<Feetech>(Vec::new());
    for _ in 0..6 {
        let joint = setup.next().expect("one is left");
        on_line(&mut setup).push(new_servo());
        setup
            .give(joint, false)
            .expect("one new servo beside those that are done");
    }
    setup.check_all().expect("each answers once");
}

#[test]
fn a_servo_is_found_at_any_id_and_rate() {
    for (id, code) in [(200, 0), (200, 4), (1, 2), (253, 1)] {
        let mut servo = EmulatedServo::<Feetech>::new(id, 2048);
        servo.set(feetech::registers::BAUD, code);
        let mut setup = setup(vec![servo]);
        let given = setup.give(5, false).expect("found");
        assert_eq!(
            (given.was_id, given.facts.id, given.facts.baud),
            (id, 6, Some(BAUD))
        );
    }
}

#[test]
fn two_servos_are_never_given_one_id() {
    // Two new ones at once.
    let mut twins = setup::<Feetech>(vec![new_servo(), new_servo()]);
    assert!(matches!(
        twins.give(5, false),
        Err(SetupError::Twins { id: 1, .. })
    ));
    assert_eq!(twins.bus_mut().line_mut().bus().writes(), 0);
    // Two of different ids, and two of different rates.
    let mut slow = new_servo::<Feetech>();
    slow.set(feetech::registers::BAUD, 4);
    for second in [EmulatedServo::new(9, 2048), slow] {
        let mut two = setup(vec![new_servo(), second]);
        assert!(matches!(two.give(5, false), Err(SetupError::Several { .. })));
        assert_eq!(two.bus_mut().line_mut().bus().writes(), 0);
    }
    // The same servo twice: it would lose the id that it has.
    let mut same = setup::<Feetech>(Vec::new());
    let (_, gripper) = give_next(&mut same, new_servo()).expect("a new servo");
    *on_line(&mut same) = vec![gripper];
    assert!(matches!(same.give(4, false), Err(SetupError::Nobody { done, .. }) if done == [6]));
    // One that is done, which a later session knows only by its id.
    let mut later = setup(vec![EmulatedServo::<Feetech>::new(3, 2048)]);
    assert!(matches!(
        later.give(4, false),
        Err(SetupError::OtherJoint { id: 3, .. })
    ));
    assert_eq!(later.bus_mut().line_mut().bus().writes(), 0);
    later.give(4, true).expect("a person says that it is the one");
    assert_eq!(on_line(&mut later)[0].id(), 5);
}

#[test]
fn an_arm_that_is_half_done_goes_on_where_it_was() {
    let servos = vec![
        EmulatedServo::<Feetech>::new(6, 2048),
        EmulatedServo::new(5, 2048),
    ];
    let mut resumed = setup(servos);
    resumed.recognise().expect("they answer");
    assert_eq!(resumed.next(), Some(3));
    assert!(resumed.done(5).is_some() && resumed.done(0).is_none());
    // A servo with the id of a new one is new, until all the others are there.
    let mut new = setup(vec![EmulatedServo::<Feetech>::new(1, 2048)]);
    new.recognise().expect("it answers");
    assert!(new.next() == Some(5) && new.done(0).is_none());
    let mut whole = setup(
        (1..=6)
            .map(|id| EmulatedServo::<Feetech>::new(id, 2048))
            .collect(),
    );
    whole.recognise().expect("they answer");
    assert_eq!(whole.next(), None);
}

/// After any number of the bytes that are sent, the program ends; it is started again, and the servo is as it should be.
#[test]
fn an_interruption_at_any_write_loses_nothing() {
    fn check<P: Emulated>() {
        let writes = {
            let mut whole = setup(vec![new_servo::<P>()]);
            whole.give(5, false).expect("a new servo");
            whole.bus_mut().line_mut().bus().writes()
        };
        assert!(writes >= 2);
        for until in 0..writes {
            let mut cut = setup(vec![new_servo::<P>()]);
            cut.bus_mut().line_mut().bus().deaf_after_writes = Some(until);
            assert!(
                cut.give(5, false).is_err(),
                "{until} of {writes} writes are not enough"
            );
            let servo = on_line(&mut cut).remove(0);
            let mut again = setup(vec![servo]);
            again.recognise().expect("no error");
            if again.next() == Some(5) {
                again.give(5, false).expect("goes on");
            }
            let servo = &on_line(&mut again)[0];
            assert_eq!(servo.kept(P::ROLES.id), 6, "after {until} writes");
            assert_eq!(servo.kept(P::BAUD), i64::from(P::baud_code(BAUD).expect("known")));
            if let Some(lock) = P::ROLES.lock {
                assert_eq!(servo.get(lock), 1, "locked, after {until} writes");
            }
        }
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

#[test]
fn a_servo_of_another_kind_or_on_a_wrong_supply_is_refused_before_anything_is_written() {
    let unknown = new_servo::<Feetech>().of_model(1234);
    let mut small = new_servo::<Feetech>();
    small.set(feetech::registers::MAX_VOLTAGE, 80);
    let mut weak = new_servo::<Feetech>();
    weak.faults.voltage_v = Some(3.1);
    for (servo, parts) in [
        (unknown, &["1234", "STS3215"][..]),
        (small, &["12.0 V", "8.0 V", "take its power away", "3.10"]),
        (weak, &["3.1 V", "right voltage"]),
    ] {
        let mut setup = setup(vec![servo]);
        let error = setup.give(5, false).expect_err("refused").to_string();
        for part in parts {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
        assert_eq!(setup.bus_mut().line_mut().bus().writes(), 0);
    }
}

#[test]
fn firmware_and_supply_that_differ_from_the_others_are_told() {
    let mut setup = setup::<Feetech>(Vec::new());
    give_next(&mut setup, new_servo()).expect("a new servo");
    let mut old = new_servo::<Feetech>();
    old.set(feetech::registers::FIRMWARE_MINOR, 9);
    old.set(feetech::registers::MAX_VOLTAGE, 80);
    old.faults.voltage_v = Some(7.4);
    let (given, _) = give_next(&mut setup, old).expect("a new servo");
    assert_eq!(given.notes.len(), 2, "{:?}", given.notes);
    assert!(given.notes[0].contains("3.9") && given.notes[0].contains("3.10"));
    assert!(given.notes[1].contains("8.0 V") && given.notes[1].contains("14.0 V"));
}

#[test]
fn what_no_servo_can_be_given_is_refused_by_field() {
    let make = |baud: u32, ids: &[u8]| {
        let wanted = ids.iter().map(|id| Wanted {
            joint: format!("joint {id}"),
            id: *id,
        });
        let line = MemoryLine::new(EmulatedBus::<Dynamixel>::new(BAUD, Vec::new()));
        let bus = Bus::<Dynamixel, _>::new(line, Timing::default());
        Setup::new(bus, baud, QUICK_US, wanted.collect())
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(make(BAUD, &[1, 2]), None);
    for (error, parts) in [
        (make(123, &[1]), ["arm.baud", "57600"]),
        (make(BAUD, &[1, 253]), ["arm.servos", "253"]),
        (make(BAUD, &[4, 4]), ["arm.servos", "id 4"]),
    ] {
        let error = error.expect("refused");
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}
