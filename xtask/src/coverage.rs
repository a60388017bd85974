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
        let Built { tests, mut programs } = build(&root, folder, &scopes)?;
        for (number, (program, package)) in tests.iter().enumerate() {
            println!("running {}", program.display());
            // Names in it tell apart the processes that a test starts.
            let counts = folder.join(format!("{number}-%p%c.profraw"));
            command(
                Command::new(program)
                    .arg("--quiet")
                    .env("LLVM_PROFILE_FILE", &counts)
                    .env("LD_LIBRARY_PATH", libtorch::search_path(&root))
                    .current_dir(package),
            )?;
        }
        programs.extend(tests.into_iter().map(|(program, _)| program));
        let found = tools.lines(folder, &programs)?;
        lines::report(&root, &found, &scopes, arguments.lines)
    })
}

/// What was built.
struct Built {
    /// Programs of tests, each with the folder of its package.
    tests: Vec<(PathBuf, PathBuf)>,
    /// Programs that they start.
    programs: Vec<PathBuf>,
}

/// Builds the tests of all parts. What build scripts count goes to `folder`, too, under names that nobody reads.
fn build(root: &Path, folder: &Path, scopes: &[Scope]) -> anyhow::Result<Built> {
    let mut build = Command::new(cargo());
    build.args(["test", "--release", "--no-run", "--message-format", "json"]);
    for scope in scopes {
        build.args(["--package", scope.package, "--test", scope.test]);
    }
    let output = build
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("xtask/rustc-coverage.sh"))
        .env("LLVM_PROFILE_FILE", folder.join("%p.build"))
        .stderr(std::process::Stdio::inherit())
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests cannot be built; see above");
    }
    let (mut tests, mut programs) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else {
            continue;
        };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        match message["target"]["kind"][0].as_str() {
            Some("test") if scopes.iter().any(|scope| scope.test == name) => {
                let manifest = message["manifest_path"].as_str().map(Path::new);
                let package = manifest.and_then(Path::parent).unwrap_or(root);
                tests.push((program, package.to_owned()));
            }
            Some("bin") => programs.push(program),
            _ => {}
        }
    }
    if tests.is_empty() {
        bail!("cargo built no test");
    }
    Ok(Built { tests, programs })
}
