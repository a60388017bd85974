//! The machine's Python, needed only to reach its package registry.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A Python 3 with pip.
pub(crate) fn find() -> anyhow::Result<PathBuf> {
    for name in ["python3", "python"] {
        let works = Command::new(name)
            .args(["-m", "pip", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if works {
            return Ok(PathBuf::from(name));
        }
    }
    bail!(
        "the trainer's LibTorch comes from the Python package registry, and no Python 3 with pip was found; install one (no root: a uv or conda Python will do), or set LIBTORCH to a LibTorch 2.11 you have"
    )
}

/// The virtual environment under `root` with `packages`, made once.
pub(crate) fn environment(root: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    environment_in(&root.join(".venv"), packages)
}

/// A virtual environment in `dir` with `packages`, made once.
pub(crate) fn environment_in(dir: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    environment_of(dir, packages, "")
}

/// A virtual environment in `dir` with `packages`, made once for each version of what they `require`.
pub(crate) fn environment_of(dir: &Path, packages: &[&str], require: &str) -> anyhow::Result<PathBuf> {
    let python = dir.join("bin/python");
    let stamp = dir.join("packages.txt");
    let wanted = format!("{}{require}", packages.join("\n"));
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    // Packages are put into an environment that was made here, never into somebody's own.
    if std::fs::symlink_metadata(dir).is_ok() && !stamp.exists() {
        bail!(
            "{}: is there, and was not made by this command; move it away",
            dir.display()
        );
    }
    println!(
        "making a Python environment in {} with {}",
        dir.display(),
        packages.join(", ")
    );
    crate::run(Command::new(find()?).args(["-m", "venv"]).arg(dir))?;
    let note = |text: &str| {
        std::fs::write(&stamp, text).with_context(|| format!("{}: cannot write", stamp.display()))
    };
    // Whose it is, should the next step fail.
    note("unfinished")?;
    crate::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages),
    )?;
    note(&wanted)?;
    Ok(python)
}
