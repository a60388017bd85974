//! Joints of servos: sweeps, what is solved from them, the file that keeps it, and LeRobot's files.

use std::path::Path;

use calibration::servos::lerobot::{self, CalibMode, Doubt, File, Motor, Norm, Old};
use calibration::servos::{Encoder, JointCalibration, JointShape, JointsFile, Solved, Sweep, Verdict};
use robot::philox::Stream;

const STS: Encoder = Encoder::FEETECH_STS;

fn shape(stops_rad: Option<(f32, f32)>) -> JointShape {
    JointShape {
        name: "elbow".to_owned(),
        stops_rad,
    }
}

/// A joint as it really is: angle = sign * (encoder - zero), between its stops.
#[derive(Debug, Clone, Copy)]
struct Truth {
    zero_ticks: f64,
    reversed: bool,
    stops_rad: (f32, f32),
}

impl Truth {
    fn encoder_ticks(&self, position_rad: f64) -> i64 {
        let sign = if self.reversed { -1.0 } else { 1.0 };
        (self.zero_ticks + sign * position_rad * STS.ticks_a_radian()).round() as i64
    }

    /// A person who goes from a pose near the middle to the greater end, then to the lesser.
    fn swept(&self, start_rad: f64, step_rad: f64) -> Sweep {
        let (least, greatest) = (f64::from(self.stops_rad.0), f64::from(self.stops_rad.1));
        let mut sweep = Sweep::new(STS);
        let mut position_rad = start_rad;
        for end in [greatest, least, start_rad] {
            while position_rad != end {
                sweep.push(self.encoder_ticks(position_rad).rem_euclid(4096));
                let left = end - position_rad;
                position_rad = if left.abs() <= step_rad {
                    end
                } else {
                    position_rad + step_rad.copysign(left)
                };
            }
            sweep.push(self.encoder_ticks(position_rad).rem_euclid(4096));
        }
        sweep
    }
}

fn solve(sweep: &Sweep, shape: &JointShape, encoder: Encoder) -> Solved {
    shape.solve(encoder, 3, &sweep.travel().expect("was read"))
}

#[test]
fn five_hundred_arms_are_found_within_two_ticks() {
    let mut draws = Stream::new(7, 0);
    let mut draw = |low: f32, high: f32| draws.range(low, high);
    let mut over_the_seam = 0;
    for arm in 0..500 {
        let least = draw(-2.6, -0.1);
        let truth = Truth {
            zero_ticks: f64::from(draw(0.0, 4096.0)),
            reversed: draw(0.0, 1.0) < 0.5,
            stops_rad: (least, least + draw(0.8, 5.5)),
        };
        let (least, greatest) = truth.stops_rad;
        let start = f64::from(draw(0.6 * least + 0.4 * greatest, 0.4 * least + 0.6 * greatest));
        let step_rad = f64::from((greatest - least) * draw(0.005, 0.09));
        let sweep = truth.swept(start, step_rad);
        over_the_seam += usize::from(sweep.travel().unwrap().crosses_seam(STS));
        let solved = solve(&sweep, &shape(Some(truth.stops_rad)), STS);
        assert_eq!(solved.verdict, Verdict::Good, "arm {arm}: {truth:?}");
        let joint = solved.joint.unwrap();
        assert_eq!(joint.reversed, truth.reversed, "arm {arm}");
        let (low, high) = joint.range_ticks;
        assert!(0 <= low && low < high && high < 4096, "arm {arm}: {joint:?}");
        assert!(joint.homing_offset_ticks.abs() <= 2047, "arm {arm}: {joint:?}");
        for share in [0.0, 0.3, 0.7, 1.0] {
            let there = f64::from(least) + share * f64::from(greatest - least);
            let said = STS.present_ticks(truth.encoder_ticks(there), joint.homing_offset_ticks);
            let error = (joint.radians(STS, said) - there).to_degrees();
            assert!(
                error.abs() < 2.0 * 360.0 / 4096.0,
                "arm {arm}: {error} degrees at {there}"
            );
        }
    }
    assert!(over_the_seam > 100, "{over_the_seam} sweeps went over the seam");
}

