//! Killed and resumed equals never killed, to the last bit.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use robot::philox::Stream;

use super::logs;

/// What a short training takes.
struct Small {
    runs: tempfile::TempDir,
    _dir: tempfile::TempDir,
    preset: PathBuf,
    out: PathBuf,
}

impl Small {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let preset = dir.path().join("preset.ron");
        std::fs::write(&preset, super::SMALL).expect("writes");
        Self {
            runs: logs(2, 20),
            preset,
            out: dir.path().join("out"),
            _dir: dir,
        }
    }
}

/// Starts `armillary-train` with one thread: bit-equality holds for equal thread counts.
fn start(runs: &Path, preset: &Path, out: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_armillary-train"))
        .args([
            "train",
            "--threads",
            "1",
            "--checkpoint-every",
            "3",
            "--seed",
            "5",
        ])
        .arg("--runs")
        .arg(runs)
        .arg("--preset")
        .arg(preset)
        .arg("--out")
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the trainer starts")
}

/// Kills of the run that is killed; SIGKILL, each wherever between two checkpoints it happens to hit.
const KILLS: u64 = 20;

/// So many must have hit. On a machine that does not run this test for a while, the trainer may get to its end before the rest.
const KILLS_AT_LEAST: u64 = 3;

#[test]
fn killed_twenty_times_and_resumed_equals_never_killed() {
    let runs = logs(6, 30);
    let dir = tempfile::tempdir().expect("temporary folder");
    let preset = dir.path().join("preset.ron");
    std::fs::write(&preset, super::SMALL.replacen("updates: 12", "updates: 400", 1)).expect("writes");
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    assert!(
        start(runs.path(), &preset, &whole)
            .wait()
            .expect("ends")
            .success()
    );

    let checkpoint = cut.join("checkpoint.safetensors");
    // Every checkpoint is a file of its own that takes the last one's place.
    let number = || std::fs::metadata(&checkpoint).map_or(0, |file| file.ino());
    let mut stream = Stream::new(20, 0);
    let mut kills = 0;
    'killing: while kills < KILLS {
        let mut child = start(runs.path(), &preset, &cut);
        // Of 133 checkpoints, 20 kills see at most 60 come.
        for _ in 0..=stream.below(3) {
            let before = number();
            while number() == before {
                if let Some(status) = child.try_wait().expect("runs") {
                    assert!(status.success(), "it failed by itself after {kills} kills");
                    break 'killing;
                }
                std::thread::yield_now();
            }
        }
        child.kill().expect("kills");
        if child.wait().expect("ends").success() {
            break;
        }
        kills += 1;
        let loaded = trainer::checkpoint::load(&checkpoint, tch::Device::Cpu);
        let (learner, _) = loaded.expect("a whole checkpoint");
        assert!(learner.update <= 400, "at {}", learner.update);
    }
    assert!(kills >= KILLS_AT_LEAST, "only {kills} kills hit");
    assert!(start(runs.path(), &preset, &cut).wait().expect("ends").success());

    let losses = |dir: &Path| std::fs::read_to_string(dir.join("losses.csv")).expect("losses");
    assert_eq!(losses(&whole), losses(&cut));
    assert_eq!(losses(&whole).lines().count(), 401);
    let weights = |dir: &Path| std::fs::read(dir.join("checkpoint.safetensors")).expect("checkpoint");
    assert_eq!(tensors(&weights(&whole)), tensors(&weights(&cut)));
}

/// Names and bytes of a checkpoint's tensors.
fn tensors(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let tensors = safetensors::SafeTensors::deserialize(file).expect("SafeTensors");
    let mut all: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_full_disk_keeps_the_last_checkpoint() {
    let runs = logs(2, 20);
    let dir = tempfile::tempdir().expect("temporary folder");
    let preset = dir.path().join("preset.ron");
    std::fs::write(&preset, super::SMALL.replacen("updates: 12", "updates: 40", 1)).expect("writes");
    let out = dir.path().join("out");
    let train = |until: &str, most_kib: &str| {
        // A limit on the size of a file refuses what a full disk would: part of the way through.
        let script = "trap '' XFSZ; ulimit -f $0; exec \"$@\"";
        Command::new("bash")
            .args([
                "-c",
                script,
                most_kib,
                env!("CARGO_BIN_EXE_armillary-train"),
                "train",
            ])
            .args(["--threads", "1", "--checkpoint-every", "3", "--until", until])
            .arg("--runs")
            .arg(runs.path())
            .arg("--preset")
            .arg(&preset)
            .arg("--out")
            .arg(&out)
            .output()
            .expect("the trainer starts")
    };
    let checkpoint = out.join("checkpoint.safetensors");
    assert!(train("10", "unlimited").status.success());
    let before = std::fs::read(&checkpoint).expect("a checkpoint");
    let most_kib = (before.len() / 2048).to_string();
    let output = train("40", &most_kib);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("checkpoint.safetensors"),
        "{said}"
    );
    assert!(said.contains("free space"), "{said}");
    assert_eq!(std::fs::read(&checkpoint).expect("reads"), before);
    assert!(nothing_unfinished(&out));
    assert!(train("40", "unlimited").status.success(), "and goes on from it");
}

/// Whether no work place of a writer is left in a folder.
fn nothing_unfinished(dir: &Path) -> bool {
    let mut entries = std::fs::read_dir(dir).expect("lists");
    entries.all(|entry| {
        let name = entry.expect("an entry").file_name();
        !name.as_encoded_bytes().starts_with(b".")
    })
}

