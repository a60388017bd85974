//! Programs of the package registry, built into the repository's own folder.

use std::path::PathBuf;
use std::process::Command;

/// The program `name` in `version`, which is built into `.tools` if it is not there yet.
pub(crate) fn ensure(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let root = crate::root();
    let tools = root.join(".tools");
    let program = tools.join("bin").join(name);
    // What cargo starts as a subcommand hears its own name first.
    let own_name = name.strip_prefix("cargo-");
    let current = Command::new(&program)
        .args(own_name)
        .arg("--version")
        .output()
        .is_ok_and(|found| String::from_utf8_lossy(&found.stdout).contains(version));
    if !current {
        println!("building {name} {version} in {} (minutes, once)", tools.display());
        crate::run(
            Command::new(crate::cargo())
                .args([
                    "install",
                    name,
                    "--locked",
                    "--quiet",
                    "--version",
                    version,
                    "--root",
                ])
                .arg(&tools)
                .current_dir(&root),
        )?;
    }
    Ok(program)
}
