//! What is at the path of a port, and why it does not open.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, major, minor};
use nix::sys::termios::{ControlFlags, SetArg, tcgetattr, tcsetattr};
use serialport::{ErrorKind, TTYPort};

use robot::device::LinkError;

/// Refuses what is no serial port without opening it: a pipe may wait, and a terminal of ours would be lost to its user.
pub(super) fn check(port: &str) -> Result<(), LinkError> {
    let metadata = std::fs::metadata(Path::new(port)).map_err(|source| {
        let port = port.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => LinkError::PortMissing { port },
            io::ErrorKind::PermissionDenied => LinkError::Permission { port },
            _ => LinkError::CannotOpen { port, source },
        }
    })?;
    match not_a_port(&metadata) {
        Some(found) => Err(LinkError::NotAPort {
            port: port.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

fn not_a_port(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_char_device() {
        return not_a_port_of_an_arm(metadata.rdev());
    }
    Some(files::kind_of(metadata).unwrap_or("a file"))
}

/// Terminals that a person sits at. To open one as an arm would take its keys away from them.
fn not_a_port_of_an_arm(device: u64) -> Option<&'static str> {
    let is_ours = |fd: BorrowedFd<'_>| fd.is_terminal() && fstat(fd).is_ok_and(|stat| stat.st_rdev == device);
    if is_ours(io::stdin().as_fd()) || is_ours(io::stdout().as_fd()) || is_ours(io::stderr().as_fd()) {
        return Some("the terminal that this program runs in");
    }
    if !cfg!(target_os = "linux") {
        return None;
    }
    // The numbers are those of Linux's list of devices.
    match (major(device), minor(device)) {
        (5, 0) => Some("the terminal that this program runs in"),
        (5, 1) | (4, 0..=63) => Some("a console of this computer"),
        (5, 2) => Some("the device that makes pseudo-terminals"),
        _ => None,
    }
}

/// Why the library could not open `name`.
pub(super) fn error(name: &str, error: &serialport::Error) -> LinkError {
    let port = name.to_owned();
    match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => LinkError::PortMissing { port },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => LinkError::Permission { port },
        // What serialport makes of EBUSY and of a refused lock.
        ErrorKind::NoDevice => LinkError::Busy { port },
        // The library does not pass the system's own number on.
        _ if is_other_device(name) => LinkError::NotAPort {
            port,
            found: "a device of another kind",
        },
        ErrorKind::Io(kind) => LinkError::CannotOpen {
            port,
            source: io::Error::new(kind, error.description.clone()),
        },
        ErrorKind::InvalidInput | ErrorKind::Unknown => LinkError::CannotOpen {
            port,
            source: io::Error::other(error.description.clone()),
        },
    }
}

/// Whether the device can be opened and is no terminal.
fn is_other_device(name: &str) -> bool {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let opened: io::Result<File> = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(name);
    opened.is_ok_and(|device| !device.is_terminal())
}

/// Tells the system to leave DTR as it is when the port is closed.
pub(super) fn keep_dtr_at_close(port: &TTYPort) -> nix::Result<()> {
    // SAFETY: the port owns this descriptor and outlives the borrow, which ends with this call.
    let fd = unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) };
    let mut termios = tcgetattr(fd)?;
    termios.control_flags.remove(ControlFlags::HUPCL);
    tcsetattr(fd, SetArg::TCSANOW, &termios)
}
