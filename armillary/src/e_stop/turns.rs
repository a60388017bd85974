//! The turns of the emergency stop's thread: it hears, presses, answers and sleeps.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::device::EStopLine;
use robot::device::e_stop::{Pressed, listen_for};
use signal_hook::low_level;

use super::Ending;
use super::channel::{CONFIRMED, Channel, REQUEST};
use crate::console;

/// How long the second Ctrl-C waits for an emergency stop that was asked for in the same moment. Signals that are pending together are
/// not delivered in the order in which they were sent.
const GRACE: Duration = Duration::from_millis(50);

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Programs that may ask at once. One more takes the place of the one that came first.
const CLIENTS_MAX: usize = 8;

/// What the rest of the program tells the thread.
pub(super) enum Word {
    /// Where others can ask.
    Listen(Channel),
    /// The way to the arm. Whoever sends it waits until it is taken.
    Guard(Box<dyn EStopLine>, Sender<()>),
    /// Each Ctrl-C so far has been heeded. Whoever sends it waits until that is known.
    Forget(Sender<()>),
    /// The program is about to end.
    End,
}

/// Takes all bytes that have come, and counts them.
fn drain(mut rung: &UnixStream) -> usize {
    let (mut bytes, mut taken) = ([0; 64], 0);
    while let Ok(count @ 1..) = rung.read(&mut bytes) {
        taken += count;
    }
    taken
}

/// A press that has begun.
struct Press {
    begun: Instant,
    number: u32,
    sent_after: Option<Duration>,
}

/// What the thread knows.
pub(super) struct Turns {
    /// A byte comes with each word, with each Ctrl-\, and with SIGHUP.
    rung: UnixStream,
    /// A byte comes with each Ctrl-C and SIGTERM.
    interrupted: UnixStream,
    /// How many of those came.
    interrupts: usize,
    words: Receiver<Word>,
    asked: Arc<AtomicBool>,
    line: Option<Box<dyn EStopLine>>,
    channel: Option<Channel>,
    clients: Vec<UnixStream>,
    press: Option<Press>,
    ending: Option<Ending>,
    ends: bool,
}

impl Turns {
    /// A byte comes through `rung` with each word and each Ctrl-\, and through `interrupted` with each signal of which the second ends the program.
    /// `asked` is set by whoever asks for the emergency stop.
    pub(super) fn new(
        rung: UnixStream,
        interrupted: UnixStream,
        words: Receiver<Word>,
        asked: Arc<AtomicBool>,
    ) -> Self {
        Self {
            rung,
            interrupted,
            interrupts: 0,
            words,
            asked,
            line: None,
            channel: None,
            clients: Vec::new(),
            press: None,
            ending: None,
            ends: false,
        }
    }

    /// Goes on until the program is about to end, and it is known what became of what was asked for.
    pub(super) fn run(mut self) -> Ending {
        loop {
            self.hear();
            if self.ends {
                // A signal that came before the end is handled on the way back from the operating system at the latest.
                self.hear();
            }
            if self.asked.load(Ordering::SeqCst) {
                self.press();
            }
            match &self.ending {
                Some(ending) if self.ends => return ending.clone(),
                None if self.ends && !self.asked.load(Ordering::SeqCst) => return Ending::NotAsked,
                _ => {}
            }
            if self.interrupts >= 2 && self.may_exit() {
                self.exit();
            }
            self.wait();
        }
    }

    /// Whether the second Ctrl-C may end the program.
    fn may_exit(&mut self) -> bool {
        let begun = Instant::now();
        while !self.asked.load(Ordering::SeqCst) {
            let left = GRACE.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::park_timeout(left.min(Duration::from_millis(1)));
            self.hear();
        }
        // Asked for: not before it is known what became of it.
        self.ending.is_some()
    }

    /// Ends the program without waiting for the rest of it.
    fn exit(&self) -> ! {
        if let Some(words) = self.ending.as_ref().and_then(Ending::words) {
            crate::tell!("error: {words}; the program was ended before its log was");
            console::flush(Some(LAST_WORDS));
            low_level::exit(1);
        }
        low_level::exit(130);
    }

