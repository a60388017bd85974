//! `armillary calibrate`: a person at a terminal moves emulated servos by hand.

mod person;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use calibration::servos::{Encoder, JointCalibration, JointShape, JointsFile};
use crossbeam::channel::bounded;
use devices::emulation::{EmulatedBus, EmulatedServo, PtyEnd, serve};
use devices::feetech::Feetech;
use devices::servo_bus::Family;
use person::{PROGRAM, Person};
use robot::Config;
use robot::config::edit;
use robot::philox::Stream;

const STS: Encoder = Encoder::FEETECH_STS;

/// Ticks that a joint is moved between two looks: less than a quarter of a turn.
const STEP_TICKS: f64 = 400.0;

/// The joint that has no stops.
const ROLL: usize = 4;

/// An SO-101 whose horns were screwed on at random.
struct Arm {
    folder: tempfile::TempDir,
    end: PtyEnd<Feetech>,
    /// Encoder ticks where each joint's angle is 0, and which way it grows.
    truth: Vec<(f64, f64)>,
    stops_rad: Vec<(f32, f32)>,
}

impl Arm {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/so101.ron");
        // Slow, so that servos that this machine serves late are not taken for silent ones.
        let mut text = std::fs::read_to_string(shipped).expect("the shipped file");
        for (from, to) in [
            ("period_s: 0.05", "period_s: 0.2"),
            ("arm: feetech(", "arm: feetech(rate_hz: 10.0,"),
        ] {
            assert!(text.contains(from));
            text = text.replacen(from, to, 1);
        }
        std::fs::write(folder.path().join("my-arm.ron"), text).expect("written");
        let config = Config::load(&folder.path().join("my-arm.ron")).expect("the shipped file");
        let mut draws = Stream::new(seed, 0);
        let truth: Vec<(f64, f64)> = config
            .envelope
            .joints()
            .iter()
            .map(|_| {
                let sign = if draws.uniform() < 0.5 { -1.0 } else { 1.0 };
                (f64::from(draws.range(0.0, 4096.0)), sign)
            })
            .collect();
        let stops_rad = config.envelope.joints().iter();
        let stops_rad = stops_rad
            .map(|joint| (joint.position_min_rad, joint.position_max_rad))
            .collect();
        let servos = (1..).zip(&truth).map(|(id, (zero, _))| {
            // Left over from another calibration.
            EmulatedServo::new(id, zero.round() as u16 % 4096).with_homing(77)
        });
        let mut wire = EmulatedBus::new(1_000_000, servos.collect());
        wire.follows_host = true;
        Self {
            folder,
            end: serve(wire).expect("a terminal"),
            truth,
            stops_rad,
        }
    }

    fn robot(&self) -> PathBuf {
        self.folder.path().join("my-arm.ron")
    }

    fn person(&self, what: &str) -> Person {
        let robot = self.robot();
        let arguments = ["calibrate", what, "--robot"].map(OsStr::new);
        Person::starts(arguments.into_iter().chain([
            robot.as_os_str(),
            "--port".as_ref(),
            self.end.path().as_os_str(),
        ]))
    }

    /// Writes a calibration in which the directions of `wrong` are not those of the arm, which stands at 0.
    fn is_calibrated_but_for(&self, wrong: &[usize]) {
        let shipped = std::fs::read_to_string(self.robot()).expect("there");
        let config = Config::load(&self.robot()).expect("the shipped file");
        let mut text = shipped.replacen(
            "    camera:",
            "    calibration: (joints: \"my-arm.joints.ron\"),\n    camera:",
            1,
        );
        let mut joints = Vec::new();
        for (index, ((zero, sign), (least, greatest))) in self.truth.iter().zip(&self.stops_rad).enumerate() {
            let ticks = |rad: f32| (zero + sign * f64::from(rad) * STS.ticks_a_radian()).round() as i64;
            let middle = (ticks(*least) + ticks(*greatest)) / 2;
            // Half a turn away from the middle of the travel lies the seam.
            let offset = (middle.rem_euclid(4096) - 2048).clamp(-2047, 2047);
            let half = (ticks(*greatest) - ticks(*least)).abs() / 2;
            let here = STS.present_ticks(middle, offset);
            let shape = JointShape {
                name: config.envelope.joints()[index].name.clone(),
                stops_rad: (index != ROLL).then_some((*least, *greatest)),
            };
            let range_ticks = if index == ROLL {
                (0, 4095)
            } else {
                (here - half, here + half)
            };
            let reversed = (*sign < 0.0) != wrong.contains(&index);
            joints.push(JointCalibration {
                name: shape.name.clone(),
                id: index as u8 + 1,
                homing_offset_ticks: offset,
                range_ticks,
                zero_ticks: shape.zero_ticks(STS, range_ticks, reversed),
                reversed,
                residual_rad: None,
            });
            if index != ROLL {
                for (field, margin) in [("stops_rad", 0.0), ("position_rad", 0.02)] {
                    let range = format!("({:?}, {:?})", least + margin, greatest - margin);
                    text =
                        edit::with_element_field(&text, &["joints"], index, field, &range).expect("a list");
                }
            }
            let (tell, told) = bounded(1);
            self.end.change(move |wire| {
                wire.servos[index].set(Feetech::ROLES.homing_offset, offset);
                wire.servos[index].motor_mut().position_ticks = middle as f64;
                let _ = tell.send(());
            });
            told.recv().expect("served");
        }
        let file = JointsFile::new("so101", "feetech", "", "", joints);
        std::fs::write(self.folder.path().join("my-arm.joints.ron"), file.to_text()).expect("written");
        std::fs::write(self.robot(), text).expect("written");
    }

    /// Where a joint's motor is, in ticks.
    fn motor_ticks(&self, joint: usize) -> f64 {
        let (tell, told) = bounded(1);
        self.end.change(move |wire| {
            let _ = tell.send(wire.servos[joint].motor().position_ticks);
        });
        told.recv().expect("served")
    }

    /// Requests that the servos have heard.
    fn requests(&self) -> u32 {
        let (tell, told) = bounded(1);
        self.end.change(move |wire| {
            let _ = tell.send(wire.requests());
        });
        told.recv().expect("served")
    }

    /// Waits until the servos were read twice more, so that the newest position is known.
    fn is_read(&self) {
        let before = self.requests();
        while self.requests() < before + 2 {
            std::thread::yield_now();
        }
    }

    /// Moves a joint there by hand, slowly.
    fn moves(&self, joint: usize, position_rad: f64) {
        let (zero, sign) = self.truth[joint];
        let goal = zero + sign * position_rad * STS.ticks_a_radian();
        loop {
            let (tell, told) = bounded(1);
            self.end.change(move |wire| {
                let motor = wire.servos[joint].motor_mut();
                let left = goal - motor.position_ticks;
                motor.position_ticks += left.clamp(-STEP_TICKS, STEP_TICKS);
                let _ = tell.send(left.abs() <= STEP_TICKS);
            });
            let arrived = told.recv().expect("served");
            self.is_read();
            if arrived {
                return;
            }
        }
    }

    /// Sweeps a joint: to `share` of the way to its lesser stop.
    fn sweeps(&self, person: &mut Person, joint: usize, share: f64) {
        let (least, greatest) = self.stops_rad[joint];
        // What turns all round is 0 at its middle pose.
        let middle_rad = if joint == ROLL {
            0.0
        } else {
            0.5 * f64::from(least + greatest)
        };
        self.moves_unread(joint, middle_rad);
        person.types("");
        person.hears(&["Press Enter when"]);
        self.is_read();
        self.moves(joint, f64::from(greatest));
        self.moves(joint, share * f64::from(least));
        person.types("");
    }

    /// Moves a joint while nobody reads.
    fn moves_unread(&self, joint: usize, position_rad: f64) {
        let (zero, sign) = self.truth[joint];
        let (tell, told) = bounded(1);
        self.end.change(move |wire| {
            wire.servos[joint].motor_mut().position_ticks = zero + sign * position_rad * STS.ticks_a_radian();
            let _ = tell.send(());
        });
        told.recv().expect("served");
    }
}

