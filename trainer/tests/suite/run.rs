//! What a run leaves for people: pictures, a page, and, when it goes wrong, the batch it went wrong on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::logs;

/// A preset and a place for the run.
fn folder(preset: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (path, out) = (dir.path().join("preset.ron"), dir.path().join("out"));
    std::fs::write(&path, preset).expect("writes");
    (dir, path, out)
}

fn trainer(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_armillary-train"));
    command.args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().expect("the trainer starts")
}

#[test]
fn a_run_leaves_pictures_and_a_page() {
    let runs = logs(4, 20);
    let (_dir, preset, out) = folder(super::SMALL);
    let paths = [
        ("--runs", runs.path()),
        ("--preset", preset.as_path()),
        ("--out", out.as_path()),
    ];
    assert!(trainer(&["train", "--threads", "1"], &paths).status.success());
    for (file, begins) in [
        ("open-loop.png", &b"\x89PNG"[..]),
        ("open-loop.gif", b"GIF89a"),
        ("traversal.png", b"\x89PNG"),
    ] {
        let bytes = std::fs::read(out.join(file)).expect("drawn");
        assert!(bytes.starts_with(begins) && bytes.len() > 500, "{file}");
    }
    let events = std::fs::read_dir(out.join("tensorboard"))
        .expect("events")
        .flatten()
        .next()
        .expect("a file");
    let events = std::fs::read(events.path()).expect("reads");
    for tag in [
        "open_loop_video",
        "traversal",
        "encoder.0.weight",
        "loader_wait_s",
    ] {
        assert!(
            events.windows(tag.len()).any(|window| window == tag.as_bytes()),
            "{tag}"
        );
    }
    let output = Command::new(env!("CARGO_BIN_EXE_armillary-train"))
        .arg("report")
        .arg(&out)
        .output();
    assert!(output.expect("runs").status.success());
    let page = std::fs::read_to_string(out.join("report.html")).expect("a page");
    for part in [
        "<h2>loss</h2>",
        "<polyline",
        "data:image/gif;base64",
        "learning_rate",
        "square",
        " After update 12.<",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

/// The weights that a far too high rate leaves behind are saved, as nobody knows them yet, and given up for those before them.
#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch_and_a_good_checkpoint() {
    let runs = logs(4, 20);
    let (_dir, preset, out) = folder(super::SMALL);
    let paths = [
        ("--runs", runs.path()),
        ("--preset", preset.as_path()),
        ("--out", out.as_path()),
    ];
    let hot = super::SMALL.replacen("learning_rate: 1.0e-3", "learning_rate: 1.0e9", 1);
    std::fs::write(&preset, &hot).expect("writes");
    // Before there is any checkpoint, too, it is said what went wrong.
    let never = trainer(&["train", "--threads", "1"], &paths);
    let said = String::from_utf8_lossy(&never.stderr);
    assert!(
        said.contains("before the first checkpoint") && said.contains("usually a number"),
        "{said}"
    );
    std::fs::write(&preset, super::SMALL).expect("writes");
    let first = trainer(&["train", "--threads", "1", "--until", "6"], &paths);
    assert!(first.status.success());
    let checkpoint = out.join("checkpoint.safetensors");
    let good = std::fs::read(&checkpoint).expect("a checkpoint");
    std::fs::write(&preset, hot).expect("writes");
    let output = trainer(&["train", "--threads", "1", "--checkpoint-every", "1"], &paths);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("diverged.safetensors")
            && said.contains("that of update 6, the last that is known to be good")
            && said.contains("lower `optimiser.learning_rate`"),
        "{said}"
    );
    assert!(std::fs::read(&checkpoint).expect("a checkpoint") == good);
    let bytes = std::fs::read(out.join("diverged.safetensors")).expect("the batch");
    let batch = safetensors::SafeTensors::deserialize(&bytes).expect("SafeTensors");
    assert_eq!(batch.tensor("frames").expect("frames").shape(), [6, 4, 3, 64, 64]);
    assert_eq!(batch.tensor("action").expect("actions").shape(), [6, 4, 2]);
    // With the rate of before it goes on as if nothing had been.
    std::fs::write(&preset, super::SMALL).expect("writes");
    assert!(trainer(&["train", "--threads", "1"], &paths).status.success());
    let losses = std::fs::read_to_string(out.join("losses.csv")).expect("losses");
    let losses: Vec<f64> = losses
        .lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .nth(1)
                .and_then(|loss| loss.parse().ok())
                .expect("a loss")
        })
        .collect();
    assert_eq!(losses.len(), 12);
    assert!(losses.iter().all(|loss| *loss < 10.0 * losses[0]), "{losses:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let runs = logs(2, 20);
    let (dir, preset, out) = folder(super::SMALL);
    let paths = [
        ("--runs", runs.path()),
        ("--preset", preset.as_path()),
        ("--out", out.as_path()),
    ];
    if !tch::Cuda::is_available() {
        let output = trainer(&["train", "--device", "cuda"], &paths);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("--device cuda"),
            "{said}"
        );
        assert!(!out.exists(), "nothing is begun");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_armillary-train"))
        .arg("report")
        .arg(dir.path())
        .output();
    let said = String::from_utf8_lossy(&output.expect("runs").stderr).into_owned();
    assert!(
        said.contains("losses.csv") && said.contains("--out folder"),
        "{said}"
    );
}

