//! The hardware suite on every rig that something stands in for. What it checks on a bench, it checks here.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use armillary::doctor::rig::{ArmStandIn, Rig};
use armillary::doctor::{Examination, Finding, State, System, full};
use robot::SystemClock;
use robot::device::Signals;

/// How often a rig is tried: on a machine that is busy, a servo's answer may come too late.
const ATTEMPTS: usize = 3;

fn rigs() -> Vec<PathBuf> {
    let folder = crate::root().join("tests/rigs");
    let mut rigs: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of rigs")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .collect();
    rigs.sort();
    rigs
}

fn run(rig: &Rig) -> Vec<Finding> {
    run_with(rig, &Signals::default(), &|_| {})
}

/// `told` hears of each finding.
fn run_with(rig: &Rig, signals: &Signals, told: &dyn Fn(&Finding)) -> Vec<Finding> {
    let mut told = |finding: &Finding| told(finding);
    let mut examination = Examination::new(&mut told);
    full::examine(
        &mut examination,
        &System::default(),
        rig,
        &SystemClock::default(),
        signals,
        &mut || Ok(true),
    )
    .expect("what stands in starts");
    examination.findings().to_vec()
}

fn failed(findings: &[Finding]) -> Vec<&Finding> {
    findings
        .iter()
        .filter(|finding| finding.state == State::Fail)
        .collect()
}

fn states(findings: &[Finding], name: &str) -> Vec<State> {
    findings
        .iter()
        .filter(|finding| finding.name == name)
        .map(|finding| finding.state)
        .collect()
}

#[test]
fn every_rig_that_something_stands_in_for_passes_the_suite() {
    let mut ran = 0;
    for path in rigs() {
        let rig = Rig::load(&path).expect("a sound rig file");
        let Some(arm) = rig.arm else { continue };
        ran += 1;
        let mut findings = Vec::new();
        for _ in 0..ATTEMPTS {
            findings = run(&rig);
            if failed(&findings).is_empty() {
                break;
            }
        }
        assert!(failed(&findings).is_empty(), "{}: {findings:#?}", path.display());
        // Nothing was left out.
        let joints = rig.config.joint_count();
        assert_eq!(states(&findings, "arm.moves"), vec![State::Ok; joints]);
        for name in [
            "arm.handshake",
            "arm.reports",
            "arm.watchdog",
            "arm.e_stop",
            "arm.reopens",
            "arm.afterwards",
            "camera.rate",
            "camera.age",
            "camera.picture",
        ] {
            assert!(
                states(&findings, name).contains(&State::Ok),
                "{name}: {findings:#?}"
            );
        }
        let unplugged = match arm {
            ArmStandIn::EmulatedServos { .. } => State::Ok,
            ArmStandIn::Simulator => State::Skipped,
        };
        assert_eq!(states(&findings, "arm.unplugged"), [unplugged]);
    }
    assert!(ran >= 2, "rigs were found");
}

#[test]
fn an_arm_of_which_something_is_wrong_is_not_moved() {
    let mut rig = Rig::load(&crate::root().join("tests/rigs/emulated-so101.ron")).expect("a sound rig file");
    rig.arm = Some(ArmStandIn::EmulatedServos { supply_v: 15.5 });
    rig.camera = None;
    let findings = run(&rig);
    assert!(
        states(&findings, "servo.supply").contains(&State::Fail),
        "{findings:#?}"
    );
    assert_eq!(states(&findings, "arm.moves"), [State::Skipped]);
    assert_eq!(states(&findings, "arm.handshake"), []);
}

#[test]
fn a_person_ends_the_suite_while_the_arm_holds() {
    let rig = Rig::load(&crate::root().join("tests/rigs/simulated-planar.ron")).expect("a sound rig file");
    for e_stop in [false, true] {
        let signals = Signals::default();
        let asked = if e_stop { &signals.e_stop } else { &signals.stop };
        // It was told to hold, and its reports were counted.
        let findings = run_with(&rig, &signals, &|finding| {
            if finding.name == "arm.reports" {
                asked.store(true, Ordering::SeqCst);
            }
        });
        assert_eq!(
            states(&findings, "arm.interrupted"),
            [State::Fail],
            "{findings:#?}"
        );
        assert_eq!(states(&findings, "arm.moves"), []);
    }
}

#[test]
fn rig_files_are_refused_by_field() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let sound =
        std::fs::read_to_string(crate::root().join("tests/rigs/emulated-so101.ron")).expect("a rig file");
    for (from, to, parts) in [
        ("move_rad: 0.1", "move_rad: 2.0", &["bounds.move_rad", "2"][..]),
        ("width_px: 320", "width_px: 1", &["camera", "1x240"]),
        ("bounds: (", "bound: (", &["bound", "rig file"]),
        (
            "emulated_servos(supply_v: 12.0)",
            "simulator",
            &["camera of its own"],
        ),
        (
            "name: \"so101-emulated\"",
            "nam: \"x\"",
            &["field `robot`", "nam"],
        ),
    ] {
        assert!(sound.contains(from), "no {from}");
        let path = dir.path().join("rig.ron");
        std::fs::write(&path, sound.replacen(from, to, 1)).expect("writes");
        let error = format!("{:#}", Rig::load(&path).expect_err("refused"));
        for part in parts {
            assert!(error.contains(part), "{to}: no `{part}` in: {error}");
        }
    }
    let error = Rig::load(Path::new("dmc:cartpole-balance"))
        .expect_err("an environment")
        .to_string();
    assert!(
        error.contains("tests/rigs") && error.contains("record --rig"),
        "{error}"
    );
}
