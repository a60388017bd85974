//! The firmware for a Raspberry Pi Pico: an image for a debug probe, and one to be copied onto the board.
//!
//! It needs Rust's core library for the chip. `rustup target add thumbv6m-none-eabi` fetches it. Where that is not possible, a compiler of
//! Debian's with the source of its library is unpacked, and the core library is built with it.

mod uf2;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// What the chip is called.
const TARGET: &str = "thumbv6m-none-eabi";

/// Debian's newer compiler, and its library's source.
const COMPILER: &str = "rustc-web";
const SOURCE: &str = "rust-web-src";

/// How a compiler builds for the chip.
enum Toolchain {
    /// It has the core library.
    Ready,
    /// It builds the core library from source.
    FromSource { root: PathBuf, linker: PathBuf },
}

/// Builds the firmware and says how large it is.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = crate::root();
    let out = root.join("target/firmware");
    let toolchain = toolchain(&out)?;
    let built = out.join("build");
    let mut build = Command::new(crate::cargo());
    build
        .args(["build", "--release", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(&built)
        .current_dir(root.join("firmware-bridge/firmware/pico"));
    if let Toolchain::FromSource { root, linker } = &toolchain {
        build
            .args(["-Z", "build-std=core"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", root.join("usr/bin/rustc"))
            .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
            .env("CARGO_TARGET_THUMBV6M_NONE_EABI_LINKER", linker);
    }
    crate::run(&mut build)?;
    let elf = built.join(TARGET).join("release/armillary-pico");
    let image = uf2::Image::of_elf(&files::read(&elf)?)
        .with_context(|| format!("{}: cannot make an image", elf.display()))?;
    let uf2 = out.join("armillary-pico.uf2");
    files::put(&uf2, &image.uf2(), &uf2::is_uf2)?;
    println!("{}: for a debug probe", elf.display());
    println!(
        "{}: {} bytes of flash, to be copied onto the drive RPI-RP2",
        uf2.display(),
        image.bytes()
    );
    Ok(())
}

/// A compiler for the chip; in `dir` where one has to be fetched.
fn toolchain(dir: &Path) -> anyhow::Result<Toolchain> {
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot make the folder", dir.display()))?;
    if sysroot_has(TARGET)? {
        return Ok(Toolchain::Ready);
    }
    println!("Rust's core library for {TARGET} is not installed: `rustup target add {TARGET}` fetches it");
    let linker = linker()?;
    let place = dir.join("compiler");
    if fs::symlink_metadata(&place).is_err() {
        println!(
            "until then: a compiler of Debian's, with the source of the library (140 MB, 850 MB unpacked, kept in target/firmware)"
        );
        let folder = files::NewFolder::begin(&place)?;
        fetch(dir, folder.path()).with_context(|| {
            format!("no compiler for {TARGET}: the firmware is not built; run `rustup target add {TARGET}`, then this command again")
        })?;
        folder.finish()?;
    }
    Ok(Toolchain::FromSource { root: place, linker })
}

fn rustc(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc")
        .args(arguments)
        .output()
        .context("cannot start rustc")?;
    if !output.status.success() {
        bail!(
            "rustc {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn sysroot_has(target: &str) -> anyhow::Result<bool> {
    Ok(rustc(&["--print", "target-libdir", "--target", target])?.is_dir())
}

/// The linker that comes with every compiler of rustup's.
fn linker() -> anyhow::Result<PathBuf> {
    let libraries = rustc(&["--print", "target-libdir"])?;
    let linker = libraries.with_file_name("bin").join("rust-lld");
    if !linker.is_file() {
        bail!(
            "{}: there is no linker for other processors here; run `rustup target add {TARGET}` with a compiler of rustup's",
            linker.display()
        );
    }
    Ok(linker)
}

/// Unpacks the compiler, the libraries that it needs, and the source of its own.
fn fetch(dir: &Path, into: &Path) -> anyhow::Result<()> {
    crate::debian::unpack(dir, into, |apt| {
        let all = apt.depends(&["--recurse", "--important", COMPILER])?;
        let mut names: Vec<String> = all
            .into_iter()
            .filter(|name| name.starts_with("libstd-rust-web") || name.starts_with("libllvm"))
            .chain([COMPILER, SOURCE].map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    })
}
