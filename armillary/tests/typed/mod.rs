//! A person at a terminal who types.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `command` for a person who types `words`.
pub(crate) fn typed(command: &mut Command, words: &str) -> Output {
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let child = command
        .stdin(terminal.slave)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut person = File::from(terminal.master);
    person.write_all(words.as_bytes()).expect("types");
    child.wait_with_output().expect("ends")
}
