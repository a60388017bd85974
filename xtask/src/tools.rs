//! Programs of others that checks need, built into the repository's own folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program `name` of the crate of the same name, in this version. It is built if it is not there, which takes minutes.
pub(crate) fn ensure(root: &Path, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let tools = root.join(".tools");
    let program = tools.join("bin").join(name);
    let current = Command::new(&program)
        .arg("--version")
        .output()
        .is_ok_and(|found| String::from_utf8_lossy(&found.stdout).contains(version));
    if !current {
        println!("building {name} {version} in {} (minutes, once)", tools.display());
        crate::run(
            Command::new(crate::cargo())
                .args(["install", name, "--locked", "--quiet", "--version", version])
                .arg("--root")
                .arg(&tools)
                .current_dir(root),
        )?;
    }
    Ok(program)
}
