//! A plant at the other end of a pipe: here a shell script that says what it is told to.

use std::process::Command;

use devices::{Loopback, ProcessError, ProcessPlant};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{FirmwareLimits, Identity, JointLimits};
use robot::Frame;
use robot::device::Lockstep;
use robot::device::{Joints, Task, View};

const SPEC: &str = r#"{"name": "sh:one", "actuators": [{"name": "slide", "low": -1.0, "high": 2.0}], "period_s": 0.1,
    "action_repeat": 2, "episode_ticks": 5, "software": "sh"}"#;

/// A greeting of protocol `version` with `text`, for `printf`.
fn greeting(version: u32, text: &str) -> String {
    let bytes = version
        .to_le_bytes()
        .into_iter()
        .chain((text.len() as u32).to_le_bytes());
    let numbers: String = bytes.map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf 'ARMP{numbers}'; printf '%s' '{text}'\n")
}

fn plant(script: &str) -> Result<ProcessPlant, ProcessError> {
    ProcessPlant::spawn("sh:one", Command::new("sh").args(["-c", script]))
}

/// Takes a request for a picture and answers it, if it names `side`: an answer of another length would not be understood. The answer
/// of version 2 is to a request without a side.
fn picture(version: u32, side: usize) -> String {
    let bytes = Frame::bytes(side);
    let taken = if version == 2 {
        "head -c 1 >/dev/null".to_owned()
    } else {
        let numbers = [b'P', side as u8, (side >> 8) as u8, 0, 0].map(|byte| byte.to_string());
        format!(
            "[ \"$(head -c 5 | od -An -v -tu1 | xargs)\" = \"{}\" ] || exit 9",
            numbers.join(" ")
        )
    };
    format!("{taken}; printf '\\000'; head -c {bytes} /dev/zero\n")
}

/// Takes a reset (9 bytes) and answers it; then as many steps (5 bytes) with a reward of 1, each with a picture. At the
/// last of them the episode has ended.
fn living(steps: usize) -> String {
    living_at(3, 64, steps)
}

/// The same by `version` of the protocol, with pictures of `side` x `side` pixels.
fn living_at(version: u32, side: usize, steps: usize) -> String {
    let mut script = greeting(version, SPEC);
    let picture = picture(version, side);
    script.push_str("head -c 9 >/dev/null; printf '\\000'\n");
    script.push_str(&picture);
    for step in 1..=steps {
        let ended = u8::from(step == steps);
        script.push_str(&format!(
            "head -c 5 >/dev/null; printf '\\000\\000\\000\\200\\077\\00{ended}'\n"
        ));
        script.push_str(&picture);
    }
    script
}

#[test]
fn its_joints_are_the_controls_it_was_given() {
    let mut plant = plant(&living(1)).unwrap();
    assert_eq!((plant.joint_count(), plant.spec().episode_ticks), (1, 5));
    plant.reset(7).unwrap();
    let mut frame = Frame::default();
    plant.render(&mut frame).unwrap();
    plant.step(&[0.75], true, 0.1).unwrap();
    assert_eq!(plant.reward(), Some(1.0));
    assert_eq!(plant.joints().position_rad[..], [0.75]);
    let problem = plant.step(&[0.75], true, 0.05).unwrap_err().to_string();
    assert!(
        problem.contains("0.1 s") && problem.contains("substeps"),
        "{problem}"
    );
    plant.render(&mut frame).unwrap();
}

#[test]
fn pictures_have_the_side_that_is_asked_for() {
    for side in [64, 96, 128, 256] {
        let mut plant = plant(&living_at(3, side, 1)).unwrap();
        plant.check_side(side).unwrap();
        plant.reset(7).unwrap();
        let mut frame = Frame::new(side);
        frame.rgb_mut().fill(9);
        plant.render(&mut frame).unwrap();
        assert!(frame.rgb().iter().all(|byte| *byte == 0), "{side}");
        plant.step(&[0.75], true, 0.1).unwrap();
        plant.render(&mut frame).unwrap();
    }
}

#[test]
fn a_package_of_before_draws_its_side_and_refuses_others_in_words() {
    let mut plant = plant(&living_at(2, 64, 1)).unwrap();
    plant.check_side(64).unwrap();
    plant.reset(7).unwrap();
    let mut frame = Frame::default();
    plant.render(&mut frame).unwrap();
    // Nothing is asked of the process: what it answers would be a picture of 64 x 64.
    for problem in [
        plant.check_side(96).unwrap_err().to_string(),
        plant.render(&mut Frame::new(96)).unwrap_err().to_string(),
    ] {
        for part in ["`capture.side`", "96", "64x64", "pip install --upgrade"] {
            assert!(problem.contains(part), "no {part} in {problem}");
        }
    }
    plant.step(&[0.75], true, 0.1).unwrap();
    plant.render(&mut frame).unwrap();
}

