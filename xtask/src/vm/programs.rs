//! The programs in the machine: how they are built, and what they need.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::Group;
use super::archive::Archive;
use super::machine::Tools;

/// The programs of a group: their package, and of each of them what cargo calls its kind, and its name.
fn of(group: Group) -> (&'static str, &'static [[&'static str; 2]]) {
    let devices = "armillary-devices";
    match group {
        Group::Camera => (devices, &[["--example", "webcam"]]),
        // The other one sets what the test camera's time stamps are.
        Group::Portable => (devices, &[["--example", "portable"], ["--example", "webcam"]]),
        Group::Uvc => (devices, &[["--example", "webcam"], ["--example", "uvc_camera"]]),
        Group::Serial => (devices, &[["--example", "usb_serial"]]),
        Group::Loop => (
            "armillary",
            &[
                ["--bin", "armillary"],
                ["--example", "usb_arm"],
                ["--example", "log_figures"],
            ],
        ),
    }
}

/// Builds the programs of `group`.
pub(crate) fn build(root: &Path, group: Group) -> anyhow::Result<()> {
    let (package, programs) = of(group);
    let mut command = Command::new(crate::cargo());
    command.args(["build", "--release", "--quiet", "--package", package]);
    command.args(programs.as_flattened()).current_dir(root);
    if group == Group::Portable {
        // The library, and with it libclang.
        command.args(["--features", "nokhwa"]);
    }
    crate::run(&mut command)
}

/// Puts the programs of `group` and the libraries that they need into `archive`. What is made on the way goes into `folder`.
pub(crate) fn add(
    archive: &mut Archive,
    group: Group,
    root: &Path,
    folder: &Path,
    tools: &Tools,
) -> anyhow::Result<()> {
    let built = root.join("target/release");
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{}: cannot read", path.display()));
    let mut libraries = BTreeSet::new();
    for [kind, name] in of(group).1 {
        let program = match *kind {
            "--example" => built.join("examples").join(name),
            _ => built.join(name),
        };
        libraries.extend(needs(&program, tools)?);
        // Without what a debugger needs it is a fifth as large.
        let small = folder.join(name);
        crate::run(Command::new(&tools.strip).arg("-o").arg(&small).arg(&program))?;
        archive.file(&format!("bin/{name}"), &read(&small)?);
        archive.file(&format!("programs/{name}"), &[]);
    }
    for library in &libraries {
        archive.file(library.trim_start_matches('/'), &read(Path::new(library))?);
    }
    Ok(())
}

/// The libraries of this system that `program` needs, by `ldd`: a line each with its path, but for the kernel's own.
fn needs(program: &Path, tools: &Tools) -> anyhow::Result<Vec<String>> {
    let output = Command::new(&tools.ldd)
        .arg(program)
        .output()
        .context("cannot start ldd")?;
    if !output.status.success() {
        bail!(
            "ldd {}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(str::to_owned).collect())
}
