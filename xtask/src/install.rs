//! `cargo xtask install`: builds the programs, and puts them where the shell finds them, without root.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use files::OutputError;

use crate::libtorch;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// Folder for the programs; cargo's own if not given (`~/.cargo/bin`)
    #[arg(long)]
    to: Option<PathBuf>,
    /// Replace programs of these names that are not ours
    #[arg(long)]
    force: bool,
}

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
enum Placed {
    New,
    Replaced,
    Same,
}

/// Builds and installs. `armillary-train` only where LibTorch is set up.
pub(crate) fn run(arguments: &Install, root: &Path) -> anyhow::Result<()> {
    let folder = match &arguments.to {
        Some(folder) => std::path::absolute(folder)?,
        None => cargo_bin()?,
    };
    let torch = libtorch::libraries(root);
    let trains = torch.join("libtorch_cpu.so").exists();
    let mut programs = vec!["armillary"];
    if trains {
        programs.push("armillary-train");
    }
    // Before minutes of building.
    for program in &programs {
        look(&folder.join(program), arguments.force)?;
    }
    if trains {
        libtorch::ensure(root)?;
        crate::build(root)?;
    } else {
        println!("building");
        crate::run(
            Command::new(crate::cargo())
                .args(["build", "--release", "--quiet", "--package", "armillary"])
                .current_dir(root),
        )?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot make the folder", folder.display()))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |own| root.join(own));
    for program in &programs {
        let place = folder.join(program);
        let said = match put(&target.join("release").join(program), &place, arguments.force)? {
            Placed::New => "installed",
            Placed::Replaced => "replaced the one of before",
            Placed::Same => "is this one already",
        };
        println!("{}: {said}", place.display());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut words: Vec<String> = programs
        .iter()
        .filter_map(|program| on_path(&folder, program, &path))
        .collect();
    words.dedup();
    for word in words {
        println!("{word}");
    }
    if trains {
        println!(
            "armillary-train finds LibTorch in {}: leave that folder where it is, or install again",
            torch.display()
        );
    } else {
        println!(
            "armillary-train is left out, since LibTorch is not set up: `cargo xtask setup`, then install again"
        );
    }
    Ok(())
}

/// Where cargo puts programs.
fn cargo_bin() -> anyhow::Result<PathBuf> {
    let named = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    named("CARGO_INSTALL_ROOT")
        .or_else(|| named("CARGO_HOME"))
        .or_else(|| named("HOME").map(|home| home.join(".cargo")))
        .map(|folder| folder.join("bin"))
        .context("neither CARGO_HOME nor HOME is set: name a folder with --to")
}

/// Refuses a place that holds something else than a program of ours. Returns what is there.
fn look(place: &Path, force: bool) -> anyhow::Result<Option<Vec<u8>>> {
    let name = place.display();
    let Ok(metadata) = fs::symlink_metadata(place) else {
        return Ok(None);
    };
    if metadata.is_symlink() {
        bail!("{name}: is a link; remove it, or name another folder with --to");
    }
    if !metadata.is_file() {
        bail!("{name}: is no file; move it away, or name another folder with --to");
    }
    let there = files::read(place).with_context(|| format!("{name}: cannot look at it"))?;
    // Our programs have the mark among their constants.
    if !force && !files::is_marked(&there) {
        bail!(
            "{name}: is another program; move it away, name another folder with --to, or give --force to replace it"
        );
    }
    Ok(Some(there))
}

/// Puts the program `built` at `place`, in one step.
fn put(built: &Path, place: &Path, force: bool) -> anyhow::Result<Placed> {
    let program = files::read(built).with_context(|| format!("{}: was not built", built.display()))?;
    let there = look(place, force)?;
    let is_executable =
        |place: &Path| fs::metadata(place).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    if there.as_ref() == Some(&program) && is_executable(place) {
        return Ok(Placed::Same);
    }
    let failed = |source| OutputError::Io {
        path: place.to_owned(),
        doing: "cannot write",
        source,
    };
    files::put_with(place, &|_| true, |file| {
        fs::write(file, &program).map_err(failed)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).map_err(failed)
    })?;
    if !is_executable(place) {
        // A file that is replaced gives its permissions on.
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(if there.is_some() {
        Placed::Replaced
    } else {
        Placed::New
    })
}

/// Which program the shell starts by this name, if it is not the one in `folder`.
fn on_path(folder: &Path, program: &str, path: &OsStr) -> Option<String> {
    for before in env::split_paths(path) {
        if fs::canonicalize(&before).ok() == fs::canonicalize(folder).ok() && before.exists() {
            return None;
        }
        let other = before.join(program);
        let runs = fs::metadata(&other)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if runs {
            return Some(format!(
                "{}: stands before it in PATH, and is what `{program}` starts; remove it, or put {} first",
                other.display(),
                folder.display()
            ));
        }
    }
    Some(format!(
        "{0} is not in PATH: write `export PATH=\"{0}:$PATH\"` into your shell's profile to start what is in it by its name",
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str) -> Vec<u8> {
        [text.as_bytes(), &[0; 100_000], files::MARK].concat()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_program_is_installed_once_and_replaced_by_a_newer_one() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (built, place) = (dir.path().join("built"), dir.path().join("armillary"));
        fs::write(&built, ours("one")).expect("writes");
        assert_eq!(put(&built, &place, false).expect("free"), Placed::New);
        assert_eq!(mode(&place), 0o755);
        assert_eq!(put(&built, &place, false).expect("ours"), Placed::Same);
        fs::write(&built, ours("two")).expect("writes");
        assert_eq!(put(&built, &place, false).expect("ours"), Placed::Replaced);
        assert_eq!(fs::read(&place).expect("there"), ours("two"));
        fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).expect("sets");
        assert_eq!(put(&built, &place, false).expect("ours"), Placed::Replaced);
        assert_eq!(mode(&place), 0o755);
    }

    #[test]
    fn what_is_not_ours_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (built, place) = (dir.path().join("built"), dir.path().join("armillary"));
        fs::write(&built, ours("one")).expect("writes");
        fs::write(&place, "another program").expect("writes");
        let error = put(&built, &place, false).expect_err("refused").to_string();
        assert!(
            error.contains("armillary") && error.contains("--force"),
            "{error}"
        );
        assert_eq!(fs::read(&place).expect("there"), b"another program");
        assert_eq!(put(&built, &place, true).expect("told to"), Placed::Replaced);
        // Not even when told: what a link leads to may be anybody's.
        for name in ["folder", "link"] {
            let place = dir.path().join(name);
            match name {
                "folder" => fs::create_dir(&place).expect("makes"),
                _ => std::os::unix::fs::symlink(&built, &place).expect("links"),
            }
            assert!(put(&built, &place, true).is_err(), "{name}");
        }
    }

    #[test]
    fn what_the_shell_would_start_is_told() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        for folder in [&first, &second] {
            fs::create_dir(folder).expect("makes");
        }
        let path = env::join_paths([&first, &second]).expect("joins");
        let word = || on_path(&second, "armillary", &path);
        assert_eq!(word(), None);
        // A file that cannot be started shadows nothing.
        let other = first.join("armillary");
        fs::write(&other, "x").expect("writes");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).expect("sets");
        assert_eq!(word(), None);
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("sets");
        assert!(word().is_some_and(|word| word.contains("before") && word.contains("first")));
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("makes");
        fs::remove_file(&other).expect("removes");
        assert!(on_path(&elsewhere, "armillary", &path).is_some_and(|word| word.contains("export PATH")));
    }
}