    /// What became of it is known. Keys that were pressed before then asked for something else.
    fn ended(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.interrupts = 0;
        }
        self.ending = Some(ending);
        self.answer();
    }

    /// Takes what has come, without waiting.
    fn hear(&mut self) {
        drain(&self.rung);
        self.interrupts += drain(&self.interrupted);
        while let Ok(word) = self.words.try_recv() {
            match word {
                Word::Listen(channel) => self.channel = Some(channel),
                Word::Guard(line, taken) => {
                    self.line = Some(line);
                    // The channel has room for one.
                    let _ = taken.send(());
                }
                Word::Forget(forgotten) => {
                    self.interrupts = 0;
                    // The channel has room for one.
                    let _ = forgotten.send(());
                }
                Word::End => self.ends = true,
            }
        }
        let Some(channel) = &self.channel else { return };
        while let Ok((client, _)) = channel.listener().accept() {
            if self.clients.len() == CLIENTS_MAX {
                // Whoever connected and asks for nothing does not keep others out.
                self.clients.remove(0);
            }
            // One that could make this thread wait is not heard.
            self.clients
                .extend(client.set_nonblocking(true).map(|()| client).ok());
        }
        let asked = &self.asked;
        self.clients.retain_mut(|client| {
            let mut request = [0; REQUEST.len()];
            match client.read(&mut request) {
                Ok(count) if request[..count] == *REQUEST => {
                    asked.store(true, Ordering::SeqCst);
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                // It has left, or asks for something else.
                Ok(_) => false,
            }
        });
        self.answer();
    }

    /// One press, unless the arm has confirmed.
    fn press(&mut self) {
        if matches!(self.ending, Some(Ending::Confirmed { .. })) {
            return;
        }
        let press = self.press.get_or_insert_with(|| Press {
            begun: Instant::now(),
            number: 0,
            sent_after: None,
        });
        let Some(line) = &mut self.line else {
            if self.ends {
                self.ended(Ending::NotConfirmed("the arm was not open yet".to_owned()));
            }
            return;
        };
        let listen = listen_for(press.number);
        let pressed = if press.number == 0 {
            // How long it took until the bytes were handed over: the first press does not listen.
            let pressed = line.press(Duration::ZERO);
            press.sent_after = line.sends_by_itself().then(|| press.begun.elapsed());
            pressed
        } else {
            line.press(listen)
        };
        press.number = press.number.saturating_add(1);
        let waited = press.begun.elapsed();
        let why = match pressed {
            Ok(Pressed::Confirmed(stopped)) => {
                let sent_after = press.sent_after;
                return self.ended(Ending::Confirmed {
                    stopped,
                    sent_after,
                    confirmed_after: waited,
                });
            }
            Ok(Pressed::Sent(state)) if waited >= line.patience() => {
                let state = state.map_or_else(String::new, |state| format!("; the arm reports {state:?}"));
                format!("{}: sent for {} ms{state}", line.port(), waited.as_millis())
            }
            // A port that is gone stays gone.
            Err(error) => robot::complaint(&error),
            Ok(Pressed::Sent(_)) => return,
        };
        // It is pressed on all the same, for as long as the program lives.
        self.ended(Ending::NotConfirmed(why));
    }

    /// Tells those who asked, once something is known.
    fn answer(&mut self) {
        let answer = match &self.ending {
            Some(Ending::Confirmed { stopped, .. }) => format!("{CONFIRMED}{}\n", super::words(*stopped)),
            Some(Ending::NotConfirmed(why)) => format!("{}: {why}\n", super::NOT_CONFIRMED),
            Some(Ending::NotAsked) | None => return,
        };
        for mut client in self.clients.drain(..) {
            // It is short, and whoever does not take it has left.
            let _ = client.write(answer.as_bytes());
        }
    }

    /// Sleeps until something comes. A press listens by itself.
    fn wait(&self) {
        let confirmed = matches!(self.ending, Some(Ending::Confirmed { .. }));
        let pressing = self.asked.load(Ordering::SeqCst) && !confirmed && self.line.is_some();
        let timeout = match (&self.ending, pressing) {
            (None, true) => PollTimeout::ZERO,
            // A port that is gone is not tried without a pause.
            (Some(_), true) => PollTimeout::from(100_u8),
            (_, false) => PollTimeout::NONE,
        };
        let bells = [self.rung.as_fd(), self.interrupted.as_fd()];
        let channel = self.channel.iter().map(|channel| channel.listener().as_fd());
        let clients = self.clients.iter().map(AsFd::as_fd);
        let all = bells.into_iter().chain(channel).chain(clients);
        let mut fds: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // The next turn looks at everything, so it does not matter what woke it.
        let _ = poll(&mut fds, timeout);
    }
}
