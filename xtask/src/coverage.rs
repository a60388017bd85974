//! Which lines of what keeps an arm safe the tests run.

mod lines;
mod llvm;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::{cargo, libtorch, root, run as command, scratch};

/// Sources that are looked at, and the crates that they are in.
const SOURCES: [(&str, &str); 6] = [
    ("guard/src/", "guard"),
    ("firmware-bridge/src/firmware", "firmware_bridge"),
    ("firmware-bridge/src/wire", "firmware_bridge"),
    ("robot/src/device/e_stop.rs", "robot"),
    ("devices/src/link/e_stop.rs", "devices"),
    ("devices/src/hosted/e_stop.rs", "devices"),
];

/// With `--program`: what is tested with the whole program, for which nearly everything is built anew.
const PROGRAM: [(&str, &str); 1] = [("armillary/src/e_stop", "armillary")];

/// The tests that count, by the names of their programs.
const TESTS: [&str; 2] = ["suite", "guard"];

/// With `--program`, too.
const PROGRAM_TESTS: [&str; 1] = ["e_stop"];

#[derive(Args)]
pub(crate) struct Coverage {
    /// The thread of the emergency stop and its socket, too, which are tested with the whole program.
    #[arg(long)]
    program: bool,
    /// Print the lines that no test runs.
    #[arg(long)]
    lines: bool,
}

/// Builds the tests with counters in the crates that are looked at, runs them, and prints a table. Fails if a line did not run that is not
/// on the list of those with a reason.
pub(crate) fn run(arguments: &Coverage) -> anyhow::Result<()> {
    let root = root();
    libtorch::ensure(&root)?;
    let tools = llvm::ensure(&root)?;
    let mut sources = SOURCES.to_vec();
    let mut tests = TESTS.to_vec();
    if arguments.program {
        sources.extend(PROGRAM);
        tests.extend(PROGRAM_TESTS);
    }
    scratch::within(&root, "coverage", |folder| {
        let built = build(&root, &sources, &tests)?;
        for (number, (program, package)) in built.iter().enumerate() {
            println!("running {}", program.display());
            // Names in it tell apart the processes that a test starts.
            let counts = folder.join(format!("{number}-%p-%m.profraw"));
            command(
                Command::new(program)
                    .arg("--quiet")
                    .env("LLVM_PROFILE_FILE", &counts)
                    .env("LD_LIBRARY_PATH", libtorch::search_path(&root))
                    .current_dir(package),
            )?;
        }
        let programs: Vec<PathBuf> = built.into_iter().map(|(program, _)| program).collect();
        let found = tools.lines(folder, &programs)?;
        lines::report(&root, &found, &sources, arguments.lines)
    })
}

/// Builds the tests `names`, and returns their programs, each with the folder of its package.
fn build(root: &Path, sources: &[(&str, &str)], names: &[&str]) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut build = Command::new(cargo());
    // The whole workspace, as for the tests: another choice of packages would compile what they depend on anew.
    build.args([
        "test",
        "--release",
        "--workspace",
        "--no-run",
        "--message-format",
        "json",
    ]);
    for name in names {
        build.args(["--test", name]);
    }
    let crates: Vec<&str> = sources.iter().map(|(_, name)| *name).collect();
    let output = build
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("xtask/coverage-rustc.sh"))
        .env("INSTRUMENTED", crates.join(" "))
        .stderr(std::process::Stdio::inherit())
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests cannot be built; see above");
    }
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let name = message["target"]["name"].as_str().unwrap_or_default();
        if message["target"]["kind"][0] == "test"
            && names.contains(&name)
            && let Some(program) = message["executable"].as_str()
            && let Some(package) = message["manifest_path"]
                .as_str()
                .and_then(|path| Path::new(path).parent())
        {
            programs.push((PathBuf::from(program), package.to_owned()));
        }
    }
    if programs.is_empty() {
        bail!("cargo built no test");
    }
    Ok(programs)
}
