//! Licences, sources and bans of every dependency, by `cargo deny`, which is built into the repository's own folder.

use std::process::Command;

use anyhow::bail;

/// Known to read `deny.toml`.
const VERSION: &str = "0.20.2";

/// Checks. The advisory database is fetched from GitHub: with `advisories`, also known vulnerabilities.
pub(crate) fn run(advisories: bool) -> anyhow::Result<()> {
    let root = crate::root();
    let program = crate::tools::ensure("cargo-deny", VERSION)?;
    // The firmware for a microcontroller and the fuzz targets are workspaces of their own.
    for manifest in [
        "Cargo.toml",
        "firmware-bridge/firmware/pico/Cargo.toml",
        "tests/fuzz/Cargo.toml",
    ] {
        let mut command = Command::new(&program);
        command
            .args([
                "--log-level",
                "error",
                "--manifest-path",
                manifest,
                "--all-features",
            ])
            .args(["--config", "deny.toml", "check", "licenses", "bans", "sources"]);
        if advisories {
            command.arg("advisories");
        }
        let status = command.current_dir(&root).status()?;
        if !status.success() {
            bail!("a dependency of {manifest} breaks a rule of deny.toml; see above");
        }
    }
    Ok(())
}
