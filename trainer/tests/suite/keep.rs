//! What a person has lying about in a folder that is named as output stays.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::logs;

const OWN: &[u8] = b"three years of work, and no file of this program";

fn trainer(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "300", env!("CARGO_BIN_EXE_armillary-train")]);
    command.args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().expect("the trainer starts")
}

#[test]
fn a_training_run_replaces_only_files_of_its_own() {
    let runs = logs(4, 20);
    let dir = tempfile::tempdir().expect("temporary folder");
    let (preset, out) = (dir.path().join("preset.ron"), dir.path().join("out"));
    fs::write(&preset, super::SMALL).expect("writes");
    fs::create_dir(&out).expect("makes the folder");
    let train = |until: &str| {
        trainer(
            &[
                "train",
                "--threads",
                "1",
                "--checkpoint-every",
                "3",
                "--until",
                until,
            ],
            &[("--runs", runs.path()), ("--preset", &preset), ("--out", &out)],
        )
    };
    // Names that a run writes to: each is looked at before anything is trained.
    for name in [
        "checkpoint.safetensors",
        "losses.csv",
        "frames.cache",
        "frames.index",
        "open-loop.png",
        "open-loop.gif",
        "traversal.png",
        "pictures-update.txt",
    ] {
        let path = out.join(name);
        fs::write(&path, OWN).expect("writes");
        let output = train("3");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(
            said.contains(name) && !said.contains("panicked"),
            "{name}: {said}"
        );
        assert_eq!(fs::read(&path).expect("is there"), OWN, "{name}");
        assert!(
            !out.join("losses.csv").exists() || name == "losses.csv",
            "{name}: something was trained"
        );
        fs::remove_file(&path).expect("removes");
    }
    // Names that a program might grab while it writes.
    let own = [
        "checkpoint.partial",
        "checkpoint.before.partial",
        "losses.partial",
        "frames.index.partial",
        "checkpoint.safetensors.tmp",
    ];
    for name in own {
        fs::write(out.join(name), OWN).expect("writes");
    }
    for until in ["6", "12"] {
        let output = train(until);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for name in own {
        assert_eq!(fs::read(out.join(name)).expect("is there"), OWN, "{name}");
    }
    let page = out.join("report.html");
    let report = || {
        Command::new(env!("CARGO_BIN_EXE_armillary-train"))
            .arg("report")
            .arg(&out)
            .output()
            .expect("the trainer starts")
            .status
            .success()
    };
    assert!(report() && report(), "a report takes the place of a report");
    fs::write(&page, OWN).expect("writes");
    assert!(!report());
    assert_eq!(fs::read(&page).expect("is there"), OWN);
    // The checkpoint before the last, too.
    let before = out.join("checkpoint.before.safetensors");
    fs::write(&before, OWN).expect("writes");
    assert!(trainer::checkpoint::keep(&out.join("checkpoint.safetensors")).is_err());
    assert_eq!(fs::read(&before).expect("is there"), OWN);
}

#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let runs = logs(2, 20);
    let dir = tempfile::tempdir().expect("temporary folder");
    let (preset, out, pipe) = (
        dir.path().join("preset.ron"),
        dir.path().join("out"),
        dir.path().join("pipe"),
    );
    fs::write(&preset, super::SMALL).expect("writes");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("starts")
            .success()
    );
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        for (arguments, paths) in [
            (
                "train",
                vec![
                    ("--runs", runs.path()),
                    ("--preset", path),
                    ("--out", out.as_path()),
                ],
            ),
            (
                "export",
                vec![
                    ("--checkpoint", path),
                    ("--robot", Path::new("configs/sim-planar.ron")),
                    ("--out", &out),
                ],
            ),
        ] {
            let mut command = Command::new("timeout");
            command
                .args([
                    "--signal=KILL",
                    "300",
                    env!("CARGO_BIN_EXE_armillary-train"),
                    arguments,
                ])
                .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
            for (flag, path) in paths {
                command.arg(flag).arg(path);
            }
            let output = command.output().expect("the trainer starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(
                said.contains(&path.display().to_string()) && said.contains("not a regular file"),
                "{said}"
            );
        }
    }
}
