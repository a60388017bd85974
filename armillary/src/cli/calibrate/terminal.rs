//! The person at this terminal.

use std::io::{IsTerminal, Read as _};
use std::os::fd::AsFd;

use anyhow::{Context, bail};
use armillary::calibrate::Person;
use armillary::console::To;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::say::{ask, say};

/// Whoever types here.
pub(super) struct Terminal {
    /// What is shown in place, letters; to be wiped out by the next.
    shown: usize,
    in_place: bool,
}

impl Terminal {
    /// Fails where nobody types.
    pub(super) fn new(command: &str) -> anyhow::Result<Self> {
        if !std::io::stdin().is_terminal() {
            bail!("{command} asks a person: start it on a terminal, with the keyboard as its input");
        }
        Ok(Self {
            shown: 0,
            in_place: std::io::stdout().is_terminal(),
        })
    }

    fn wipe(&mut self) {
        if self.shown > 0 {
            say(&format!("\r{}\r", " ".repeat(self.shown)));
            self.shown = 0;
        }
    }
}

/// A line that was typed, byte by byte, so that nothing is read ahead of a question.
fn line() -> anyhow::Result<String> {
    let mut typed = Vec::new();
    let mut byte = [0];
    loop {
        let count = std::io::stdin()
            .lock()
            .read(&mut byte)
            .context("cannot read the answer")?;
        if count == 0 {
            bail!("the input has ended; nothing was written");
        }
        if byte[0] == b'\n' {
            return Ok(String::from_utf8_lossy(&typed).trim().to_owned());
        }
        typed.push(byte[0]);
    }
}

impl Person for Terminal {
    fn tell(&mut self, words: &str) {
        self.wipe();
        armillary::say!("{words}");
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        self.wipe();
        ask(To::Out, question);
        line()
    }

    fn show(&mut self, words: &str) -> anyhow::Result<Option<String>> {
        if self.in_place && !words.is_empty() {
            self.wipe();
            say(&format!("\r{words}"));
            self.shown = words.len();
        }
        let stdin = std::io::stdin();
        let mut waiting = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::ZERO).context("cannot look at the keyboard")? == 0 {
            return Ok(None);
        }
        let typed = line()?;
        self.wipe();
        Ok(Some(typed))
    }
}

/// Tells without asking.
pub(super) struct Told;

impl Person for Told {
    fn tell(&mut self, words: &str) {
        armillary::say!("{words}");
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        Terminal::new("calibrate")?.ask(question)
    }

    fn show(&mut self, _words: &str) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}
