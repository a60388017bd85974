//! An output that nobody reads.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe that is full and that nobody reads, as a terminal after Ctrl-S. It is stuck for as long as the first end is kept.
pub(crate) fn stuck() -> (OwnedFd, Stdio) {
    let (read, write) = nix::unistd::pipe().expect("a pipe");
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("its flags");
    let mut filled = File::from(write.try_clone().expect("a descriptor"));
    while filled.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&write, FcntlArg::F_SETFL(OFlag::empty())).expect("its flags");
    (read, Stdio::from(write))
}
