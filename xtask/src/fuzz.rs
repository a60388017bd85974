//! The fuzz targets of `tests/fuzz`.
//!
//! They are built with coverage and the address sanitizer by `cargo-fuzz`, which needs a C++ compiler. What a run finds new goes to
//! `target/fuzz/corpus`, and an input that fails to `tests/fuzz/crashes`. The ordinary tests replay `tests/fuzz/corpus` and
//! `tests/fuzz/crashes`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;

use crate::{scratch, tools};

/// Known to build these targets.
const VERSION: &str = "0.13.2";

/// Name of each target, and the longest input in bytes.
const TARGETS: [(&str, usize); 5] = [
    ("frame", 2_000),
    ("configuration", 16_000),
    ("log", 64_000),
    ("frame_socket", 16_000),
    ("bundle", 40_000),
];

/// Seconds after which an input counts as one that hangs.
const TIMEOUT_S: u32 = 30;

/// Memory beyond which an input counts as one that asks for all of it, in MiB.
const MEMORY_MIB: u32 = 2_048;

/// Most bytes of a target's inputs that `--keep` leaves in the repository.
const KEPT_BYTES_MAX: u64 = 100_000;

/// The environment variable by which a target writes the inputs that it begins with.
const SEEDS: &str = "ARMILLARY_FUZZ_SEEDS";

#[derive(Args)]
pub(crate) struct Fuzz {
    /// Targets: `frame`, `configuration`, `log`, `frame_socket`, `bundle`; all if none is given.
    targets: Vec<String>,
    /// Minutes a target.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Add the inputs that matter, without those that add nothing, to `tests/fuzz/corpus`, up to 100 kB a target.
    #[arg(long)]
    keep: bool,
}

/// How a target's run went, as the fuzzer said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    executions: u64,
    /// Places in the code that were reached.
    coverage: u64,
    /// Inputs that reach something of their own.
    inputs: u64,
}

/// Builds the targets, runs each, and prints one table.
pub(crate) fn run(arguments: &Fuzz) -> anyhow::Result<()> {
    let chosen =
        |name: &str| arguments.targets.is_empty() || arguments.targets.iter().any(|word| word == name);
    if let Some(word) = arguments
        .targets
        .iter()
        .find(|word| TARGETS.iter().all(|(name, _)| name != word))
    {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no target `{word}`; the targets are {}",
            names.join(", ")
        );
    }
    let root = crate::root();
    let programs = build(&root)?;
    let mut table = Vec::new();
    let mut failed = Vec::new();
    scratch::within(&root, "fuzz", |work| {
        for (name, longest) in TARGETS.into_iter().filter(|(name, _)| chosen(name)) {
            let target = Target {
                root: &root,
                program: programs.join(name),
                name,
                longest,
                work,
            };
            let (found, passed) = target.run(arguments.minutes)?;
            table.push((name, found));
            if !passed {
                failed.push(name);
            } else if arguments.keep {
                target.keep()?;
            }
        }
        Ok(())
    })?;
    println!("| target | executions | places reached | inputs | failed |");
    println!("|---|---|---|---|---|");
    for (name, found) in &table {
        println!(
            "| {name} | {} | {} | {} | {} |",
            found.executions,
            found.coverage,
            found.inputs,
            if failed.contains(name) { "yes" } else { "no" }
        );
    }
    if !failed.is_empty() {
        bail!(
            "inputs that fail are in tests/fuzz/crashes ({}): `cargo test --release -p armillary-tests --test armillary corpus` replays \
             them; mend what they show, and keep them there",
            failed.join(", ")
        );
    }
    Ok(())
}

/// Builds all targets, and returns the folder of their programs.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    tools::ensure("cargo-fuzz", VERSION)?;
    let host = host()?;
    let built = root.join("target/fuzz");
    println!("building the targets in {}", built.display());
    crate::run(
        Command::new(root.join(".tools/bin/cargo-fuzz"))
            .args(["fuzz", "build", "--fuzz-dir", "tests/fuzz", "--target", &host])
            .arg("--target-dir")
            .arg(&built)
            // Coverage and sanitizers are options of the compiler that only its nightly releases offer otherwise.
            .env("RUSTC_BOOTSTRAP", "1")
            .current_dir(root),
    )
    .context("the fuzz targets cannot be built; they need a C++ compiler (Debian: `apt-get install g++`)")?;
    Ok(built.join(host).join("release"))
}