#[test]
fn logs_that_are_too_short_are_counted() {
    let runs = logs(2, 20);
    let (_dir, preset, out) = folder(super::SMALL);
    let paths = [
        ("--runs", runs.path()),
        ("--preset", preset.as_path()),
        ("--out", out.as_path()),
    ];
    let said = || {
        let output = trainer(&["train", "--threads", "1", "--until", "1"], &paths);
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(!said().contains("are shorter than"));
    for seed in [30, 31, 32] {
        super::write_log(runs.path(), seed, 3, |_| {});
    }
    let said = said();
    assert!(
        said.contains("3 stretches, 9 frames in all, are shorter than `optimiser.length` 6"),
        "{said}"
    );
}

/// From logs to a page without a picture; logs that come later change nothing of the terms in which joints are seen.
#[test]
fn a_model_of_joints_alone_trains_and_goes_on() {
    let runs = logs(4, 20);
    let joints = super::SMALL.replacen("depth: 2", "observation: joints, depth: 2", 1);
    let (_dir, preset, out) = folder(&joints);
    let paths = [
        ("--runs", runs.path()),
        ("--preset", preset.as_path()),
        ("--out", out.as_path()),
    ];
    let checkpoint = out.join("checkpoint.safetensors");
    let mut terms = Vec::new();
    for (until, later) in [("6", 20), ("12", 22)] {
        let output = trainer(&["train", "--threads", "1", "--until", until], &paths);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let provenance = trainer::checkpoint::provenance(&checkpoint).expect("a checkpoint");
        terms.push(provenance.tasks[0].joint_scales.clone());
        super::write_log(runs.path(), later, 20, |_| {});
    }
    assert_eq!(terms[0].len(), 2);
    assert_eq!(terms[0], terms[1]);
    let losses = std::fs::read_to_string(out.join("losses.csv")).expect("losses");
    let column = |name: &str| {
        let place = losses
            .lines()
            .next()
            .and_then(|line| line.split(',').position(|field| field == name));
        let place = place.expect("a column");
        let values = losses.lines().skip(1).map(move |line| line.split(',').nth(place));
        values
            .map(|value| value.and_then(|value| value.parse().ok()).expect("a number"))
            .collect::<Vec<f64>>()
    };
    assert!(column("image").iter().all(|loss| *loss == 0.0));
    assert!(column("joints").iter().all(|loss| *loss > 0.0));
    assert!(!out.join("open-loop.png").exists());
    let output = Command::new(env!("CARGO_BIN_EXE_armillary-train"))
        .arg("report")
        .arg(&out)
        .output();
    assert!(output.expect("runs").status.success());
    assert!(
        std::fs::read_to_string(out.join("report.html"))
            .expect("a page")
            .contains("<h2>joints</h2>")
    );
}

/// One agent, two robots, pixels and joints: stopped and gone on with, it is the run that was never stopped. Folders are named
/// in the same order whenever it goes on.
#[test]
fn an_agent_with_two_tasks_goes_on_as_if_never_stopped() {
    let (two, three) = (logs(3, 20), tempfile::tempdir().expect("temporary folder"));
    for seed in 0..3 {
        super::write_log(three.path(), seed, 20, |info| {
            info.robot = "cube".to_owned();
            info.joint_names.push("z".to_owned());
        });
    }
    let both = super::SMALL.replacen("depth: 2", "observation: pixels_and_joints, depth: 2", 1);
    let (_dir, preset, out) = folder(&both);
    let whole = out.with_extension("whole");
    let train = |until: &str, out: &Path, first: &Path, second: &Path| {
        trainer(
            &["train", "--threads", "1", "--until", until],
            &[
                ("--runs", first),
                ("--runs", second),
                ("--preset", preset.as_path()),
                ("--out", out),
            ],
        )
    };
    assert!(train("9", &whole, two.path(), three.path()).status.success());
    assert!(train("4", &out, two.path(), three.path()).status.success());
    let swapped = train("9", &out, three.path(), two.path());
    let said = String::from_utf8_lossy(&swapped.stderr).into_owned();
    assert!(
        !swapped.status.success() && said.contains("same --runs"),
        "{said}"
    );
    assert!(train("9", &out, two.path(), three.path()).status.success());
    let files = |name: &str| [&whole, &out].map(|dir| std::fs::read(dir.join(name)).expect("reads"));
    let [never, stopped] = files("losses.csv");
    assert_eq!(never, stopped);
    let [never, stopped] = files("checkpoint.safetensors");
    assert!(never == stopped, "checkpoints differ");
    let provenance = trainer::checkpoint::provenance(&out.join("checkpoint.safetensors")).expect("whole");
    assert_eq!((provenance.update, provenance.tasks.len()), (9, 2));
}

/// Linux says what its processor has, too.
#[cfg(target_os = "linux")]
#[test]
fn a_precision_that_the_processor_is_slow_in_is_warned_of() {
    let flags = std::fs::read_to_string("/proc/cpuinfo").expect("Linux has it");
    let fast = flags
        .split_whitespace()
        .any(|flag| flag == "avx512_bf16" || flag == "bf16");
    let bf16 = super::SMALL.replacen("optimiser: (", "optimiser: (convolutions: bf16, ", 1);
    assert_ne!(bf16, super::SMALL);
    for (text, warned) in [(bf16.as_str(), !fast), (super::SMALL, false)] {
        let (_dir, preset, _) = folder(text);
        let output = trainer(&["bench", "--updates", "1"], &[("--preset", preset.as_path())]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("no 16-bit arithmetic"), warned, "{said}");
    }
}
