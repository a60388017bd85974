//! Device drivers against the kernel's own, in a small virtual machine: cameras of `vivid` and `uvcvideo`, USB serial ports, and
//! `armillary run` between a USB camera and an arm on a USB cable.
//!
//! The machine is emulated and needs neither root nor hardware: a Debian kernel with its modules, busybox, and programs of this
//! workspace with the libraries that they need. Each group of checks has a machine of its own.

mod archive;
mod checks;
mod guest;
mod kernel;
mod machine;
mod programs;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};

use checks::{CHECKS, Check};

#[derive(Args)]
pub(crate) struct Vm {
    /// What to check; everything but `portable` if nothing is named.
    groups: Vec<Group>,
    /// List the checks and do nothing.
    #[arg(long)]
    list: bool,
    /// Keep the folder with what was booted and what was said, also when all is well.
    #[arg(long)]
    keep: bool,
    /// Most seconds that one machine may take.
    #[arg(long, default_value_t = 600)]
    limit_s: u64,
}

/// Checks that share a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// The webcam on the kernel's test camera, `vivid`.
    Camera,
    /// The webcam on `uvcvideo`: a USB camera of software, plugged in by USB/IP.
    Uvc,
    /// The camera library nokhwa on `vivid`. Building it needs libclang (`LIBCLANG_PATH`).
    Portable,
    /// An arm on USB serial ports, `ftdi_sio` and `cdc_acm`, that are unplugged while it moves.
    Serial,
    /// `armillary run`, which sees a simulated arm by `uvcvideo` and drives it by `cdc_acm`.
    Loop,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Uvc => "uvc",
            Self::Portable => "portable",
            Self::Serial => "serial",
            Self::Loop => "loop",
        }
    }
}

pub(crate) fn run(arguments: &Vm) -> anyhow::Result<()> {
    let chosen: Vec<Group> = Group::value_variants()
        .iter()
        .copied()
        .filter(|group| match arguments.groups[..] {
            [] => *group != Group::Portable,
            _ => arguments.groups.contains(group),
        })
        .collect();
    if arguments.list {
        table::list(&chosen);
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the virtual machine is made for Linux on x86-64 only");
    }
    let root = crate::root();
    let tools = machine::Tools::find()?;
    let begun = Instant::now();
    let kernel = kernel::ensure(&root.join("target/vm"), &tools)?;
    println!("building the programs of the virtual machine");
    for group in &chosen {
        programs::build(&root, *group)?;
    }
    println!("ready after {:.0} s", begun.elapsed().as_secs_f64());
    crate::scratch::kept_if(arguments.keep, &root, "vm", |folder| {
        table::head();
        let mut failed = 0;
        for group in chosen {
            let limit = Duration::from_secs(arguments.limit_s);
            failed += check(folder, group, limit, &kernel, &tools)?;
        }
        println!("{:.0} s in all", begun.elapsed().as_secs_f64());
        match failed {
            0 => Ok(()),
            1 => bail!("a check failed"),
            _ => bail!("{failed} checks failed"),
        }
    })
}

/// Boots a machine for `group` and prints a row a check; returns how many failed.
fn check(
    folder: &Path,
    group: Group,
    limit: Duration,
    kernel: &kernel::Kernel,
    tools: &machine::Tools,
) -> anyhow::Result<usize> {
    let folder = folder.join(group.name());
    std::fs::create_dir(&folder)?;
    let checks: Vec<&Check> = CHECKS.iter().filter(|check| check.group == group).collect();
    let image = guest::image(group, &checks, kernel, &folder, tools)?;
    std::fs::write(folder.join("initramfs"), image)?;
    let booted = Instant::now();
    let (mut done, mut failed) = (0, 0);
    let mut outcomes = table::Outcomes::default();
    let ended = machine::run(&folder, group, &kernel.image, tools, limit, |line| {
        if let Some(outcome) = outcomes.line(line) {
            let check = checks.get(done).copied();
            done += 1;
            failed += usize::from(check.is_some_and(|check| !table::row(check, &outcome)));
        }
    })?;
    for check in &checks[done.min(checks.len())..] {
        failed += 1;
        table::missing(check, ended);
    }
    let seconds = booted.elapsed().as_secs_f64();
    println!(
        "{}: {:.0} s, of which {:.0} s until the first check",
        group.name(),
        seconds,
        outcomes.first_s()
    );
    Ok(failed)
}