/// The name of this machine's platform.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

/// A target and its folders.
struct Target<'a> {
    root: &'a Path,
    program: PathBuf,
    name: &'static str,
    longest: usize,
    /// Where it may leave files.
    work: &'a Path,
}

impl Target<'_> {
    /// The inputs in the repository.
    fn kept(&self) -> PathBuf {
        self.root.join("tests/fuzz/corpus").join(self.name)
    }

    /// The inputs of earlier runs.
    fn corpus(&self) -> PathBuf {
        self.root.join("target/fuzz/corpus").join(self.name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("-max_len={}", self.longest))
            .arg(format!("-timeout={TIMEOUT_S}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            // What is left behind when it is killed.
            .env("TMPDIR", self.work)
            .current_dir(self.root);
        command
    }

    /// Runs it for so many minutes; returns what it found, and whether no input failed.
    fn run(&self, minutes: f64) -> anyhow::Result<(Found, bool)> {
        let crashes = self.root.join("tests/fuzz/crashes").join(self.name);
        for dir in [&self.corpus(), &self.kept(), &crashes] {
            fs::create_dir_all(dir).with_context(|| format!("{}: cannot make the folder", dir.display()))?;
        }
        crate::run(self.command().env(SEEDS, self.corpus()))?;
        println!("{}: {minutes} minutes", self.name);
        let mut child = self
            .command()
            .arg(format!("-max_total_time={:.0}", (60.0 * minutes).max(1.0)))
            .arg("-print_final_stats=1")
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args([self.corpus(), self.kept()])
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{}: cannot start it", self.program.display()))?;
        let mut found = Found::default();
        let mut last = Vec::new();
        if let Some(errors) = child.stderr.take() {
            for line in BufReader::new(errors).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                found.read(&line);
                last.push(line);
                if last.len() > 60 {
                    last.remove(0);
                }
            }
        }
        let status = child.wait()?;
        if !status.success() {
            println!("{}", last.join("\n"));
        }
        Ok((found, status.success()))
    }

    /// Adds the inputs that matter to those in the repository, the smallest first.
    fn keep(&self) -> anyhow::Result<()> {
        let merged = self.work.join(format!("{}-merged", self.name));
        fs::create_dir_all(&merged)?;
        crate::run(
            self.command()
                .arg("-set_cover_merge=1")
                .arg(&merged)
                .args([self.kept(), self.corpus()])
                .stderr(Stdio::null()),
        )?;
        let mut inputs = files::list(&merged)?
            .into_iter()
            .map(|path| Ok((fs::metadata(&path)?.len(), path)))
            .collect::<std::io::Result<Vec<_>>>()?;
        inputs.sort();
        let mut bytes: u64 = files::list(&self.kept())?
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|metadata| metadata.len())
            .sum();
        for (length, path) in inputs {
            bytes += length;
            if bytes > KEPT_BYTES_MAX {
                break;
            }
            let name = path.file_name().unwrap_or_default();
            let content = files::read(&path)?;
            // An input is named by its hash: what has the name is the same.
            files::put(&self.kept().join(name), &content, &|there| {
                content.starts_with(there)
            })?;
        }
        Ok(())
    }
}

impl Found {
    /// Takes in a line of the fuzzer's.
    fn read(&mut self, line: &str) {
        if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = executions.trim().parse().unwrap_or(self.executions);
            return;
        }
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|word| word.starts_with('#')) {
            return;
        }
        while let Some(word) = words.next() {
            let number = |word: Option<&str>| word?.split('/').next()?.parse().ok();
            match word {
                "cov:" => self.coverage = number(words.next()).unwrap_or(self.coverage),
                "corp:" => self.inputs = number(words.next()).unwrap_or(self.inputs),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Found;

    #[test]
    fn the_fuzzers_lines_are_understood() {
        let mut found = Found::default();
        for line in [
            "INFO: Seed: 1234",
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#4096\tpulse  cov: 400 ft: 900 corp: 31/20Kb lim: 40 exec/s: 200 rss: 60Mb",
            "stat::number_of_executed_units: 5000",
            "stat::new_units_added: 12",
        ] {
            found.read(line);
        }
        let expected = Found {
            executions: 5000,
            coverage: 400,
            inputs: 31,
        };
        assert_eq!(found, expected);
    }
}