#[test]
fn a_joint_without_stops_is_0_at_its_middle_pose() {
    let truth = Truth {
        zero_ticks: 3900.0,
        reversed: true,
        stops_rad: (-2.9, 2.9),
    };
    let solved = solve(&truth.swept(0.0, 0.2), &shape(None), STS);
    assert_eq!(solved.verdict, Verdict::Good);
    let joint = solved.joint.unwrap();
    assert_eq!((joint.range_ticks, joint.residual_rad), ((0, 4095), None));
    let said = STS.present_ticks(truth.encoder_ticks(-1.0), joint.homing_offset_ticks);
    assert!((joint.radians(STS, said) + 1.0).abs() < 2e-3);
}

#[test]
fn a_bad_sweep_is_to_be_done_again() {
    let stops = (-1.6, 1.6);
    let truth = |stops_rad| Truth {
        zero_ticks: 1000.0,
        reversed: false,
        stops_rad,
    };
    let mut short = Sweep::new(STS);
    for ticks in [5, 900, 1700] {
        short.push(ticks);
    }
    let mut whole_turn = Sweep::new(STS);
    for step in 0..60 {
        whole_turn.push((step * 80) % 4096);
    }
    let mut fast = truth(stops).swept(0.0, 0.1);
    fast.push(0);
    fast.push(2040);
    for (what, sweep, encoder, words) in [
        (
            "never moved",
            truth((-0.05, 0.05)).swept(0.0, 0.01),
            STS,
            "moved by",
        ),
        (
            "one end only",
            truth((-0.2, 1.6)).swept(0.0, 0.1),
            STS,
            "all the way to both ends",
        ),
        (
            "another joint's servo",
            truth((-2.2, 2.2)).swept(0.0, 0.1),
            STS,
            "another joint",
        ),
        ("few readings", short, STS, "3 times only"),
        ("too fast", fast, STS, "too fast"),
        ("a whole turn", whole_turn, STS, "`all_round: true`"),
        (
            "a seam that stays",
            truth(stops).swept(0.0, 0.1),
            Encoder::DYNAMIXEL_X,
            "mount the horn",
        ),
    ] {
        let solved = solve(&sweep, &shape(Some(stops)), encoder);
        let said = solved.verdict.to_string();
        assert!(
            !solved.verdict.is_accepted() && said.contains(words),
            "{what}: {said}"
        );
    }
    // Three degrees short of one end.
    let solved = solve(&truth((-1.55, 1.6)).swept(0.0, 0.1), &shape(Some(stops)), STS);
    assert!(matches!(solved.verdict, Verdict::Usable(_)), "{}", solved.verdict);
}

fn example() -> JointsFile {
    let joint = |name: &str, id| JointCalibration {
        name: name.to_owned(),
        id,
        homing_offset_ticks: -812,
        range_ticks: (823, 3205),
        zero_ticks: 2014,
        reversed: id == 2,
        residual_rad: Some(0.012_345_6),
    };
    let joints = vec![joint("pan", 1), joint("lift", 2)];
    JointsFile::new(
        "so101",
        "feetech",
        "2026-01-02T03:04:05Z",
        "a sweep by hand",
        joints,
    )
}

#[test]
fn a_file_says_what_was_put_into_it() {
    let file = example();
    let read = JointsFile::parse(Path::new("arm.joints.ron"), &file.to_text()).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.sha256().len(), 64);
    let (least, greatest) = read.joints[1].travel_rad(STS);
    assert!(
        (least + (3205.0 - 2014.0) / STS.ticks_a_radian()).abs() < 1e-9,
        "{least} {greatest}"
    );
}

#[test]
fn a_file_that_was_changed_or_cannot_be_is_refused() {
    let text = example().to_text();
    let path = Path::new("arm.joints.ron");
    for (from, to, words) in [
        ("823", "824", "was changed"),
        ("pan", "pam", "was changed"),
        ("(\n", "\n", "arm.joints.ron:"),
    ] {
        let error = JointsFile::parse(path, &text.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(words) && error.contains("calibrate joints"),
            "{error}"
        );
    }
    let refused = |change: &dyn Fn(&mut JointCalibration)| {
        let mut joints = example().joints;
        change(&mut joints[0]);
        let file = JointsFile::new("so101", "feetech", "", "", joints);
        JointsFile::parse(path, &file.to_text()).unwrap_err().to_string()
    };
    for (field, error) in [
        (
            "joints[0].range_ticks",
            refused(&|joint| joint.range_ticks = (3, 3)),
        ),
        (
            "joints[0].range_ticks",
            refused(&|joint| joint.range_ticks = (-1, 300)),
        ),
        (
            "joints[0].homing_offset_ticks",
            refused(&|joint| joint.homing_offset_ticks = 2048),
        ),
        ("joints[1].name", refused(&|joint| joint.id = 2)),
        (
            "joints[0].zero_ticks",
            refused(&|joint| joint.zero_ticks = i64::MIN),
        ),
    ] {
        assert!(error.contains(field), "{error}");
    }
    let other = JointsFile::new("so101", "steppers", "", "", Vec::new());
    assert!(JointsFile::parse(path, &other.to_text()).is_err());
}