/// Answers until what the program does with the servos has succeeded: a machine that is busy serves them late.
fn until(person: &mut Person, words: &str) {
    while person.hears(&["Press Enter to try again", words]) == 0 {
        person.types("");
    }
}

/// Writes what the program says to both of its outputs, and whether it succeeded.
fn runs(arguments: &[&OsStr]) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_person_calibrates_an_arm_and_it_is_where_the_file_says() {
    let arm = Arm::new(3);
    let mut person = arm.person("joints");
    person.hears(&["press Enter [q: end]"]);
    person.types("");
    for joint in 0..arm.truth.len() {
        until(&mut person, "press Enter [q: end]");
        if joint == 1 {
            // Not all the way.
            arm.sweeps(&mut person, joint, 0.5);
            assert_eq!(person.hears(&["do it again", "good."]), 0);
            person.hears(&["press Enter [q: end]"]);
        }
        arm.sweeps(&mut person, joint, 1.0);
        assert_eq!(person.hears(&["do it again", "good."]), 1, "joint {joint}");
    }
    person.hears(&["Type yes"]);
    person.types("yes");
    until(&mut person, "keep their offsets");
    assert!(person.succeeds());

    let config = Config::load(&arm.robot()).expect("still a robot file");
    let path = config.joints_file.clone().expect("the robot file names it");
    let file = JointsFile::load(&path).expect("a sound file");
    for (joint, (zero, sign)) in file.joints.iter().zip(&arm.truth) {
        assert_eq!(joint.reversed, *sign < 0.0, "{}", joint.name);
        let there = (zero + sign * 0.3 * STS.ticks_a_radian()).round() as i64;
        let said = STS.present_ticks(there, joint.homing_offset_ticks);
        let error = (joint.radians(STS, said) - 0.3).to_degrees();
        assert!(error.abs() < 0.2, "{}: {error} degrees", joint.name);
    }
    // A degree is left to the stops, and the servos know it.
    let limits = config.envelope.joints().iter().zip(&arm.stops_rad);
    for (_, (joint, (least, greatest))) in limits.enumerate().filter(|(index, _)| *index != ROLL) {
        assert!(joint.position_min_rad - least > 0.015 && greatest - joint.position_max_rad > 0.015);
    }
    let robot = arm.robot();
    let lerobot = arm.folder.path().join("lerobot.json");
    let arguments = ["calibrate", "to-lerobot", "--robot"].map(OsStr::new);
    let (went_well, said) = runs(&[&arguments[..], &[robot.as_os_str(), lerobot.as_os_str()]].concat());
    assert!(went_well, "{said}");
    let text = std::fs::read_to_string(&lerobot).expect("written");
    assert!(
        text.contains("\"shoulder_pan\"") && text.contains("\"homing_offset\""),
        "{text}"
    );

    let doctor = |arm: &Arm| {
        let arguments = ["doctor", "--robot"].map(OsStr::new);
        let port = arm.end.path();
        let tail = [robot.as_os_str(), "--port".as_ref(), port.as_os_str()];
        // A machine that is busy hears servos late.
        let mut said = String::new();
        for _ in 0..20 {
            said = runs(&[&arguments[..], &tail[..]].concat()).1;
            if !said.contains("not answer") && !said.contains("no answer") {
                break;
            }
        }
        said
    };
    let said = doctor(&arm);
    assert!(said.contains("ok      servo.homing shoulder_pan"), "{said}");
    // Another program has calibrated it since.
    arm.end.change(|wire| {
        let servo = wire.servo(4);
        let offset = servo.get(Feetech::ROLES.homing_offset);
        servo.set(Feetech::ROLES.homing_offset, offset + 9);
    });
    let said = doctor(&arm);
    assert!(said.contains("fail    servo.homing wrist_flex"), "{said}");
    let wire = arm.end.finish().expect("served until now");
    for (servo, joint) in wire.servos.iter().zip(&file.joints) {
        let expected = joint.homing_offset_ticks + if servo.id() == 4 { 9 } else { 0 };
        assert_eq!(servo.get(Feetech::ROLES.homing_offset), expected);
        assert!(!servo.torque_on());
    }
}

