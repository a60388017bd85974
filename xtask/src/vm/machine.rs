//! The emulator: what it is called with, its time limit, and what is needed of this system.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Programs of the system, and the packages that have them.
const NEEDED: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("apt-get", "apt"),
];

/// Where programs for root are, which users may not have in their path.
const MORE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Programs of the system.
pub(crate) struct Tools {
    qemu: PathBuf,
    pub(crate) busybox: PathBuf,
    pub(crate) depmod: PathBuf,
}

impl Tools {
    /// Finds them.
    ///
    /// # Errors
    /// One sentence that names the packages that are missing, and the command that installs them.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let missing: Vec<&str> = NEEDED
            .iter()
            .filter(|(program, _)| find(program).is_none())
            .map(|(_, package)| *package)
            .collect();
        let found = (find("qemu-system-x86_64"), find("busybox"), find("depmod"));
        let (Some(qemu), Some(busybox), Some(depmod), []) = (found.0, found.1, found.2, &missing[..]) else {
            bail!(
                "the virtual machine needs {}, which this system lacks; install with `sudo apt-get install \
                 --no-install-recommends {}`",
                missing.join(", "),
                missing.join(" ")
            );
        };
        // In the machine there are no libraries.
        let bytes = std::fs::read(&busybox).with_context(|| format!("{}: cannot read", busybox.display()))?;
        if bytes
            .windows(INTERPRETER.len())
            .any(|window| window == INTERPRETER)
        {
            bail!(
                "{}: needs libraries, which the virtual machine lacks; install with `sudo apt-get install busybox-static`",
                busybox.display()
            );
        }
        Ok(Self {
            qemu,
            busybox,
            depmod,
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
    kernel: &Path,
    tools: &Tools,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> anyhow::Result<Ended> {
    let mut machine = Command::new(&tools.qemu)
        .args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-m",
            "512",
            "-smp",
            "2",
        ])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-nographic"])
        .args([
            "-chardev",
            "file,id=console,path=console.txt",
            "-serial",
            "chardev:console",
        ])
        .args(["-chardev", "stdio,id=said,signal=off", "-serial", "chardev:said"])
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
    let mut all = String::new();
    let ended = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(said) => {
                let said = said.trim_end();
                all.push_str(said);
                all.push('\n');
                line(said);
            }
            Err(RecvTimeoutError::Timeout) => break Ended::Late,
            Err(RecvTimeoutError::Disconnected) => break Ended::Off,
        }
    };
    // One that has ended already cannot be ended.
    let _ = machine.kill();
    machine.wait()?;
    std::fs::write(folder.join("said.txt"), all)?;
    Ok(ended)
}
