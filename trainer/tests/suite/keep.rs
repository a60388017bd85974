//! What a person has lying about in a folder that is named as output stays.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::logs;

const OWN: &[u8] = b"three years of work, and no file of this program";

/// What earlier versions wrote, without a mark.
const EARLIER_LOSSES: &[u8] =
    b"update,loss,image,joints,reward_mse,kl,global_kl,overshooting_kl,open_loop_reward_mse,\
open_loop_image,open_loop_joints,gradient_norm,learning_rate\n1,5.5,0,0,0,0,0,0,0,0,0,0,0.001\n";

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
    for (name, own) in [
        ("checkpoint.safetensors", OWN),
        ("losses.csv", OWN),
        ("losses.csv", b"u"),
        ("losses.csv", EARLIER_LOSSES),
        ("frames.cache", OWN),
        ("frames.index", OWN),
        ("open-loop.png", OWN),
        ("open-loop.gif", OWN),
        ("traversal.png", OWN),
        ("pictures-update.txt", OWN),
        ("pictures-update.txt", b"12"),
    ] {
        let path = out.join(name);
        fs::write(&path, own).expect("writes");
        let output = train("3");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(
            said.contains(name) && !said.contains("panicked"),
            "{name}: {said}"
        );
        assert_eq!(fs::read(&path).expect("is there"), own, "{name}");
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

/// Beside a checkpoint, files that earlier versions left without a mark are taken, and get one. Others of their names are left alone.
#[test]
fn a_run_of_an_earlier_version_goes_on_and_files_of_others_beside_it_stay() {
    let runs = logs(4, 20);
    let dir = tempfile::tempdir().expect("temporary folder");
    let (preset, out) = (dir.path().join("preset.ron"), dir.path().join("out"));
    fs::write(&preset, super::SMALL).expect("writes");
    let train = |until: &str| {
        trainer(
            &["train", "--threads", "1", "--until", until],
            &[("--runs", runs.path()), ("--preset", &preset), ("--out", &out)],
        )
    };
    assert!(train("3").status.success());
    let losses = out.join("losses.csv");
    let marked = fs::read_to_string(&losses).expect("losses");
    // As the earlier version left them.
    let column = format!(",{}", String::from_utf8_lossy(files::MARK));
    let earlier: String = marked
        .lines()
        .flat_map(|line| {
            [
                line.strip_suffix(&column).unwrap_or(line).trim_end_matches(','),
                "\n",
            ]
        })
        .collect();
    assert!(marked.contains(&column) && !earlier.contains(&column));
    for (name, own) in [
        ("losses.csv", &b"update,loss\n1,my own losses\n"[..]),
        ("open-loop.png", OWN),
        ("traversal.png", OWN),
        ("pictures-update.txt", OWN),
    ] {
        let path = out.join(name);
        let was = fs::read(&path).ok();
        fs::write(&path, own).expect("writes");
        let output = train("6");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(name), "{said}");
        assert_eq!(fs::read(&path).expect("is there"), own, "{name}");
        match was {
            Some(was) => fs::write(&path, was).expect("writes"),
            None => fs::remove_file(&path).expect("removes"),
        }
    }
    fs::write(&losses, &earlier).expect("writes");
    fs::write(out.join("pictures-update.txt"), "3").expect("writes");
    let output = train("12");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let after = fs::read_to_string(&losses).expect("losses");
    assert!(after.starts_with(&marked), "{after}");
    assert_eq!(after.lines().count(), 13);
    let drawn_at = fs::read_to_string(out.join("pictures-update.txt")).expect("is there");
    assert!(
        drawn_at.starts_with("12\n") && files::is_marked(drawn_at.as_bytes()),
        "{drawn_at}"
    );
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
    // Under the name of the cache of frames, too.
    fs::create_dir(&out).expect("makes the folder");
    let cache = out.join("frames.cache");
    std::os::unix::fs::symlink("/dev/null", &cache).expect("makes a link");
    let output = trainer(
        &["train", "--threads", "1", "--until", "1"],
        &[("--runs", runs.path()), ("--preset", &preset), ("--out", &out)],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("frames.cache") && said.contains("left as it is"),
        "{said}"
    );
    fs::remove_file(&cache).expect("removes");
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
