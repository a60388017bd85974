//! LLVM's own programs that read the counters, of the version that rustc was built with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{debian, run as command};

/// Where they are.
pub(super) struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
    libraries: OsString,
}

/// How often each line of a source ran.
pub(super) type Lines = BTreeMap<PathBuf, BTreeMap<u32, u64>>;

/// The programs, from Debian's packages, unpacked into `.tools` without root if they are not there yet.
pub(super) fn ensure(root: &Path) -> anyhow::Result<Tools> {
    let version = version()?;
    let dir = root.join(".tools").join(format!("llvm-{version}"));
    let bin = dir.join(format!("usr/lib/llvm-{version}/bin"));
    if !bin.join("llvm-cov").exists() {
        println!("fetching LLVM {version} into {} (57 MB, once)", dir.display());
        std::fs::create_dir_all(&dir)?;
        debian::unpack(&dir, &dir, |_| {
            Ok([
                format!("llvm-{version}"),
                format!("libllvm{version}"),
                "libz3-4".to_owned(),
                "libpfm4".to_owned(),
            ]
            .into())
        })
        .with_context(|| format!("rustc was built with LLVM {version}, whose programs read its counters"))?;
    }
    let libraries = std::env::join_paths([
        dir.join(format!("usr/lib/llvm-{version}/lib")),
        dir.join("usr/lib/x86_64-linux-gnu"),
    ])?;
    Ok(Tools {
        profdata: bin.join("llvm-profdata"),
        cov: bin.join("llvm-cov"),
        libraries,
    })
}

/// The first number of LLVM's version in rustc.
fn version() -> anyhow::Result<u32> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| {
            line.strip_prefix("LLVM version: ")?
                .split('.')
                .next()?
                .parse()
                .ok()
        })
        .context("rustc does not say which LLVM it was built with")
}

impl Tools {
    /// Adds up all counters in `folder`, which `programs` have written there.
    pub(super) fn lines(&self, folder: &Path, programs: &[PathBuf]) -> anyhow::Result<Lines> {
        let counts: Vec<PathBuf> = files::list(folder)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "profraw"))
            .collect();
        let merged = folder.join("all.profdata");
        command(
            Command::new(&self.profdata)
                .args(["merge", "-sparse", "-o"])
                .arg(&merged)
                .args(counts)
                .env("LD_LIBRARY_PATH", &self.libraries),
        )?;
        let Some((first, others)) = programs.split_first() else {
            bail!("no test was built");
        };
        let mut export = Command::new(&self.cov);
        export
            .args(["export", "-format=lcov", "-instr-profile"])
            .arg(&merged)
            .arg(first);
        for other in others {
            export.arg("-object").arg(other);
        }
        let output = export
            .env("LD_LIBRARY_PATH", &self.libraries)
            .output()
            .context("cannot start llvm-cov")?;
        if !output.status.success() {
            bail!("llvm-cov: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(read(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Reads `SF:` (a source) and `DA:` (a line and how often it ran) of an lcov file.
fn read(lcov: &str) -> Lines {
    let mut lines = Lines::new();
    let mut source = PathBuf::new();
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            source = PathBuf::from(path);
        } else if let Some((number, count)) = line.strip_prefix("DA:").and_then(|pair| pair.split_once(','))
            && let (Ok(number), Ok(count)) = (number.parse(), count.parse::<u64>())
        {
            // A source that several programs have is listed once a program.
            let of_source = lines.entry(source.clone()).or_default();
            *of_source.entry(number).or_default() += count;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_programs_add_up() {
        let lines =
            read("SF:/a.rs\nFN:1,x\nDA:3,0\nDA:4,2\nend_of_record\nSF:/b.rs\nDA:1,1\nSF:/a.rs\nDA:3,5\n");
        assert_eq!(lines[Path::new("/a.rs")], BTreeMap::from([(3, 5), (4, 2)]));
        assert_eq!(lines[Path::new("/b.rs")], BTreeMap::from([(1, 1)]));
    }
}