#[test]
fn whoever_stops_before_the_end_has_written_nothing() {
    let arm = Arm::new(5);
    let before = std::fs::read(arm.robot()).expect("there");
    let mut person = arm.person("joints");
    person.hears(&["press Enter [q: end]"]);
    person.types("");
    until(&mut person, "press Enter [q: end]");
    arm.sweeps(&mut person, 0, 1.0);
    person.hears(&["press Enter [q: end]"]);
    person.types("q");
    assert!(!person.succeeds());
    assert_eq!(std::fs::read(arm.robot()).expect("there"), before);
    assert_eq!(std::fs::read_dir(arm.folder.path()).expect("there").count(), 1);
    let wire = arm.end.finish().expect("served until now");
    for servo in &wire.servos {
        assert_eq!(servo.get(Feetech::ROLES.homing_offset), 77);
    }
}

#[test]
fn a_joint_that_goes_the_other_way_is_turned_round() {
    let arm = Arm::new(11);
    arm.is_calibrated_but_for(&[2, 5]);
    let begins = || {
        let mut person = arm.person("directions");
        person.hears(&["type yes"]);
        person.types("yes");
        // A machine that is busy hears servos late: the arm is then not opened.
        person.hears_or_ends(&["WILL MOVE"]).map(|_| person)
    };
    let mut person = (0..20).find_map(|_| begins()).expect("it is opened in the end");
    for joint in 0..arm.truth.len() {
        if joint > 0 {
            person.hears(&["WILL MOVE"]);
        }
        let before = arm.motor_ticks(joint);
        person.types("");
        // What a person sees.
        let went = loop {
            let went = arm.motor_ticks(joint) - before;
            if went.abs() > 20.0 {
                break went;
            }
            std::thread::yield_now();
        };
        person.hears(&["Which way did it go first"]);
        let (_, sign) = arm.truth[joint];
        person.types(if went * sign > 0.0 { "p" } else { "o" });
    }
    person.hears(&["elbow_flex: turned round"]);
    person.hears(&["gripper: turned round"]);
    assert!(person.succeeds());
    let file = JointsFile::load(&arm.folder.path().join("my-arm.joints.ron")).expect("a sound file");
    for (joint, (zero, sign)) in file.joints.iter().zip(&arm.truth) {
        assert_eq!(joint.reversed, *sign < 0.0, "{}", joint.name);
        if joint.name != "wrist_roll" {
            let there = (zero + sign * 0.3 * STS.ticks_a_radian()).round() as i64;
            let said = STS.present_ticks(there, joint.homing_offset_ticks);
            let error = (joint.radians(STS, said) - 0.3).to_degrees();
            assert!(error.abs() < 0.3, "{}: {error} degrees", joint.name);
        }
    }
    let wire = arm.end.finish().expect("served until now");
    assert!(
        wire.servos.iter().all(|servo| !servo.torque_on()),
        "it was let go"
    );
}

