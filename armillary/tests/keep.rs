//! What a person has lying about stays, and what their files lack is said: outputs, pipes, logs that were cut off or lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use episode::{Attachment, Episode, EpisodeWriter, read_episode};

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// Runs to its end, which must come: a program that waits for a pipe waits for ever.
fn armillary(arguments: &[&str]) -> Output {
    let output = Command::new("timeout")
        .args(["--signal=KILL", "300", PROGRAM])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the program starts");
    assert!(output.status.code().is_some(), "{arguments:?} did not end");
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs, expects failure, and checks that the message holds every one of `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = armillary(arguments);
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

fn done(arguments: &[&str]) -> String {
    let output = armillary(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// A folder with two logs of 12 ticks in `runs`.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(policy: &str) -> Self {
        let place = Self {
            dir: tempfile::tempdir().expect("temporary folder"),
        };
        let runs = place.path("runs");
        done(&[
            "record",
            "--robot",
            "configs/sim-planar.ron",
            "--bundle",
            "models/reach-planar",
            "--policy",
            policy,
            "--episodes",
            "2",
            "--ticks",
            "12",
            "--out",
            &runs,
        ]);
        place
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn log(&self, seed: u64) -> String {
        self.path(&format!("runs/episode-{seed:06}.mcap"))
    }

    /// Writes the log of seed 0 again, changed.
    fn change(&self, name: &str, change: impl Fn(&mut Episode)) -> String {
        let mut log = read_episode(Path::new(&self.log(0))).expect("reads");
        change(&mut log);
        let attachments: Vec<Attachment<'_>> = log
            .attachments
            .iter()
            .map(|(name, data)| (name.as_str(), "text/plain", data.as_slice()))
            .collect();
        let path = self.path(name);
        let mut writer = EpisodeWriter::create(Path::new(&path), &log.info, &attachments).expect("creates");
        for (row, frame) in log.ticks.iter().zip(&log.frames) {
            writer
                .write_tick(row, frame.as_ref(), row.edge_ns)
                .expect("writes");
        }
        writer.finish().expect("finishes");
        path
    }
}

#[test]
fn folders_and_files_of_the_users_own_stay() {
    let place = Place::new("random");
    let own = [
        "data.partial",
        "data.new",
        "data.old",
        "data.tmp",
        ".data.partial",
    ]
    .map(|name| place.path(name));
    for folder in &own {
        fs::create_dir(folder).expect("makes the folder");
        fs::write(Path::new(folder).join("thesis.txt"), "three years of work").expect("writes");
    }
    let (runs, data, back) = (place.path("runs"), place.path("data"), place.path("back"));
    refused(
        &["import", "no-such-data-set", "--out", &data],
        &["no-such-data-set"],
    );
    refused(&["export", "no-such-runs", "--out", &data], &["no-such-runs"]);
    let text = done(&["export", &runs, "--out", &data]);
    for part in [
        "episode-000000.mcap: 13 ticks, 13 frames in 1 episode(s)\n",
        "2 episodes, 26 frames of 2 logs",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // There is one now.
    refused(&["export", &runs, "--out", &data], &[&data, "exists"]);
    refused(&["import", &data, "--out", &runs], &[&runs, "exists"]);
    done(&["import", &data, "--out", &back]);
    let whole = Path::new(&data).join("meta/info.json");
    let info = fs::read_to_string(&whole).expect("reads");
    fs::write(
        &whole,
        info.replacen("\"total_frames\": 26", "\"total_frames\": 27", 1),
    )
    .expect("writes");
    refused(
        &["import", &data, "--out", &place.path("again")],
        &["info.json", "sha256"],
    );
    for folder in &own {
        assert_eq!(
            fs::read(Path::new(folder).join("thesis.txt")).expect("is there"),
            b"three years of work"
        );
    }
    // Nothing unfinished is left, and nothing half.
    let mut names: Vec<_> = fs::read_dir(place.dir.path())
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            ".data.partial",
            "back",
            "data",
            "data.new",
            "data.old",
            "data.partial",
            "data.tmp",
            "runs"
        ]
    );
}

#[test]
fn pictures_replace_pictures_of_this_program_and_no_others() {
    let place = Place::new("random");
    let (log, out) = (place.log(0), place.path("seen"));
    let inspect = ["inspect", "models/reach-planar", "--log", &log, "--out", &out];
    done(&inspect);
    let (png, gif) = (place.path("seen.png"), place.path("seen.gif"));
    let first = [&png, &gif].map(|path| fs::read(path).expect("is there"));
    done(&inspect);
    assert_eq!([&png, &gif].map(|path| fs::read(path).expect("is there")), first);
    // What marks them leaves them pictures.
    let picture = image::load_from_memory(&first[0]).expect("is a PNG");
    assert_eq!(picture.height(), 3 * 64);
    let decoder = gif::DecodeOptions::new().read_info(first[1].as_slice());
    assert_eq!(decoder.expect("is a GIF").height(), 3 * 64);
    for path in [&png, &gif] {
        let picture = fs::read(path).expect("is there");
        fs::write(path, "a photograph of my own").expect("writes");
        refused(&inspect, &[path, "did not make it"]);
        assert_eq!(fs::read(path).expect("is there"), b"a photograph of my own");
        fs::write(path, picture).expect("writes");
    }
}

#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let place = Place::new("random");
    let pipe = place.path("pipe.mcap");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("starts")
            .success()
    );
    let bundle = place.path("bundle");
    fs::create_dir(&bundle).expect("makes the folder");
    for entry in fs::read_dir(root().join("models/reach-planar")).expect("lists") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), Path::new(&bundle).join(entry.file_name())).expect("copies");
    }
    let out = place.path("out");
    for path in [pipe.as_str(), "/dev/zero"] {
        refused(&["replay", path], &[path, "not a regular file"]);
        refused(
            &["inspect", "models/reach-planar", "--log", path, "--out", &out],
            &[path, "not a regular file"],
        );
    }
    let graph = Path::new(&bundle).join("reward.onnx");
    fs::remove_file(&graph).expect("removes");
    assert!(
        Command::new("mkfifo")
            .arg(&graph)
            .status()
            .expect("starts")
            .success()
    );
    refused(&["inspect", &bundle], &["reward.onnx", "FIFO"]);
    // A manifest cannot have other files opened. Without the list of hashes, which would be what refuses it.
    fs::remove_file(Path::new(&bundle).join("SHA256SUMS")).expect("removes");
    let manifest = Path::new(&bundle).join("manifest.ron");
    let text = fs::read_to_string(&manifest).expect("reads");
    for name in ["../../etc/hostname", "/etc/hostname", "..", ""] {
        let edited = text.replacen(
            "\"encoder.onnx\":",
            &format!("\"{name}\": \"00\", \"encoder.onnx\":"),
            1,
        );
        assert_ne!(edited, text);
        fs::write(&manifest, edited).expect("writes");
        refused(
            &["inspect", &bundle],
            &["manifest.ron", "`files`", "no file of this folder"],
        );
    }
}

#[test]
fn what_is_lost_of_a_log_is_said() {
    let place = Place::new("random");
    let (runs, set, out) = (place.path("runs"), place.path("set"), place.path("seen"));
    let log = place.log(1);
    let bytes = fs::read(&log).expect("reads");
    // As a crash does it: in the middle of the ticks.
    let mut length = bytes.len();
    while read_episode(Path::new(&log)).expect("reads").ticks.len() > 10 {
        length -= 200;
        fs::write(&log, &bytes[..length]).expect("cuts");
    }
    // What a file manager leaves.
    fs::write(place.path("runs/._episode-000000.mcap"), "of a file manager").expect("writes");
    let ticks = read_episode(Path::new(&log)).expect("reads").ticks.len();
    assert!((1..12).contains(&ticks));
    let text = done(&["export", &runs, "--out", &set]);
    let line = text.lines().find(|line| line.contains("episode-000001.mcap"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    for part in [&format!("{ticks} ticks"), "cut off or damaged", "ends too early"] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
    assert!(text.contains("1 of 2 logs were cut off or damaged"), "{text}");
    let text = done(&["inspect", "models/reach-planar", "--log", &log, "--out", &out]);
    for part in [
        &format!("{ticks} ticks can be read"),
        "ends too early",
        "episode-000001.mcap",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let whole = done(&[
        "inspect",
        "models/reach-planar",
        "--log",
        &place.log(0),
        "--out",
        &out,
    ]);
    assert!(!whole.contains("cut off"), "{whole}");
}

/// Another robot's file in the place of its own.
fn exchange_robot_file(log: &mut Episode) {
    let text = fs::read(root().join("configs/sim-arm.ron")).expect("reads");
    for (name, data) in &mut log.attachments {
        if name == "robot.ron" {
            data.clone_from(&text);
        }
    }
}

#[test]
fn a_log_that_lies_is_refused_and_leads_nobody_on() {
    let place = Place::new("planner");
    let bundle = "models/reach-planar";
    let whole = place.change("whole.mcap", |_| {});
    done(&["replay", &whole, "--bundle", bundle]);
    // More iterations than the planner was set to are not run.
    let planned = place.change("plans.mcap", |log| log.ticks[4].plan.iterations = u32::MAX);
    done(&["replay", &planned, "--bundle", bundle]);
    type Change = fn(&mut Episode);
    let cases: [(&str, Change, &[&str]); 6] = [
        (
            "tick.mcap",
            |log| log.ticks[11].tick = 4_000_000_000,
            &["tick 4000000000", "`tick`"],
        ),
        (
            "short.mcap",
            |log| log.ticks[3].capture.position_rad.truncate(1),
            &["tick 3", "/capture/joints"],
        ),
        (
            "start.mcap",
            |log| {
                log.ticks[0].actuate.set_point_rad.clear();
                log.ticks[0].actuate.sent = false;
            },
            &["tick 0", "set_point_rad"],
        ),
        (
            "nowhere.mcap",
            |log| log.ticks[0].actuate.set_point_rad[0] = f32::NAN,
            &["tick 0", "set_point_rad"],
        ),
        (
            "file.mcap",
            exchange_robot_file,
            &["`config_sha256`", "the robot file it keeps"],
        ),
        (
            "joints.mcap",
            |log| {
                exchange_robot_file(log);
                log.info.config_sha256.clear();
            },
            &["`joint_names`", "the robot file it keeps"],
        ),
    ];
    for (name, change, parts) in cases {
        let path = place.change(name, change);
        refused(
            &["replay", &path, "--bundle", bundle],
            &[&[path.as_str()], parts].concat(),
        );
    }
}

#[test]
fn kept_pictures_are_told_and_other_images_are_made_of_them() {
    const JPEG: &[u8] = include_bytes!("../../calibration/tests/data/camera-422.jpg");
    let place = Place::new("random");
    let log = read_episode(Path::new(&place.log(0))).expect("reads");
    let kept = place.path("kept.mcap");
    let robot = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    let attachments = [("robot.ron", "text/plain", robot.as_bytes())];
    let mut writer = EpisodeWriter::create(Path::new(&kept), &log.info, &attachments).expect("creates");
    for (row, frame) in log.ticks.iter().zip(&log.frames) {
        writer
            .write_tick_with_picture(row, frame.as_ref(), Some(JPEG), row.edge_ns)
            .expect("writes");
    }
    writer.finish().expect("finishes");
    let text = done(&[
        "inspect",
        "models/reach-planar",
        "--log",
        &kept,
        "--out",
        &place.path("picture"),
    ]);
    assert!(text.contains("keeps 13 of the camera's own pictures"), "{text}");

    let (sharper, out) = (place.path("sharper.ron"), place.path("sharper"));
    let text = robot.replacen("capture: (", "capture: (side: 128, view: whole, ", 1);
    fs::write(&sharper, text).expect("writes");
    let recrop = ["recrop", &kept, "--robot", &sharper, "--out", &out];
    let text = done(&recrop);
    for part in ["kept.mcap: 13 rows of", "1 logs with 13 rows", "128x128"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let made = read_episode(&Path::new(&out).join("kept.mcap")).expect("reads");
    assert_eq!((made.frame_side(), made.complete), (Some(128), true));
    refused(&recrop, &["sharper", "exists"]);
    let runs = place.path("runs");
    refused(
        &["recrop", &runs, "--robot", &sharper, "--out", &place.path("none")],
        &["episode-000000.mcap", "keep_pictures: true", "none of the 2 logs"],
    );
    assert!(!Path::new(&place.path("none")).exists());
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_the_end_of_the_program() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = dir.path().join("runs");
    // In blocks of 1024 bytes, as bash has it: less than the log of an episode.
    let output = Command::new("bash")
        .arg("-c")
        .arg(
            "ulimit -f 30; exec \"$0\" record --robot configs/sim-planar.ron --policy random --episodes 1 --ticks 60 --out \"$1\"",
        )
        .arg(PROGRAM)
        .arg(&out)
        .current_dir(root())
        .output()
        .expect("bash");
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1), "{:?}: {message}", output.status);
    for part in ["episode-000000.mcap", "cannot write the log", "free space"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let log = read_episode(&out.join("episode-000000.mcap")).expect("what was written can be read");
    assert!(!log.complete && !log.ticks.is_empty());
}