fn motor(name: &str, id: u8, range: (i64, i64)) -> Motor {
    Motor {
        name: name.to_owned(),
        id,
        drive_mode: false,
        homing_offset: 0,
        range_min: range.0,
        range_max: range.1,
    }
}

/// What LeRobot 0.6.1's own functions gave for these.
#[test]
fn numbers_are_those_of_lerobot() {
    let joint = motor("elbow_flex", 3, (823, 3205));
    let gripper = motor("gripper", 6, (2031, 3499));
    let mirrored = Motor {
        drive_mode: true,
        ..joint.clone()
    };
    for (norm, motor, tick, value) in [
        (Norm::Degrees, &joint, 2900, 77.8901),
        (Norm::Degrees, &joint, 500, -133.099),
        (Norm::Degrees, &mirrored, 2900, 77.8901),
        (Norm::PlusMinus100, &joint, 2900, 74.3913),
        (Norm::PlusMinus100, &joint, 500, -100.0),
        (Norm::PlusMinus100, &mirrored, 2900, -74.3913),
        (Norm::ZeroTo100, &gripper, 2500, 31.9482),
        (Norm::ZeroTo100, &gripper, 4000, 100.0),
    ] {
        let found = norm.value(motor, tick);
        assert!(
            (found - value).abs() < 1e-4 * value.abs(),
            "{norm:?} {tick}: {found}"
        );
    }
    let wide = motor("x", 1, (800, 3300));
    for (norm, motor, value, tick) in [
        (Norm::Degrees, &joint, 77.890_11, 2900),
        (Norm::Degrees, &joint, -45.0, 1502),
        // Its number for tick 2900, which does not lead back there.
        (
            Norm::PlusMinus100,
            &joint,
            Norm::PlusMinus100.value(&joint, 2900),
            2899,
        ),
        (Norm::PlusMinus100, &joint, -250.0, 823),
        (Norm::ZeroTo100, &gripper, 100.0, 3499),
        // The middle of 800 and 3300, less 200 degrees: a goal that no servo has.
        (Norm::Degrees, &wide, -200.0, -225),
    ] {
        assert_eq!(norm.tick(motor, value), tick, "{norm:?} {value}");
    }
}

#[test]
fn the_new_format_is_read_and_written() {
    let file = File::of(&example());
    let text = file.to_text();
    assert!(
        text.contains("\"homing_offset\": -812") && text.contains("\"range_max\": 3205"),
        "{text}"
    );
    let File::New(mut motors) = File::parse(Path::new("arm.json"), &text).unwrap() else {
        panic!("the new format");
    };
    // The order in a file is not promised.
    motors.sort_by_key(|motor| motor.id);
    let File::New(expected) = file else { panic!("new") };
    assert_eq!(motors, expected);
    // As LeRobot has a file of one motor.
    let theirs = r#"{"homing_offset": {"id": 1, "drive_mode": 0, "homing_offset": -5, "range_min": 20, "range_max": 2315}}"#;
    assert!(
        matches!(File::parse(Path::new("x.json"), theirs), Ok(File::New(motors)) if motors[0].homing_offset == -5)
    );
}