/// A file of LeRobot's for the shipped arm.
fn lerobots(elbow: (i64, i64), homing: i64) -> String {
    let names = [
        "shoulder_pan",
        "shoulder_lift",
        "elbow_flex",
        "wrist_flex",
        "wrist_roll",
        "gripper",
    ];
    let ranges = [
        (797, 3299),
        (900, 3180),
        elbow,
        (965, 3129),
        (230, 3867),
        (2031, 3282),
    ];
    let entries: Vec<String> = names
        .iter()
        .zip(ranges)
        .enumerate()
        .map(|(index, (name, (low, high)))| {
            format!(
                r#""{name}": {{"id": {}, "drive_mode": 0, "homing_offset": {homing}, "range_min": {low}, "range_max": {high}}}"#,
                index + 1
            )
        })
        .collect();
    format!("{{{}}}", entries.join(", "))
}

#[test]
fn a_calibration_of_lerobots_is_taken_or_refused() {
    let arm = Arm::new(7);
    let json = arm.folder.path().join("mine.json");
    let robot = arm.robot();
    let take = |text: &str, more: &[&str]| {
        std::fs::write(&json, text).expect("written");
        let arguments = ["calibrate", "from-lerobot", "--robot"].map(OsStr::new);
        let more: Vec<&OsStr> = more.iter().map(OsStr::new).collect();
        runs(&[&arguments[..], &[robot.as_os_str(), json.as_os_str()], &more[..]].concat())
    };
    let before = std::fs::read(&robot).expect("there");
    let old = r#"{"homing_offset": [1], "drive_mode": [0], "start_pos": [1], "end_pos": [2], "calib_mode": ["DEGREE"]}"#;
    for (text, words) in [
        (lerobots((3000, 946), 5), "not below"),
        (lerobots((0, 4095), 5), "has stops"),
        (lerobots((946, 3150), 2114), "2047 at most"),
        (old.to_owned(), "old format"),
        ("[]".to_owned(), "is no object"),
    ] {
        let (went_well, said) = take(&text, &[]);
        assert!(!went_well && said.contains(words), "{words}: {said}");
        assert_eq!(std::fs::read(&robot).expect("there"), before);
    }
    let (went_well, said) = take(&lerobots((946, 3150), 5), &[]);
    assert!(went_well, "{said}");
    let config = Config::load(&robot).expect("still a robot file");
    let file = JointsFile::load(&config.joints_file.expect("named")).expect("sound");
    assert_eq!(file.joints[2].range_ticks, (946, 3150));
    assert_eq!(file.joints[2].zero_ticks, 2048);
    assert_eq!(file.joints[0].homing_offset_ticks, 5);
}
