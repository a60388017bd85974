//! The thread of the emergency stop.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use realtime::Raised;
use robot::config::Realtime;
use robot::device::e_stop::{Pressed, listen_for};
use robot::device::{EStopLine, Signals, Stopped};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::pipe;
use signal_hook::{SigId, flag, low_level};

use crate::{console, signals};

use super::channel::{CONFIRMED, Channel, REQUEST};

/// How long the second Ctrl-C waits for an emergency stop that was asked for in the same moment. Signals that are pending together are
/// not delivered in the order in which they were sent.
const GRACE: Duration = Duration::from_millis(50);

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Programs that may ask at once. One more takes the place of the one that came first.
const CLIENTS_MAX: usize = 8;

/// What became of the emergency stop of a program that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nobody asked for it.
    NotAsked,
    /// The arm has confirmed it.
    Confirmed {
        /// How the arm stands now.
        stopped: Stopped,
        /// From the moment in which the thread heard of it until the first bytes were given to the port.
        sent_after: Duration,
        /// And until the arm had confirmed.
        confirmed_after: Duration,
    },
    /// The arm has not confirmed it, for this reason.
    NotConfirmed(String),
}

impl Ending {
    /// What a person is told, if it was asked for.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::NotAsked => None,
            Self::Confirmed {
                stopped,
                sent_after,
                confirmed_after,
            } => Some(format!(
                "emergency stop: {} (sent after {:.1} ms, confirmed after {:.1} ms)",
                super::words(*stopped),
                1e3 * sent_after.as_secs_f64(),
                1e3 * confirmed_after.as_secs_f64()
            )),
            Self::NotConfirmed(why) => Some(format!("{}: {why}", super::NOT_CONFIRMED)),
        }
    }
}

/// What the rest of the program tells the thread.
enum Word {
    /// The way to the arm, and where others can ask.
    Guard(Box<dyn EStopLine>, Option<Channel>),
    /// The program is about to end.
    End,
}

/// Catches signals, and has a thread that presses the emergency stop.
///
/// - Ctrl-\ (SIGQUIT): emergency stop.
/// - Ctrl-C, SIGTERM, SIGHUP: controlled stop. The second one ends the program at once, unless the emergency stop was asked for.
#[derive(Debug)]
pub struct Watch {
    words: Sender<Word>,
    bell: UnixStream,
    thread: Option<JoinHandle<Ending>>,
    caught: Vec<SigId>,
    asked: Arc<AtomicBool>,
}

/// Signals that ask for a controlled stop.
const ENDS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// A program that was started with `nohup` goes on when its terminal is closed.
fn is_caught(signal: i32) -> bool {
    signal != SIGHUP || !signals::is_ignored(SIGHUP)
}

/// Set while signals do what they do in any program. There is one for the whole program, as there is for signals.
static USUAL: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Makes signals do what is asked for, and nothing else.
fn take_signals() -> io::Result<()> {
    let taken = Arc::new(AtomicBool::new(false));
    if USUAL.set(Arc::clone(&taken)).is_ok() {
        for signal in ENDS
            .into_iter()
            .chain([SIGQUIT])
            .filter(|signal| is_caught(*signal))
        {
            flag::register_conditional_default(signal, Arc::clone(&taken))?;
        }
    }
    if let Some(usual) = USUAL.get() {
        usual.store(false, Ordering::SeqCst);
    }
    Ok(())
}

