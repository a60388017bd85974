//! Arms whose joints are where a calibration found them.

use std::path::Path;
use std::sync::Arc;

use calibration::servos::{Encoder, JointCalibration, JointsFile};
use devices::Arm;
use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::servos::{FeetechSettings, encoder};
use robot::Config;
use robot::device::Joints as _;

#[test]
fn both_families_are_as_the_calibration_has_them() {
    assert_eq!(encoder::<Feetech>(), Encoder::FEETECH_STS);
    assert_eq!(encoder::<Dynamixel>(), Encoder::DYNAMIXEL_X);
}

#[test]
fn emulated_servos_say_what_the_calibration_computes() {
    fn check<P: Emulated>() {
        let roles = P::ROLES;
        for encoder_ticks in [0_i64, 1, 700, 2047, 2048, 4095] {
            for offset in [-900, -1, 0, 5, 1000] {
                let mut servo = EmulatedServo::<P>::new(1, encoder_ticks as u16).with_homing(offset);
                let present = servo.get(roles.present_position);
                assert_eq!(present, encoder::<P>().present_ticks(encoder_ticks, offset));
                assert_eq!(encoder::<P>().encoder_ticks(present, offset), encoder_ticks);
                // Turned on by hand, over the seam or not.
                servo.motor_mut().position_ticks += 4096.0 + 17.0;
                servo.advance(1_000);
                assert_eq!(
                    servo.get(roles.present_position),
                    encoder::<P>().present_ticks(encoder_ticks + 17, offset)
                );
            }
        }
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

/// The shipped planar arm, of two servos, beside a file of joints in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
}

const OFFSETS: [i64; 2] = [-700, 1500];

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Writes a file of joints that reach from -2.95 to 2.95 rad, changed by `change`.
    fn joints(&self, change: impl Fn(&mut Vec<JointCalibration>), robot: &str, servos: &str) {
        let half = (2.95 * Encoder::FEETECH_STS.ticks_a_radian()) as i64;
        let joint = |(index, name): (usize, &str)| JointCalibration {
            name: name.to_owned(),
            id: index as u8 + 1,
            homing_offset_ticks: if servos == "feetech" { OFFSETS[index] } else { 0 },
            range_ticks: (2048 - half, 2048 + half),
            zero_ticks: 2048,
            reversed: index == 1,
            residual_rad: Some(0.0),
        };
        let names: Vec<String> = self
            .config("")
            .envelope
            .joints()
            .iter()
            .map(|joint| joint.name.clone())
            .collect();
        let mut joints = names.iter().map(String::as_str).enumerate().map(joint).collect();
        change(&mut joints);
        let file = JointsFile::new(robot, servos, "", "", joints);
        std::fs::write(self.folder.path().join("arm.joints.ron"), file.to_text()).expect("written");
    }

    fn config(&self, servo: &str) -> Config {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
        let text = std::fs::read_to_string(shipped).expect("the shipped robot file");
        let arm = format!(
            "arm: feetech(port: \"p\", servos: [(id: 1{servo}), (id: 2)]), calibration: (joints: \"arm.joints.ron\"),"
        );
        let text = text.replace("    capture: (", &format!("    {arm}\n    capture: ("));
        Config::parse(&self.folder.path().join("arm.ron"), text).expect("a sound robot file")
    }

    fn settings(config: &Config) -> FeetechSettings {
        match Arm::of(config, None).expect("an arm") {
            Arm::Feetech(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    fn line(offsets: [i64; 2]) -> MemoryLine<Feetech> {
        let servos = (1..).zip(offsets).map(|(id, offset)| {
            let encoder_ticks = Encoder::FEETECH_STS.encoder_ticks(2148, offset);
            EmulatedServo::new(id, encoder_ticks as u16).with_homing(offset)
        });
        MemoryLine::new(EmulatedBus::new(1_000_000, servos.collect()))
    }
}

#[test]
fn an_arm_is_where_its_calibration_says() {
    let bench = Bench::new();
    let config = bench.config("");
    bench.joints(|_| {}, &config.name, "feetech");
    let arm = Bench::settings(&config)
        .on_line(Bench::line(OFFSETS), &config, Arc::default())
        .expect("its offsets are those of the file");
    let a_hundred_ticks = (100.0 / Encoder::FEETECH_STS.ticks_a_radian()) as f32;
    let position = arm.joints().position_rad;
    assert!((position[0] - a_hundred_ticks).abs() < 1e-4, "{position:?}");
    assert!((position[1] + a_hundred_ticks).abs() < 1e-4, "{position:?}");
}

#[test]
fn another_offset_is_refused_and_nothing_is_written() {
    let bench = Bench::new();
    let config = bench.config("");
    bench.joints(|_| {}, &config.name, "feetech");
    let settings = Bench::settings(&config);
    let joints = settings.joints(&config).expect("a sound file");
    let mut by_hand = settings
        .by_hand(Bench::line([-700, 1499]), joints.clone())
        .expect("both servos are there");
    let encoder_ticks = by_hand.encoder_ticks(1).expect("it answers");
    assert_eq!(encoder_ticks, Encoder::FEETECH_STS.encoder_ticks(2148, 1499));
    let line = by_hand.into_line();
    let error = settings
        .on_line_as(line, joints, Arc::default())
        .expect_err("another offset");
    let said = error.to_string();
    for words in ["servo 2", "1499", "1500", "calibrate joints"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let bench = Bench::new();
    let config = bench.config("");
    let name = config.name.clone();
    let said = |servo: &str| {
        let config = bench.config(servo);
        Bench::settings(&config)
            .joints(&config)
            .expect_err("it does not fit")
            .to_string()
    };
    // It is not there yet.
    assert!(said("").contains("arm.joints.ron"), "{}", said(""));
    bench.joints(|_| {}, "another", "feetech");
    assert!(said("").contains("`robot`"), "{}", said(""));
    bench.joints(|_| {}, &name, "dynamixel");
    assert!(said("").contains("`servos`"), "{}", said(""));
    type Change = fn(&mut Vec<JointCalibration>);
    let changes: [(Change, &str); 4] = [
        (|joints| joints.truncate(1), "`joints`"),
        (|joints| joints.swap(0, 1), "`joints[0]`"),
        (|joints| joints[1].id = 9, "`joints[1]`"),
        (
            |joints| joints[0].range_ticks = (1000, 2100),
            "`joints[0].position_rad`",
        ),
    ];
    for (change, words) in changes {
        bench.joints(change, &name, "feetech");
        assert!(said("").contains(words), "{words}: {}", said(""));
    }
    bench.joints(|_| {}, &name, "feetech");
    for (servo, words) in [
        (", zero_ticks: 2048", "`arm.servos[0].zero_ticks`"),
        (", reversed: true", "`arm.servos[0].reversed`"),
    ] {
        assert!(said(servo).contains(words), "{}", said(servo));
    }
}
