//! The wall clock decides nothing: every place that reads it is known, with what it is read for.

use std::fs;
use std::path::{Path, PathBuf};

/// What reads the wall clock, or times that come from it.
const WORDS: [&str; 8] = [
    "SystemTime",
    "UNIX_EPOCH",
    "CLOCK_REALTIME",
    ".modified()",
    ".mtime()",
    ".accessed()",
    ".created()",
    "time.time()",
];

/// Files in which such words may stand, and why nothing is decided by what is read.
const ALLOWED: [(&str, &str); 7] = [
    (
        "armillary/src/cli/calibrate.rs",
        "when a calibration was made, which its file says",
    ),
    (
        "armillary/src/cli/run.rs",
        "when an episode began, which its log says",
    ),
    (
        "armillary/src/console.rs",
        "in front of a line of the program's log",
    ),
    (
        "armillary/src/simulation/faults/playing.rs",
        "in front of a line that tells of a fault, to be compared with logs",
    ),
    ("armillary/src/signature.rs", "in the comment of a signature"),
    (
        "trainer/src/tensorboard.rs",
        "in the name and the records of a file of curves",
    ),
    (
        "trainer/src/dataset/cache.rs",
        "tells with the size whether a log is the one that was read before; it is read again if not",
    ),
];

/// All sources below `dir`, tests, tools and what is built left out.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in files::list(dir).unwrap() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !["target", "tests", "examples", "xtask", "out", "models", "shared"].contains(&name.as_str()) {
                sources(&path, found);
            }
        } else if [".rs", ".py"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

#[test]
fn what_reads_the_wall_clock_is_known_to_decide_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    sources(root, &mut all);
    assert!(all.len() > 150, "only {} sources were found", all.len());
    let (mut unknown, mut needed) = (Vec::new(), Vec::new());
    for path in &all {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        for (index, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
            let line = line.trim();
            if line.starts_with("//")
                || line.starts_with('#')
                || !WORDS.iter().any(|word| line.contains(word))
            {
                continue;
            }
            needed.push(name.clone());
            if ALLOWED.iter().all(|(file, _)| *file != name) {
                unknown.push(format!("{name}:{}: {line}", index + 1));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "these read the wall clock, which may jump by years; use `robot::Clock` or `Instant`, or add the file to the list with the \
         reason why nothing is decided by it:\n{}",
        unknown.join("\n")
    );
    let stale: Vec<&str> = ALLOWED
        .iter()
        .map(|(file, _)| *file)
        .filter(|file| !needed.iter().any(|name| name == file))
        .collect();
    assert!(stale.is_empty(), "these do not read it any more: {stale:?}");
}