impl Watch {
    /// Catches signals from here on. There is no way to an arm yet ([`Watch::guard`]): what is asked for until then is remembered.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(signals: &Signals, realtime: &Realtime) -> io::Result<Self> {
        let (bell, rung) = pair()?;
        let (interrupt, interrupted) = pair()?;
        take_signals()?;
        let mut caught = Vec::new();
        for signal in ENDS.into_iter().filter(|signal| is_caught(*signal)) {
            caught.push(flag::register(signal, Arc::clone(&signals.stop))?);
            caught.push(pipe::register(signal, interrupt.try_clone()?)?);
        }
        caught.push(flag::register(SIGQUIT, Arc::clone(&signals.e_stop))?);
        caught.push(pipe::register(SIGQUIT, bell.try_clone()?)?);
        let (words, heard) = bounded(4);
        let asked = Arc::clone(&signals.e_stop);
        let turns = Turns {
            rung,
            interrupted,
            interrupts: 0,
            words: heard,
            asked: Arc::clone(&asked),
            line: None,
            channel: None,
            clients: Vec::new(),
            press: None,
            ending: None,
            ends: false,
        };
        let realtime = realtime.clone();
        let thread = std::thread::Builder::new()
            .name("e-stop".to_owned())
            .spawn(move || {
                let _raised = raise(&realtime);
                turns.run()
            })?;
        Ok(Self {
            words,
            bell,
            thread: Some(thread),
            caught,
            asked,
        })
    }

    /// Gives the thread the way to the arm at `port`, and lets other programs ask from here on.
    ///
    /// # Errors
    /// The operating system's, if there can be no socket. The thread has the way to the arm all the same.
    pub fn guard(&self, line: Box<dyn EStopLine>, port: &Path) -> io::Result<()> {
        let (channel, result) = match Channel::open(port) {
            Ok(channel) => (Some(channel), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.tell(Word::Guard(line, channel));
        result
    }

    /// Whether the emergency stop was asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends the thread. If the emergency stop was asked for, this waits until the arm has confirmed it or its time is over.
    pub fn end(mut self) -> Ending {
        self.join()
    }

    fn tell(&self, word: Word) {
        // The thread takes words as they come, and ends with the last one.
        let _ = self.words.send(word);
        // A bell that nobody has heard yet is loud enough.
        let _ = (&self.bell).write(&[0]);
    }

    fn join(&mut self) -> Ending {
        let Some(thread) = self.thread.take() else {
            return Ending::NotAsked;
        };
        self.tell(Word::End);
        let ending = thread
            .join()
            .unwrap_or_else(|_| Ending::NotConfirmed("the emergency stop's thread failed".to_owned()));
        if let Some(usual) = USUAL.get() {
            usual.store(true, Ordering::SeqCst);
        }
        for caught in self.caught.drain(..) {
            low_level::unregister(caught);
        }
        match ending {
            Ending::NotAsked if self.asked() => Ending::NotConfirmed("it was asked for too late".to_owned()),
            ending => ending,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Where a program fails before it drives anything. What it says then is its own error.
        if let Ending::NotConfirmed(why) = self.join() {
            log::error!("{}: {why}", super::NOT_CONFIRMED);
        }
    }
}

/// Two ends of a pipe that make nobody wait.
fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (bell, rung) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rung.set_nonblocking(true)?;
    Ok((bell, rung))
}

/// Takes all bytes that have come, and counts them.
fn drain(mut rung: &UnixStream) -> usize {
    let (mut bytes, mut taken) = ([0; 64], 0);
    while let Ok(count @ 1..) = rung.read(&mut bytes) {
        taken += count;
    }
    taken
}

/// A priority above all others of the program. Where the robot file asks for none, the thread takes one if the operating system allows
/// it: it sleeps until a person needs it.
fn raise(realtime: &Realtime) -> Raised {
    const UNASKED: u8 = 90;
    let most = [
        realtime.tick_priority,
        realtime.bus_priority,
        realtime.capture_priority,
        realtime.plan_priority,
    ]
    .into_iter()
    .max()
    .unwrap_or(0);
    let priority = match most {
        0 if realtime::may_raise(UNASKED) => UNASKED,
        0 => 0,
        most => realtime::above(most),
    };
    Raised::new(("realtime", priority), ("realtime", &[]))
}

/// A press that has begun.
struct Press {
    begun: Instant,
    number: u32,
    sent_after: Option<Duration>,
}

/// What the thread knows.
struct Turns {
    /// A byte comes with each word, and with each Ctrl-\.
    rung: UnixStream,
    /// A byte comes with each Ctrl-C, SIGTERM and SIGHUP.
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
    fn run(mut self) -> Ending {
        loop {
            self.hear();
            if self.asked.load(Ordering::SeqCst) {
                self.press();
            }
            if let Some(ending) = &self.ending {
                if self.ends {
                    return ending.clone();
                }
            } else if self.ends && !self.asked.load(Ordering::SeqCst) {
                return Ending::NotAsked;
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
                Word::Guard(line, channel) => (self.line, self.channel) = (Some(line), channel),
                Word::End => self.ends = true,
            }
        }
        let Some(channel) = &self.channel else { return };
        while let Ok((client, _)) = channel.listener().accept() {
            if client.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() == CLIENTS_MAX {
                // Whoever connected and asks for nothing does not keep others out.
                self.clients.remove(0);
            }
            self.clients.push(client);
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
            press.sent_after = Some(press.begun.elapsed());
            pressed
        } else {
            line.press(listen)
        };
        press.number = press.number.saturating_add(1);
        let waited = press.begun.elapsed();
        let why = match pressed {
            Ok(Pressed::Confirmed(stopped)) => {
                let sent_after = press.sent_after.unwrap_or(waited);
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
        // What woke it is found out by looking.
        let _ = poll(&mut fds, timeout);
    }
}