#[test]
fn an_end_in_the_middle_of_an_episode_is_an_error_of_the_rig() {
    let limits = FirmwareLimits::new(&[JointLimits {
        position_min_rad: -1.0,
        position_max_rad: 2.0,
        velocity_max_rad_s: 100.0,
        acceleration_max_rad_s2: 1000.0,
    }]);
    let options = ArmOptions {
        period_s: 0.1,
        substeps: 1,
        limits: limits.unwrap(),
        watchdog_us: 250_000,
        torque_grace_us: 1_000_000,
        jump_max_rad: 3.0,
        validity_max_us: 1_000_000,
        identity: Identity::default(),
    };
    let mut rig = Loopback::new(plant(&living(2)).unwrap(), &options);
    let mut frame = Frame::default();
    rig.reset(1, &mut frame).unwrap();
    for (control, ended) in [(1.5, false), (-1.0, true)] {
        let observation = rig.step(&[control], &mut frame).unwrap();
        assert_eq!(observation.ended, ended);
        assert_eq!(observation.reward, Some(1.0));
        // What firmware and wire made of it is what was asked for.
        assert_eq!(observation.set_point_rad[..], [control]);
        assert_eq!(observation.joints.position_rad[..], [control]);
    }
    let problem = rig.step(&[0.0], &mut frame).unwrap_err();
    assert!(problem.downcast_ref::<ProcessError>().is_some(), "{problem:?}");
    assert!(problem.to_string().contains("sh:one"), "{problem}");
}

#[test]
fn what_the_environment_says_is_passed_on() {
    let broken = "no such task; it has cartpole-balance";
    let problem = plant(&greeting(0, broken)).unwrap_err().to_string();
    assert!(problem.contains(broken), "{problem}");

    let mut script = greeting(3, SPEC);
    script.push_str("head -c 9 >/dev/null; printf '\\001\\010\\000\\000\\000it broke'\n");
    let problem = plant(&script).unwrap().reset(1).unwrap_err().to_string();
    assert!(problem.contains("resetting: it broke"), "{problem}");
}

#[test]
fn a_reward_that_is_no_number_is_refused() {
    // NaN and infinity, least significant byte first.
    for (bytes, words) in [("\\000\\000\\300\\177", "NaN"), ("\\000\\000\\200\\377", "-inf")] {
        let script = greeting(3, SPEC) + &format!("head -c 5 >/dev/null; printf '\\000{bytes}\\000'\n");
        let mut plant = plant(&script).unwrap();
        let problem = plant.step(&[0.0], true, 0.1).unwrap_err().to_string();
        assert!(problem.contains("sh:one") && problem.contains(words), "{problem}");
    }
}

#[test]
fn remarks_come_with_the_spec() {
    let spec = SPEC.replace(r#""sh"}"#, r#""sh", "remarks": ["its dt is assumed"]}"#);
    let with = plant(&greeting(3, &spec)).unwrap();
    assert_eq!(with.spec().remarks, ["its dt is assumed"]);
    assert!(plant(&greeting(3, SPEC)).unwrap().spec().remarks.is_empty());
}

#[test]
fn what_is_no_plant_is_refused() {
    for (script, words) in [
        ("echo hello, this is no plant".to_owned(), "greet"),
        (greeting(9, SPEC), "version 9"),
        (greeting(3, "{}"), "spec cannot be read"),
        (greeting(3, &SPEC.replace("2.0", "-2.0")), "cannot be driven"),
        (greeting(3, &SPEC.replace("2.0", "-1.0")), "from -1 to -1"),
        // The difference of both is no finite number.
        (
            greeting(3, &SPEC.replace("-1.0", "-3e38").replace("2.0", "3e38")),
            "cannot be driven",
        ),
        (greeting(3, &SPEC.replace("2.0", "1e300")), "spec cannot be read"),
        (greeting(3, &SPEC.replace("0.1", "0.0")), "control period is 0 s"),
        (
            "true".to_owned(),
            "waiting for its environment: its process ended (exit status: 0)",
        ),
        ("exit 7".to_owned(), "its process ended (exit status: 7)"),
        ("kill -9 $$".to_owned(), "its process ended (signal: 9"),
    ] {
        let problem = plant(&script).unwrap_err().to_string();
        assert!(problem.contains(words) && problem.contains("sh:one"), "{problem}");
    }
}

#[test]
fn one_that_hangs_at_its_end_is_ended() {
    // It closes its end of the pipe, and stays.
    let script = format!("{}exec >&-; exec sleep 100000", greeting(3, SPEC));
    let (done, waiting) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .spawn(move || {
            drop(plant(&script).unwrap());
            let _ = done.send(());
        })
        .unwrap();
    waiting
        .recv_timeout(std::time::Duration::from_secs(60))
        .expect("nobody waits for ever");
}
