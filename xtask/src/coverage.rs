//! Which lines of what keeps an arm safe the tests run.

mod lines;
mod llvm;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::part::{Part, Scope};
use crate::{cargo, libtorch, root, run as command, scratch};

#[derive(Args)]
pub(crate) struct Coverage {
    /// Which parts; all but `e-stop` if none is given.
    parts: Vec<Part>,
    /// Print the lines that no test runs.
    #[arg(long)]
    lines: bool,
}

/// Builds the tests with counters in the crates of this workspace, runs them, and prints a table. Fails if a line did not run that is not
/// on the list of those with a reason.
pub(crate) fn run(arguments: &Coverage) -> anyhow::Result<()> {
    let root = root();
    let tools = llvm::ensure(&root)?;
    let parts = match arguments.parts.as_slice() {
        [] => &[Part::Firmware, Part::Guard, Part::Line][..],
        parts => parts,
    };
    if parts.contains(&Part::EStop) {
        libtorch::ensure(&root)?;
    }
    let scopes: Vec<Scope> = parts.iter().map(|part| part.scope()).collect();
    scratch::within(&root, "coverage", |folder| {
        let built = build(&root, &scopes)?;
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
        lines::report(&root, &found, &scopes, arguments.lines)
    })
}

/// Builds the tests of all parts, and returns their programs, each with the folder of its package.
fn build(root: &Path, scopes: &[Scope]) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut build = Command::new(cargo());
    build.args(["test", "--release", "--no-run", "--message-format", "json"]);
    for scope in scopes {
        build.args(["--package", scope.package, "--test", scope.test]);
    }
    let output = build
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("xtask/coverage-rustc.sh"))
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
            && scopes.iter().any(|scope| scope.test == name)
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
