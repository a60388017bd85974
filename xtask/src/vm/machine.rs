//! The emulator: what it is called with, its time limit, and what is needed of this system.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::Group;

/// Programs of the system, and the packages that have them.
const NEEDED: [(&str, &str); 7] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("apt-get", "apt"),
    ("strip", "binutils"),
    ("ldd", "libc-bin"),
];

/// Where programs for root are, which users may not have in their path.
const MORE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Programs of the system.
pub(crate) struct Tools {
    qemu: PathBuf,
    pub(crate) busybox: PathBuf,
    pub(crate) depmod: PathBuf,
    pub(crate) strip: PathBuf,
    pub(crate) ldd: PathBuf,
}

impl Tools {
    /// Finds them.
    ///
    /// # Errors
    /// One sentence that names the packages that are missing, and the command that installs them.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let [qemu, busybox, depmod, _, _, strip, ldd] = NEEDED.map(|(program, _)| find(program));
        let missing: Vec<&str> = NEEDED
            .iter()
            .filter(|(program, _)| find(program).is_none())
            .map(|(_, package)| *package)
            .collect();
        let (Some(qemu), Some(busybox), Some(depmod), Some(strip), Some(ldd), []) =
            (qemu, busybox, depmod, strip, ldd, &missing[..])
        else {
            bail!(
                "the virtual machine needs {}, which this system lacks; install with `sudo apt-get install \
                 --no-install-recommends {}`",
                missing.join(", "),
                missing.join(" ")
            );
        };
        // What starts the machine must not depend on what is in it.
        let bytes = std::fs::read(&busybox).with_context(|| format!("{}: cannot read", busybox.display()))?;
        if bytes
            .windows(INTERPRETER.len())
            .any(|window| window == INTERPRETER)
        {
            bail!(
                "{}: needs libraries, and the virtual machine starts with this alone; install with `sudo apt-get install busybox-static`",
                busybox.display()
            );
        }
        Ok(Self {
            qemu,
            busybox,
            depmod,
            strip,
            ldd,
        })
    }
}

/// A program that needs libraries names whoever loads them.
const INTERPRETER: &[u8] = b"/lib64/ld-linux-x86-64.so.2\0";

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// How a group's machine is emulated.
fn processor(group: Group) -> &'static [&'static str] {
    match group {
        Group::Camera | Group::Portable | Group::Uvc | Group::Serial => {
            &["-accel", "tcg,thread=multi", "-smp", "2"]
        }
        // Its clock counts instructions, 1 ns each: what runs in it is as fast as on a small computer, however long that takes here.
        Group::Loop => &["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"],
    }
}

/// What a group's machine has besides.
fn devices(group: Group) -> &'static [&'static str] {
    match group {
        Group::Camera | Group::Portable | Group::Uvc | Group::Loop => &[],
        // A cable, both of whose ends are in the machine, and a serial port at which it speaks to its own emulator: it can plug a USB
        // port into the cable and pull it out by itself. The far end is no USB port: the emulator's wait until the cable takes what
        // they send, and so does then the whole machine.
        Group::Serial => &[
            "-chardev",
            "socket,id=monitor,path=monitor,server=on,wait=off",
            "-mon",
            "chardev=monitor,mode=readline",
            "-chardev",
            "socket,id=hand,path=monitor",
            "-serial",
            "chardev:hand",
            "-chardev",
            "socket,id=near,path=cable,server=on,wait=off",
            "-chardev",
            "socket,id=far,path=cable",
            "-serial",
            "chardev:far",
            "-device",
            "qemu-xhci,id=usb",
        ],
    }
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Off,
    /// It was ended when its time was over.
    Late,
}

/// Boots `kernel` with the file system `initramfs` in `folder`, hands over each line that the machine says, and keeps what the kernel
/// says in `folder`.
pub(crate) fn run(
    folder: &Path,
    group: Group,
    kernel: &Path,
    tools: &Tools,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> anyhow::Result<Ended> {
    let mut machine = Command::new(&tools.qemu)
        .args(processor(group))
        .args(["-cpu", "max", "-m", "512"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-nographic"])
        .args([
            "-chardev",
            "file,id=console,path=console.txt",
            "-serial",
            "chardev:console",
        ])
        .args(["-chardev", "stdio,id=said,signal=off", "-serial", "chardev:said"])
        .args(devices(group))
        .arg("-kernel")
        .arg(kernel)
        .args(["-initrd", "initramfs", "-append", "console=ttyS0 quiet panic=1"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let output = machine.stdout.take().context("qemu has no output")?;
    let (sender, lines) = sync_channel(64);
    std::thread::Builder::new()
        .name("machine".to_owned())
        .spawn(move || {
            for said in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&said).into_owned()).is_err() {
                    return;
                }
            }
        })?;
    let end = Instant::now() + limit;
    let mut kept = std::fs::File::create_new(folder.join("said.txt"))?;
    let ended = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(said) => {
                let said = said.trim_end();
                writeln!(kept, "{said}")?;
                line(said);
            }
            Err(RecvTimeoutError::Timeout) => break Ended::Late,
            Err(RecvTimeoutError::Disconnected) => break Ended::Off,
        }
    };
    // One that has ended already cannot be ended.
    let _ = machine.kill();
    machine.wait()?;
    Ok(ended)
}