#[test]
fn the_old_format_is_read_and_written() {
    let text = r#"{"homing_offset": [-2048, 3072], "drive_mode": [0, 1], "start_pos": [2000, 2031], "end_pos": [3100, 3499],
        "calib_mode": ["DEGREE", "LINEAR"], "motor_names": ["pan", "gripper"]}"#;
    let file = File::parse(Path::new("old.json"), text).unwrap();
    assert_eq!(File::parse(Path::new("old.json"), &file.to_text()).unwrap(), file);
    let File::Old(old) = file else { panic!("old") };
    assert_eq!(old.value(0, 3072), Some(90.0));
    assert!((old.value(1, 2500).unwrap() - 31.948_2).abs() < 1e-4);
    assert_eq!(old.value(2, 0), None);
    let mirrored = Old {
        calib_mode: vec![CalibMode::Degree; 2],
        ..old
    };
    assert_eq!(mirrored.value(1, 1024), Some(180.0));
}

#[test]
fn files_that_are_none_say_which_field() {
    for (text, words) in [
        ("{", "no JSON"),
        ("[]", "is no object"),
        (
            r#"{"pan": {"id": 1, "drive_mode": 0, "homing_offset": 1, "range_min": 3}}"#,
            "`pan.range_max`: is missing",
        ),
        (
            r#"{"pan": {"id": 1, "drive_mode": 0, "homing_offset": 1.5, "range_min": 3, "range_max": 9}}"#,
            "`pan.homing_offset`",
        ),
        (
            r#"{"pan": {"id": 300, "drive_mode": 0, "homing_offset": 1, "range_min": 3, "range_max": 9}}"#,
            "`pan.id`",
        ),
        (
            r#"{"pan": {"id": 1, "drive_mode": 7, "homing_offset": 1, "range_min": 3, "range_max": 9}}"#,
            "`pan.drive_mode`",
        ),
        (
            r#"{"homing_offset": [1, 2], "drive_mode": [0]}"#,
            "the old format",
        ),
        (
            r#"{"homing_offset": [1], "drive_mode": [0], "start_pos": [1], "end_pos": [2], "calib_mode": ["DEGREE"], "motor_names": ["a", "b"]}"#,
            "`motor_names`",
        ),
    ] {
        let error = File::parse(Path::new("so.json"), text).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("so.json"), "{error}");
    }
}

#[test]
fn what_real_files_are_wrong_about_is_found() {
    let arm = [
        (shape(Some((-1.69, 1.69))), 3),
        (
            JointShape {
                name: "wrist_roll".to_owned(),
                stops_rad: None,
            },
            5,
        ),
    ];
    let good = [motor("elbow", 3, (823, 3205)), motor("wrist_roll", 5, (0, 4095))];
    let path = Path::new("calibration/robots/so_follower/mine.json");
    assert_eq!(lerobot::check(path, &good, &arm, STS), []);
    let elbow = |change: &dyn Fn(&mut Motor)| {
        let mut motors = good.to_vec();
        change(&mut motors[0]);
        motors
    };
    let leaders = Path::new("calibration/teleoperators/so_leader/mine.json");
    for (path, motors, doubt, words) in [
        (
            path,
            elbow(&|motor| motor.range_min = 3205),
            Doubt::Refused,
            "not below",
        ),
        (
            path,
            elbow(&|motor| motor.range_max = 1000),
            Doubt::Refused,
            "177 ticks only",
        ),
        (
            path,
            elbow(&|motor| (motor.range_min, motor.range_max) = (0, 4095)),
            Doubt::Refused,
            "has stops",
        ),
        (
            path,
            elbow(&|motor| motor.range_max = 5000),
            Doubt::Refused,
            "more than a turn",
        ),
        (
            path,
            elbow(&|motor| motor.homing_offset = 2048),
            Doubt::Refused,
            "stores 2047 at most",
        ),
        (
            path,
            elbow(&|motor| motor.homing_offset = -2337),
            Doubt::Refused,
            "stores 2047 at most",
        ),
        (path, elbow(&|motor| motor.id = 9), Doubt::Refused, "`id` is 9"),
        (
            path,
            elbow(&|motor| motor.name = "left_elbow".to_owned()),
            Doubt::Refused,
            "no such joint",
        ),
        (path, good[..1].to_vec(), Doubt::Refused, "is not in the file"),
        (leaders, good.to_vec(), Doubt::Ask, "leader"),
    ] {
        let findings = lerobot::check(path, &motors, &arm, STS);
        let found = findings
            .iter()
            .find(|finding| finding.to_string().contains(words))
            .unwrap_or_else(|| panic!("{words}: {findings:?}"));
        assert_eq!(found.doubt, doubt);
    }
}
