//! Packages of Debian, downloaded and unpacked into a folder, without root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Who downloads: apt's own user may not write into a user's folder, and says so where root calls.
const AS_CALLER: &str = "APT::Sandbox::User=root";

/// The package manager, with the system's lists of packages or with some of our own.
pub(crate) struct Apt {
    options: Vec<String>,
}

/// Unpacks the packages that `choose` names into `into`. Downloads go into a scratch folder below `dir`. If the system's lists of packages
/// are missing or old, `choose` is asked again with new ones.
pub(crate) fn unpack(
    dir: &Path,
    into: &Path,
    choose: impl Fn(&Apt) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix("download-")
        .tempdir_in(dir)
        .with_context(|| format!("{}: cannot make a folder in it", dir.display()))?;
    // Paths of apt's own options: it resolves relative ones against its own folders.
    let downloads = scratch.path().canonicalize()?;
    let system = Apt { options: Vec::new() };
    if let Err(first) = choose(&system).and_then(|names| system.download(&downloads, &names)) {
        println!("reading the lists of packages anew");
        // Only root may renew those of the system.
        let own = Apt::with_own_lists(&downloads)?;
        choose(&own)
            .and_then(|names| own.download(&downloads, &names))
            .with_context(|| format!("{first:#}; then, with new lists"))?;
    }
    for package in files::list(&downloads)? {
        if package.extension().is_some_and(|end| end == "deb") {
            println!("unpacking {}", package.display());
            crate::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(into))?;
        }
    }
    Ok(())
}

impl Apt {
    /// Keeps its lists in `dir`.
    fn with_own_lists(dir: &Path) -> anyhow::Result<Self> {
        let lists = dir.join("lists");
        fs::create_dir_all(lists.join("partial"))?;
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        let apt = Self {
            options: vec![
                format!("Dir::State::Lists={}", lists.display()),
                format!("Dir::Cache={}", dir.join("cache").display()),
            ],
        };
        crate::run(
            Command::new("apt-get")
                .args(["update", "--quiet"])
                .args(apt.set()),
        )?;
        Ok(apt)
    }

    fn set(&self) -> impl Iterator<Item = &str> {
        let options = self.options.iter().map(String::as_str);
        options.chain([AS_CALLER]).flat_map(|option| ["-o", option])
    }

    /// The packages that `apt-cache depends` names for these arguments.
    pub(crate) fn depends(&self, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let output = Command::new("apt-cache")
            .args(self.set())
            .arg("depends")
            .args(arguments)
            .output()
            .context("cannot start apt-cache, which Debian has")?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    fn download(&self, dir: &Path, names: &[String]) -> anyhow::Result<()> {
        crate::run(
            Command::new("apt-get")
                .args(self.set())
                .args(["download", "--quiet"])
                .args(names)
                .current_dir(dir),
        )
    }
}
