//! `armillary setup-motors`: a person at a terminal connects one emulated servo after the other.

mod person;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use devices::emulation::{EmulatedBus, EmulatedServo, PtyEnd, serve};
use devices::feetech::{self, Feetech};
use devices::servo_bus::Family;
use devices::survey::Maker;
use person::{PROGRAM, Person};

const JOINTS: usize = 6;

fn robot() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/so101.ron")
}

/// A wire on which servos of another rate hear nothing.
fn wire(servos: Vec<EmulatedServo<Feetech>>) -> PtyEnd<Feetech> {
    let mut wire = EmulatedBus::new(1_000_000, servos);
    wire.follows_host = true;
    serve(wire).expect("a terminal")
}

/// Somebody who sets up the servos at `port`.
fn starts(port: &Path) -> Person {
    let robot = robot();
    let arguments = ["setup-motors", "--robot"].map(std::ffi::OsStr::new);
    Person::starts(
        arguments
            .into_iter()
            .chain([robot.as_os_str(), "--port".as_ref(), port.as_os_str()]),
    )
}

/// Plugs a new servo in beside those that are done.
fn plug_in(end: &PtyEnd<Feetech>) {
    end.change(|wire| wire.servos.push(EmulatedServo::new(Feetech::DELIVERED_ID, 2048)));
}

/// Does all joints that are left. Whoever answers too late on a machine that is busy is asked again.
fn does(person: &mut Person, end: &PtyEnd<Feetech>, joints: usize) {
    for _ in 0..joints {
        person.hears(&["Connect the servo of"]);
        plug_in(end);
        person.types("");
        while person.hears(&[": id ", "check the servo's cable", "does not answer"]) != 0 {
            person.hears(&["Connect the servo of"]);
            person.types("");
        }
    }
}

#[test]
fn six_servos_are_set_up_in_two_sessions() {
    let end = wire(Vec::new());
    let mut person = starts(end.path());
    does(&mut person, &end, 2);
    person.hears(&["Connect the servo of wrist_flex"]);
    // Two are done; the rest another day.
    person.types("q");
    assert!(!person.succeeds());

    let mut person = starts(end.path());
    let done = person.hears(&["wrist_roll has id 5 already", "Connect the servo of"]);
    assert_eq!(done, 0, "what was done is known");
    does(&mut person, &end, JOINTS - 2);
    while person.hears(&["Connect all servos", "no answer"]) == 1 {}
    person.types("");
    while person.hears(&["6 servos answer", "Connect all servos"]) == 1 {
        person.types("");
    }
    assert!(person.succeeds());

    let wire = end.finish().expect("served until now");
    let mut ids: Vec<u8> = wire.servos.iter().map(EmulatedServo::id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    for servo in &wire.servos {
        assert_eq!(servo.kept(Feetech::ROLES.id), servo.get(Feetech::ROLES.id));
        assert_eq!(servo.get(feetech::registers::LOCK), 1);
        assert!(!servo.torque_on() && (servo.motor().position_ticks - 2048.0).abs() < 0.5);
    }
}

#[test]
fn without_a_person_nothing_is_written() {
    let end = wire(vec![EmulatedServo::new(Feetech::DELIVERED_ID, 2048)]);
    let run = |stdin: Stdio| {
        let output = Command::new(PROGRAM)
            .args(["setup-motors", "--robot"])
            .arg(robot())
            .arg("--port")
            .arg(end.path())
            .stdin(stdin)
            .output()
            .expect("the program starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for stdin in [Stdio::null(), Stdio::piped()] {
        let said = run(stdin);
        assert!(said.contains("start it on a terminal"), "{said}");
    }
    // A terminal that is closed while it is asked.
    let mut person = starts(end.path());
    person.hears(&["Connect the servo of gripper"]);
    person.types("\u{4}");
    assert!(!person.succeeds());
    let wire = end.finish().expect("served until now");
    assert_eq!(wire.writes(), 0);
    assert_eq!(wire.servos[0].id(), Feetech::DELIVERED_ID);
}
