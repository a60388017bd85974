//! Nothing of a user's is removed or replaced: every place in the sources that could do so is known, with what guards it.

use std::fs;
use std::path::{Path, PathBuf};

/// What removes, replaces or truncates, in Rust, Python and shell; and fixed names that programs used to remove.
const WORDS: [&str; 27] = [
    "remove_dir",
    "remove_file",
    "fs::rename",
    "renameat",
    "File::create(",
    "fs::write",
    "fs::copy",
    "hard_link",
    "OpenOptions",
    "File::options",
    "truncate(true)",
    "set_len(",
    ".persist(",
    "symlink(",
    "rmtree",
    "os.remove",
    "os.unlink",
    ".unlink(",
    "os.rename",
    "os.replace",
    "write_text",
    "write_bytes",
    "rm -",
    "partial\"",
    ".new\"",
    ".old\"",
    ".tmp\"",
];

/// Files in which such words may stand, and why nothing of a user's is lost there. Everybody else calls `files`.
const ALLOWED: [(&str, &str); 29] = [
    (
        "firmware-bridge/src/bridge/names.rs",
        "takes the place of a link with our mark that leads nowhere, or of a socket that refuses connections; removes what is still its own",
    ),
    (
        "devices/src/webcam/linux.rs",
        "opens a camera's node, and refuses what is none",
    ),
    (
        "devices/src/emulation/usb_camera.rs",
        "writes to the kernel's own file for USB over a socket",
    ),
    (
        "armillary/examples/usb_arm/arm.rs",
        "writes to the kernel's own file for USB gadgets",
    ),
    (
        "devices/examples/usb_serial.rs",
        "writes to the kernel's own file for USB gadgets",
    ),
    ("devices/src/serial/opening.rs", "opens a port that is a device"),
    (
        "armillary/src/e_stop/channel.rs",
        "a socket in a folder that only this user can enter, that nobody listens at, or that is its own",
    ),
    (
        "files/src/scratch.rs",
        "folders that were made exclusively, and left-overs with our marker and a free lock",
    ),
    (
        "files/src/folder.rs",
        "gives names that are free; takes the place of a folder whose every file is known, and removes those files by name",
    ),
    (
        "files/src/output.rs",
        "takes the place of a file that was looked at",
    ),
    ("files/src/input.rs", "opens for reading"),
    (
        "episode/src/writer.rs",
        "creates exclusively; removes only what it has just created so",
    ),
    ("episode/src/runs.rs", "a name to pass over"),
    ("datasets/src/lerobot/layout.rs", "in a `NewFolder`"),
    ("datasets/src/lerobot/export.rs", "in a `NewFolder`"),
    ("armillary/src/cli/datasets.rs", "in a `NewFolder`"),
    ("trainer/src/export.rs", "in a `NewFolder`"),
    (
        "trainer/src/checkpoint/kept.rs",
        "copies into a scratch folder; replaces a checkpoint by its own",
    ),
    (
        "trainer/src/command/losses.rs",
        "adds to a file that was looked at",
    ),
    (
        "trainer/src/dataset/cache.rs",
        "a file that begins with our fixed bytes, or has our sound index",
    ),
    ("xtask/src/curve.rs", "in a scratch folder"),
    ("xtask/src/learn.rs", "in a `NewFolder`"),
    ("xtask/src/learn/clock.rs", "a file with our mark"),
    ("xtask/src/learn/commands.rs", "adds to a file"),
    (
        "xtask/src/install.rs",
        "in a file that `files::put_with` puts in the place of a program with our mark",
    ),
    ("xtask/src/libtorch.rs", "in a `NewFolder`"),
    (
        "xtask/src/python.rs",
        "the stamp in an environment that was made here",
    ),
    (
        "xtask/src/debian.rs",
        "in a scratch folder, and into a folder that the caller has just made",
    ),
    ("xtask/src/vm/kernel.rs", "in a `NewFolder`"),
];

/// Files of the developers' checks that write into folders that were made for them.
const CHECKS: [&str; 4] = [
    "xtask/src/rig.rs",
    "xtask/src/crosscheck.rs",
    "xtask/src/bench_train.rs",
    "xtask/src/vm.rs",
];

/// All sources below `dir`, tests and what is built left out.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in files::list(dir).unwrap() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !["target", "tests", "out", "models", "shared"].contains(&name.as_str()) {
                sources(&path, found);
            }
        } else if [".rs", ".py", ".sh"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// The lines of a source that are run by users: no comments, and no tests of a module, which stand at its end.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//") && !line.starts_with('#'))
}

/// The first of the words that a line of code has. To ask whether something is a link is not to make one.
fn word_in(line: &str) -> Option<&'static str> {
    let line = line.replace("is_symlink(", "");
    WORDS.into_iter().find(|word| line.contains(word))
}

#[test]
fn what_could_remove_or_replace_stands_where_it_is_known_to_be_safe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    sources(root, &mut all);
    all.push(root.join(".ci/run"));
    assert!(all.len() > 150, "only {} sources were found", all.len());
    let mut unknown = Vec::new();
    let mut needed = Vec::new();
    for path in &all {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let allowed = ALLOWED.iter().any(|(file, _)| *file == name) || CHECKS.contains(&name.as_str());
        for (number, line) in lines(&fs::read_to_string(path).unwrap()) {
            let Some(word) = word_in(line) else {
                continue;
            };
            if allowed {
                needed.push(name.clone());
            } else {
                unknown.push(format!("{name}:{number}: {word}: {line}"));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "these could remove or replace something of a user's; call `files::put`, `files::replace` or `files::NewFolder`, or add the \
         file to the list with the reason why nothing is lost:\n{}",
        unknown.join("\n")
    );
    let stale: Vec<&str> = ALLOWED
        .iter()
        .map(|(file, _)| *file)
        .chain(CHECKS)
        .filter(|file| !needed.iter().any(|name| name == file))
        .collect();
    assert!(
        stale.is_empty(),
        "these are in the list and remove or replace nothing; take them out of it: {stale:?}"
    );
}

#[test]
fn the_words_are_found_in_code_and_not_in_comments_or_tests() {
    let text = "fn f() {\n    // std::fs::write\n    path.is_symlink();\n    std::fs::write(path, text);\n}\n#[cfg(test)]\nmod tests { fn g() { fs::rename(a, b) } }\n";
    let found: Vec<usize> = lines(text)
        .filter(|(_, line)| word_in(line).is_some())
        .map(|(number, _)| number)
        .collect();
    assert_eq!(found, [4]);
}
