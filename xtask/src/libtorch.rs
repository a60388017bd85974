//! LibTorch from the Python package registry: five libraries and the headers, no Python at run time.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use files::NewFolder;

/// The version `tch` is built for.
const VERSION: &str = "2.11.0";

/// Package, version, and the folder and libraries taken from it.
const PACKAGES: [(&str, &str, &str, &[&str]); 3] = [
    (
        "torch",
        VERSION,
        "torch/lib/",
        &["libc10.so", "libtorch_cpu.so", "libgomp.so.1"],
    ),
    (
        "nvidia-cuda-cupti",
        "13.0.85",
        "nvidia/cu13/lib/",
        &["libcupti.so.13"],
    ),
    (
        "nvidia-cuda-runtime",
        "13.0.96",
        "nvidia/cu13/lib/",
        &["libcudart.so.13"],
    ),
];

/// Tags the wheels may carry: pip matches them literally when asked for another Python than its own.
const PLATFORMS: [&str; 6] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Where LibTorch's libraries are: the user's own, or what [`ensure`] has fetched.
pub(crate) fn libraries(root: &Path) -> std::path::PathBuf {
    std::env::var_os("LIBTORCH")
        .map_or_else(|| root.join(".libtorch"), std::path::PathBuf::from)
        .join("lib")
}

/// Where libraries are looked for: LibTorch's first, then wherever the user says, such as for its CUDA half.
pub(crate) fn search_path(root: &Path) -> std::ffi::OsString {
    let mut path = libraries(root).into_os_string();
    if let Some(own) = std::env::var_os("LD_LIBRARY_PATH").filter(|own| !own.is_empty()) {
        path.push(":");
        path.push(own);
    }
    path
}

/// Makes sure that LibTorch is in `.libtorch`, or that the user points at one.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let dir = root.join(".libtorch");
    // Cargo's configuration sets LIBTORCH to that folder; anything else is the user's own.
    if let Some(own) = std::env::var_os("LIBTORCH").map(std::path::PathBuf::from)
        && own != dir
    {
        if !own.join("lib").exists() {
            bail!(
                "LIBTORCH={}: has no folder `lib`; name a LibTorch {VERSION}, or unset LIBTORCH to have it fetched",
                own.display()
            );
        }
        // The archives of pytorch.org say it in the first file, Python's packages in the second.
        let said = ["build-version", "version.py"].map(|file| fs::read_to_string(own.join(file)));
        if let Some(said) = said.into_iter().flatten().next()
            && !said.contains(VERSION)
        {
            bail!(
                "LIBTORCH={}: is another LibTorch ({}); name a LibTorch {VERSION}, or unset LIBTORCH to have it fetched",
                own.display(),
                said.lines()
                    .find(|line| line.contains(|c: char| c.is_ascii_digit()))
                    .unwrap_or_default()
            );
        }
        println!("using LibTorch from {}", own.display());
        return Ok(());
    }
    if fs::read_to_string(dir.join("build-version")).is_ok_and(|found| found.trim() == VERSION) {
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "LibTorch is fetched for Linux on x86-64 only; install LibTorch {VERSION} and set LIBTORCH to it"
        );
    }
    if fs::symlink_metadata(&dir).is_ok() {
        bail!(
            "{}: is there, and is not LibTorch {VERSION}; move it away to have that fetched, or set LIBTORCH to the one to use",
            dir.display()
        );
    }
    println!("fetching LibTorch {VERSION} for the trainer (about 550 MB to download, 500 MB kept)");
    let folder = NewFolder::begin(&dir)?;
    let partial = folder.path();
    let wheels = tempfile::Builder::new()
        .prefix(".wheels-")
        .tempdir_in(root)
        .with_context(|| format!("{}: cannot make a folder in it", root.display()))?;
    let mut pip = Command::new(crate::python::find()?);
    pip.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--implementation",
        "cp",
    ]);
    pip.args(["--python-version", "3.12", "--quiet", "--dest"])
        .arg(wheels.path());
    for platform in PLATFORMS {
        pip.args(["--platform", platform]);
    }
    pip.args(PACKAGES.map(|(name, version, ..)| format!("{name}=={version}")));
    crate::run(&mut pip)?;

    for path in files::list(wheels.path())? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('_', "-");
        let Some((_, _, inside, libraries)) = PACKAGES.iter().find(|(package, ..)| name.starts_with(package))
        else {
            continue;
        };
        println!("unpacking {name}");
        unpack(&path, partial, inside, libraries)?;
    }
    // The wheel's own libtorch.so pulls in CUDA; everything we need is in the CPU library.
    std::os::unix::fs::symlink("libtorch_cpu.so", partial.join("lib/libtorch.so"))?;
    fs::write(partial.join("build-version"), format!("{VERSION}\n"))?;
    folder.finish()?;
    println!("LibTorch is in {}", dir.display());
    Ok(())
}

fn unpack(wheel: &Path, into: &Path, folder: &str, libraries: &[&str]) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)
        .with_context(|| format!("{}: not a wheel", wheel.display()))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(name) = entry
            .enclosed_name()
            .map(|path| path.to_string_lossy().into_owned())
        else {
            continue;
        };
        let target = match name.strip_prefix("torch/include/") {
            Some(header) => into.join("include").join(header),
            None => match name.strip_prefix(folder) {
                Some(library) if libraries.contains(&library) => into.join("lib").join(library),
                _ => continue,
            },
        };
        if entry.is_dir() {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        io::copy(&mut entry, &mut File::create_new(&target)?)
            .with_context(|| format!("{}: cannot write", target.display()))?;
    }
    Ok(())
}
