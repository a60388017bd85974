//! A Debian kernel with its modules, by the package manager's own downloads, without root.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::machine::Tools;
use crate::debian;

/// The package that depends on the newest kernel.
const PACKAGE: &str = "linux-image-amd64";

/// What the names of packages with a kernel begin with.
const IMAGE: &str = "linux-image-";

/// A kernel that was unpacked.
pub(crate) struct Kernel {
    /// What is booted.
    pub(crate) image: PathBuf,
    /// Version, as modules have it.
    pub(crate) version: String,
    modules: PathBuf,
    /// Each module's file, and those of the modules that it needs; below `modules`.
    needs: HashMap<String, Vec<String>>,
}

/// The kernel in `dir`; fetched, unpacked and indexed when there is none yet.
pub(crate) fn ensure(dir: &Path, tools: &Tools) -> anyhow::Result<Kernel> {
    let place = dir.join("kernel");
    if fs::symlink_metadata(&place).is_err() {
        fs::create_dir_all(dir).with_context(|| format!("{}: cannot make the folder", dir.display()))?;
        let folder = files::NewFolder::begin(&place)?;
        fetch(dir, folder.path(), tools)?;
        folder.finish()?;
    }
    open(&place).with_context(|| {
        format!(
            "{}: holds no kernel; remove the folder to have one fetched",
            place.display()
        )
    })
}

/// Downloads the package and unpacks it into `into`.
fn fetch(dir: &Path, into: &Path, tools: &Tools) -> anyhow::Result<()> {
    debian::unpack(dir, into, |apt| {
        let name = apt
            .depends(&["--important", PACKAGE])?
            .into_iter()
            .find(|name| name.starts_with(IMAGE))
            .with_context(|| format!("apt-cache knows no package {PACKAGE}"))?;
        println!("fetching {name} (about 70 MB, kept in target/vm)");
        Ok(vec![name])
    })?;
    // Newer packages have their modules in `usr/lib`.
    if !into.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", into.join("lib"))?;
    }
    let version = version(into)?;
    crate::run(Command::new(&tools.depmod).arg("-b").arg(into).arg(&version))?;
    Ok(())
}

/// The version of the one kernel in `dir`.
fn version(dir: &Path) -> anyhow::Result<String> {
    let all = files::list(&dir.join("lib/modules"))?;
    let [one] = &all[..] else {
        bail!(
            "{}: has modules of {} kernels instead of one",
            dir.display(),
            all.len()
        );
    };
    Ok(one.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn open(dir: &Path) -> anyhow::Result<Kernel> {
    let version = version(dir)?;
    let modules = dir.join("lib/modules").join(&version);
    let list = modules.join("modules.dep");
    let text = fs::read_to_string(&list).with_context(|| format!("{}: cannot read", list.display()))?;
    let needs = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(file, needs)| {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            (file.to_owned(), needs)
        })
        .collect();
    let image = dir.join("boot").join(format!("vmlinuz-{version}"));
    if !image.is_file() {
        bail!("{}: is not there", image.display());
    }
    Ok(Kernel {
        image,
        version,
        modules,
        needs,
    })
}

/// The name of the module in a file: `usb/cdc-acm.ko.xz` holds `cdc_acm`.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.split(".ko").next().unwrap_or_default().replace('-', "_")
}

impl Kernel {
    /// The files of modules called `names` and of all that they need, below the folder of modules, with their contents.
    pub(crate) fn modules(&self, names: &[&str]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut files = BTreeSet::new();
        for name in names {
            let found = self.needs.keys().find(|file| name_of(file) == *name);
            // What is not a file of its own is in the kernel, or missed by whoever loads it.
            let Some(file) = found else { continue };
            files.insert(file);
            files.extend(&self.needs[file]);
        }
        files
            .into_iter()
            .map(|file| {
                let path = self.modules.join(file);
                let bytes = fs::read(&path).with_context(|| format!("{}: cannot read", path.display()))?;
                Ok((file.clone(), bytes))
            })
            .collect()
    }

    /// The lines of the index that those files need.
    pub(crate) fn index<'a>(&self, files: impl Iterator<Item = &'a String>) -> String {
        files
            .map(|file| format!("{file}: {}\n", self.needs[file].join(" ")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn modules_are_called_otherwise_than_their_files() {
        assert_eq!(name_of("kernel/drivers/usb/class/cdc-acm.ko.xz"), "cdc_acm");
        assert_eq!(name_of("vivid.ko"), "vivid");
    }
}