#[test]
fn a_damaged_checkpoint_is_named_and_not_overwritten() {
    let Small {
        runs, preset, out, ..
    } = &Small::new();
    std::fs::create_dir_all(out).expect("folder");
    let checkpoint = out.join("checkpoint.safetensors");
    std::fs::write(&checkpoint, b"garbage").expect("writes");
    assert!(!start(runs.path(), preset, out).wait().expect("ends").success());
    assert_eq!(std::fs::read(&checkpoint).expect("reads"), b"garbage");

    // A bit of a weight, or of what it says of itself, which leaves it a checkpoint.
    std::fs::remove_file(&checkpoint).expect("removes");
    assert!(start(runs.path(), preset, out).wait().expect("ends").success());
    let whole = std::fs::read(&checkpoint).expect("reads");
    let text = String::from_utf8_lossy(&whole[..whole.len().min(4096)]).into_owned();
    let seed = text.find("adam_step").expect("is there") + "adam_step\\\":".len();
    assert!(text[seed..].starts_with("12"), "{}", &text[seed - 20..seed + 20]);
    for place in [whole.len() - 64, seed] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&checkpoint, &bytes).expect("writes");
        let problem = trainer::checkpoint::provenance(&checkpoint)
            .expect_err("is refused")
            .to_string();
        assert!(
            problem.contains("checkpoint.safetensors") && problem.contains("checksum"),
            "{problem}"
        );
        assert!(!start(runs.path(), preset, out).wait().expect("ends").success());
        assert_eq!(std::fs::read(&checkpoint).expect("reads"), bytes);
    }
}

#[test]
fn a_kept_checkpoint_takes_no_place_that_it_cannot_fill() {
    let Small {
        runs, preset, out, ..
    } = &Small::new();
    assert!(start(runs.path(), preset, out).wait().expect("ends").success());
    let path = out.join("checkpoint.safetensors");
    let whole = std::fs::read(&path).expect("reads");
    let kept = trainer::checkpoint::before(&path);
    // Twice, too: they are one file then.
    for _ in 0..2 {
        trainer::checkpoint::keep(&path).expect("keeps");
        assert_eq!(std::fs::read(&kept).expect("reads"), whole);
        assert!(nothing_unfinished(out));
    }
    std::fs::remove_file(&kept).expect("removes");
    std::fs::write(&kept, &whole[..whole.len() / 2]).expect("writes");
    assert!(trainer::checkpoint::step_back(&path).is_err());
    assert_eq!(std::fs::read(&path).expect("reads"), whole);
    std::fs::write(&kept, &whole).expect("writes");
    // A file that this program did not make is not replaced.
    std::fs::write(&path, b"three years of work").expect("writes");
    assert!(trainer::checkpoint::step_back(&path).is_err());
    assert_eq!(std::fs::read(&path).expect("reads"), b"three years of work");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert!(
        trainer::checkpoint::step_back(&path)
            .expect("steps back")
            .is_some()
    );
    assert_eq!(std::fs::read(&path).expect("reads"), whole);
}

#[test]
fn losses_with_other_columns_are_not_added_to() {
    let runs = logs(4, 20);
    let dir = tempfile::tempdir().expect("temporary folder");
    let preset = dir.path().join("preset.ron");
    let train = |updates: &str| {
        let text = super::SMALL.replacen("updates: 12", &format!("updates: {updates}"), 1);
        std::fs::write(&preset, text).expect("writes");
        start(runs.path(), &preset, &dir.path().join("out"))
            .wait()
            .expect("ends")
            .success()
    };
    assert!(train("12"));
    let path = dir.path().join("out/losses.csv");
    let older = std::fs::read_to_string(&path)
        .expect("losses")
        .replacen("global_kl", "kl_of_old", 1);
    std::fs::write(&path, &older).expect("writes");
    assert!(!train("20"));
    assert_eq!(std::fs::read_to_string(&path).expect("losses"), older);
}

/// A checkpoint from before there were several tasks goes on as what it is: one task, seen in pixels.
#[test]
fn a_checkpoint_of_version_1_is_read() {
    let Small {
        runs, preset, out, ..
    } = &Small::new();
    assert!(start(runs.path(), preset, out).wait().expect("ends").success());
    let path = out.join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).expect("reads");
    // Without a checksum, as it was then.
    let rewrite = |edit: &dyn Fn(&mut serde_json::Value)| {
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("SafeTensors");
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
        let mut metadata = header.metadata().clone().expect("metadata");
        let own = metadata.get_mut("armillary").expect("provenance");
        let mut value: serde_json::Value = serde_json::from_str(own).expect("JSON");
        edit(&mut value);
        *own = value.to_string();
        let kept = tensors.iter().filter(|(name, _)| *name != "sha256");
        let whole = safetensors::serialize(kept, Some(metadata)).expect("serialises");
        std::fs::write(&path, whole).expect("writes");
    };
    rewrite(&|own| {
        own["format_version"] = 1.into();
        own["robot"] = own["tasks"][0]["robot"].take();
        own.as_object_mut().expect("an object").remove("tasks");
        own["preset"]["optimiser"]["memory_mib"] = 4096.into();
    });
    let (learner, provenance) = trainer::checkpoint::load(&path, tch::Device::Cpu).expect("is read");
    assert_eq!((learner.update, provenance.tasks.len()), (12, 1));
    assert_eq!(provenance.tasks[0].robot.name, "square");
    rewrite(&|own| own["format_version"] = 7.into());
    let problem = trainer::checkpoint::provenance(&path)
        .expect_err("of the future")
        .to_string();
    assert!(problem.contains("format version 7"), "{problem}");
}
