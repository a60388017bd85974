//! A person at a terminal, in front of this program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

/// A person at a terminal.
pub(crate) struct Person {
    program: Child,
    terminal: File,
    output: std::process::ChildStdout,
    said: String,
}

impl Person {
    /// Starts the program with `arguments`.
    pub(crate) fn starts<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let terminal = nix::pty::openpty(None, None).expect("a terminal");
        let mut program = Command::new(PROGRAM)
            .args(arguments)
            .stdin(Stdio::from(terminal.slave))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = program.stdout.take().expect("piped");
        Self {
            program,
            terminal: File::from(terminal.master),
            output,
            said: String::new(),
        }
    }

    /// Reads until one of `words` is said, and says which.
    pub(crate) fn hears(&mut self, words: &[&str]) -> usize {
        let heard = self.hears_or_ends(words);
        heard.unwrap_or_else(|| panic!("it ended before it said one of {words:?}: {}", self.said))
    }

    /// The same; `None` if the program ends before.
    pub(crate) fn hears_or_ends(&mut self, words: &[&str]) -> Option<usize> {
        let mut bytes = [0; 512];
        loop {
            let first = words
                .iter()
                .enumerate()
                .filter_map(|(index, word)| Some((self.said.find(word)?, index)))
                .min();
            if let Some((at, index)) = first {
                self.said.drain(..at + words[index].len());
                return Some(index);
            }
            let count = self.output.read(&mut bytes).expect("it speaks");
            if count == 0 {
                return None;
            }
            self.said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.terminal, "{line}").expect("the terminal is open");
    }

    pub(crate) fn succeeds(mut self) -> bool {
        self.program.wait().expect("it ends").success()
    }
}
