//! The emergency stop of servos of which nothing is known but their port.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, serve};
use devices::feetech::Feetech;
use devices::let_go::{BAUD, LetGo, let_go};
use robot::device::Stopped;

/// A servo that holds.
fn holding<P: Emulated>(id: u8) -> EmulatedServo<P> {
    let mut servo = EmulatedServo::<P>::new(id, 2048);
    servo.set(P::ROLES.goal_position, 2048);
    servo.set(P::ROLES.torque_enable, 1);
    assert!(servo.torque_on());
    servo
}

fn all_let_go<P: Emulated>() {
    let end = serve(EmulatedBus::new(BAUD, [1, 2, 6].map(holding::<P>).into())).expect("a terminal");
    let confirmed = LetGo {
        stopped: Stopped::LetGo,
        servos: vec![1, 2, 6],
    };
    assert_eq!(let_go(end.path(), BAUD, &[6]).expect("they answer"), confirmed);
    let bus = end.finish().expect("the thread is sound");
    assert!(bus.servos.iter().all(|servo| !servo.torque_on()));
}

#[test]
fn servos_of_either_family_are_found_and_let_go() {
    all_let_go::<Feetech>();
    all_let_go::<Dynamixel>();
}

/// Two servos of one id spoil each other's answers: both may have let go, and nobody knows.
#[test]
fn servos_that_do_not_confirm_are_named_and_all_let_go() {
    let servos: Vec<EmulatedServo<Feetech>> = [1, 2, 2].map(holding).into();
    let end = serve(EmulatedBus::new(BAUD, servos)).expect("a terminal");
    let error = let_go(end.path(), BAUD, &[])
        .expect_err("two did not confirm")
        .to_string();
    assert!(error.contains("servos 2 do not confirm"), "{error}");
    let bus = end.finish().expect("the thread is sound");
    assert!(bus.servos.iter().all(|servo| !servo.torque_on()), "all were told");
}

/// Those that are known to be there and do not answer may still have torque.
#[test]
fn servos_that_are_named_and_do_not_answer_confirm_nothing() {
    let mut servos: Vec<EmulatedServo<Feetech>> = [1, 2, 200].map(holding).into();
    servos[1].faults.silent = true;
    let end = serve(EmulatedBus::new(BAUD, servos)).expect("a terminal");
    let error = let_go(end.path(), BAUD, &[1, 2, 3, 200])
        .expect_err("two did not confirm")
        .to_string();
    assert!(error.contains("servos 2, 3 do not confirm"), "{error}");
}

#[test]
fn a_port_at_which_nothing_answers_confirms_nothing() {
    let end = serve(EmulatedBus::<Feetech>::new(BAUD, Vec::new())).expect("a terminal");
    let error = let_go(end.path(), BAUD, &[])
        .expect_err("nobody is there")
        .to_string();
    for part in ["nothing answers", "1000000", "--baud"] {
        assert!(error.contains(part), "no `{part}` in {error}");
    }
}
