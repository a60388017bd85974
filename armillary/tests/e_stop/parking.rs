//! Signals that end a run whose arm has a park pose.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::{drive, start};

/// What is said before the arm is led to its park pose.
const GOES: &str = "goes to its park pose";

/// A simulated arm whose way to its park pose takes many seconds.
fn far_from_its_pose() -> crate::Sim {
    let sim = start();
    let path = sim.dir.path().join("robot.ron");
    let robot = fs::read_to_string(&path).expect("the robot file");
    let park = "    park: (pose_rad: [1.5, 1.5], speed_rad_s: 0.05),\n    capture: (";
    fs::write(&path, robot.replacen("    capture: (", park, 1)).expect("writes");
    sim
}

#[test]
fn an_arm_is_not_led_to_its_park_pose_when_nobody_may_be_there() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let sim = far_from_its_pose();
        let mut run = drive(&sim, Stdio::piped());
        run.signal(signal);
        let mut said = String::new();
        let mut stdout = run.child.stdout.take().expect("piped");
        stdout.read_to_string(&mut said).expect("it ends");
        let (code, message) = run.end();
        assert_eq!(code, Some(1), "{signal}: {message}");
        assert!(
            message.contains("interrupted; the arm was stopped"),
            "{signal}: {message}"
        );
        assert!(!said.contains(GOES), "{signal}: {said}");
    }
}

/// The first interrupt ends the run, and the next one the way to the pose. Neither is the second that ends the program at once.
#[test]
fn an_interrupt_on_the_way_to_the_park_pose_stops_the_arm_in_order() {
    let sim = far_from_its_pose();
    let mut run = drive(&sim, Stdio::piped());
    run.signal(Signal::SIGINT);
    let stdout = run.child.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    let goes = lines.find(|line| line.as_ref().expect("it speaks").contains(GOES));
    assert!(goes.is_some(), "{:?}", run.end());
    run.signal(Signal::SIGINT);
    let rest: Vec<String> = lines.map(|line| line.expect("it speaks")).collect();
    let (code, message) = run.end();
    assert_eq!(code, Some(1), "{message}; {rest:?}");
    // On a busy machine it may come before the arm was heard, which is awaited first.
    let ended = ["park.pose_rad", "interrupted while the arm was awaited"];
    assert!(ended.iter().any(|words| message.contains(words)), "{message}");
    assert!(sim.dir.path().join("logs/report.html").exists(), "{message}");
}
