//! Robot files that were damaged, or made by somebody who means harm: each is refused with an error, or describes an arm that can be
//! driven. None stops the program.

use std::panic::catch_unwind;
use std::path::Path;

use armillary::simulation::Simulation;
use devices::{Arm, Camera};
use firmware_bridge::arm::ArmOptions;
use robot::Config;
use robot::philox::Stream;

use crate::changes::mutate;
use crate::root;

/// Everything that is made of a robot file before a device is opened. Returns whether the file is a sound one.
fn use_file(path: &Path, bytes: Vec<u8>) -> bool {
    let Ok(text) = files::text(bytes) else {
        return false;
    };
    let Ok(config) = Config::parse(path, text) else {
        return false;
    };
    // Each is an arm or camera, or an error; whichever it is, nothing is opened.
    let _ = Arm::of(&config, None);
    let _ = Camera::of(&config, None);
    let _ = Simulation::of(&config);
    let _ = ArmOptions::from_config(&config);
    let _ = calibration::picture::PictureSettings::of(&config, 640, 480);
    true
}

fn shipped() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    ["sim-arm", "sim-planar", "so101"]
        .map(|name| root().join(format!("configs/{name}.ron")))
        .into_iter()
        .map(|path| (path.clone(), files::read(&path).expect("a shipped robot file")))
        .collect()
}

fn random_files(trials: u64) -> u64 {
    let shipped = shipped();
    let mut sound = 0;
    for seed in 0..trials {
        let mut stream = Stream::new(seed, 0x5EED);
        let (path, bytes) = &shipped[seed as usize % shipped.len()];
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut stream);
        let used = catch_unwind(|| use_file(path, bytes.clone()));
        sound += u64::from(
            used.unwrap_or_else(|_| panic!("seed {seed} panics:\n{}", String::from_utf8_lossy(&bytes))),
        );
    }
    sound
}

#[test]
fn robot_files_that_were_changed_at_random_never_panic() {
    let sound = random_files(3_000);
    // Comments and harmless numbers can change; most of the rest is noticed.
    assert!((1..2_900).contains(&sound), "{sound} of 3000 are sound");
}

#[test]
#[ignore = "takes minutes"]
fn many_robot_files_that_were_changed_at_random_never_panic() {
    const TRIALS: u64 = 1_000_000;
    let sound = random_files(TRIALS);
    println!("{TRIALS} robot files that were changed at random: 0 panics, {sound} still describe an arm");
}

#[test]
fn a_hundred_thousand_parentheses_are_refused_in_any_field() {
    let (path, bytes) = shipped().remove(1);
    let sound = String::from_utf8(bytes).expect("text");
    for (open, close) in [("(", ")"), ("[", "]"), ("Some(", ")"), ("{1:", "}"), ("/*", "*/")] {
        let nested = open.repeat(100_000) + &close.repeat(100_000);
        for (from, to) in [
            ("period_s: 0.1", format!("period_s: {nested}")),
            ("period_s: 0.1", format!("unknown: {nested}, period_s: 0.1")),
            // Kept as text at first, and read by who knows the device.
            ("period_s: 0.1", format!("arm: {nested}, period_s: 0.1")),
            (
                "period_s: 0.1",
                format!("camera: webcam(device: {nested}), period_s: 0.1"),
            ),
        ] {
            assert!(sound.contains(from));
            let text = sound.replacen(from, &to, 1);
            match Config::parse(&path, text) {
                Err(error) => assert!(error.to_string().contains("sim-planar.ron"), "{error}"),
                Ok(config) => {
                    let problems = [
                        Arm::of(&config, None).err().map(|error| error.to_string()),
                        Camera::of(&config, None).err().map(|error| error.to_string()),
                    ];
                    assert!(
                        problems.iter().any(Option::is_some),
                        "{open}: {to:.60} is accepted"
                    );
                }
            }
        }
        assert!(Config::parse(&path, nested).is_err());
    }
}
