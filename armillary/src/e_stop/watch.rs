//! Signals, and the handle of the emergency stop's thread.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use realtime::{Raised, Resident};
use robot::config::Realtime;
use robot::device::{EStopLine, Signals};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level::pipe;
use signal_hook::{SigId, flag, low_level};

use super::Ending;
use super::channel::{self, Channel};
use super::turns::{Turns, Word};
use crate::signals::{self, Elsewhere};

/// Catches signals, and has a thread that presses the emergency stop.
///
/// - Ctrl-\ (SIGQUIT): emergency stop.
/// - Ctrl-C, SIGTERM: controlled stop. The second one ends the program at once, unless the emergency stop was asked for.
/// - SIGHUP: controlled stop, however often it comes: a shell whose terminal is closed and the operating system both send it.
/// - Ctrl-Z (SIGTSTP): nothing. A program that stands still presses no emergency stop.
#[derive(Debug)]
pub struct Watch {
    words: Sender<Word>,
    bell: UnixStream,
    thread: Option<JoinHandle<Ending>>,
    caught: Vec<SigId>,
    asked: Arc<AtomicBool>,
    /// Set by a signal that no person at the terminal sends.
    left_alone: Arc<AtomicBool>,
    /// The socket by which other programs ask.
    listens_at: Option<PathBuf>,
    /// Signals go to the thread alone.
    elsewhere: Option<Elsewhere>,
    /// The code that presses does not wait for the disk when it is used at last.
    resident: Option<Resident>,
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
            .chain([SIGQUIT, SIGTSTP])
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
    /// The calling thread and those that it starts later take no signal until [`Watch::end`]: none of them can hold one up.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(signals: &Signals, realtime: &Realtime) -> io::Result<Self> {
        let (bell, rung) = pair()?;
        let (interrupt, interrupted) = pair()?;
        let elsewhere = Elsewhere::new();
        take_signals()?;
        let mut caught = Vec::new();
        let left_alone = Arc::default();
        for signal in ENDS.into_iter().filter(|signal| is_caught(*signal)) {
            if signal != SIGINT {
                // Before the other flag: see `forget_interrupt`.
                caught.push(flag::register(signal, Arc::clone(&left_alone))?);
            }
            caught.push(flag::register(signal, Arc::clone(&signals.stop))?);
            let heard_by = if signal == SIGHUP { &bell } else { &interrupt };
            caught.push(pipe::register(signal, heard_by.try_clone()?)?);
        }
        // Nobody looks at it: it is there in the place of what the signal does otherwise.
        caught.push(flag::register(SIGTSTP, Arc::default())?);
        caught.push(flag::register(SIGQUIT, Arc::clone(&signals.e_stop))?);
        caught.push(pipe::register(SIGQUIT, bell.try_clone()?)?);
        let (words, heard) = bounded(4);
        let asked = Arc::clone(&signals.e_stop);
        let turns = Turns::new(rung, interrupted, heard, Arc::clone(&asked));
        let realtime = realtime.clone();
        let thread = std::thread::Builder::new()
            .name("e-stop".to_owned())
            .spawn(move || {
                let _raised = raise(&realtime);
                if let Err(problem) = signals::take_stops() {
                    log::error!(
                        "{problem}: signals may not reach the emergency stop; `armillary e-stop` does"
                    );
                }
                turns.run()
            })?;
        Ok(Self {
            words,
            bell,
            thread: Some(thread),
            caught,
            asked,
            left_alone,
            listens_at: None,
            elsewhere: Some(elsewhere),
            resident: Resident::new()
                .inspect_err(|problem| log::debug!("code may leave the memory: {problem}"))
                .ok(),
        })
    }

    /// Lets other programs ask for the emergency stop of the arm at `port` from here on. What they ask for before there is a way to the
    /// arm is remembered.
    ///
    /// # Errors
    /// The operating system's, and another program that listens for this port already.
    pub fn listen(&mut self, port: &Path) -> io::Result<()> {
        let path = channel::path(port)?;
        if self.listens_at.as_ref() == Some(&path) {
            return Ok(());
        }
        self.tell(Word::Listen(Channel::open(port)?));
        self.listens_at = Some(path);
        Ok(())
    }

    /// Gives the thread the way to the arm. Returns once it has left the way that it had before.
    pub fn guard(&self, line: Box<dyn EStopLine>) {
        let (taken, heard) = bounded(1);
        self.tell(Word::Guard(line, taken));
        // An error says that the thread has ended, and its way with it.
        let _ = heard.recv();
    }

    /// Whether the emergency stop was asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether a controlled stop was asked for by SIGTERM or SIGHUP: nobody may be at the terminal any more.
    pub fn left_alone(&self) -> bool {
        self.left_alone.load(Ordering::SeqCst)
    }

    /// What a Ctrl-C has asked for is done. The next one asks for a controlled stop again, and does not count as the second.
    pub fn forget_interrupt(&self, signals: &Signals) {
        let (forgotten, heard) = bounded(1);
        self.tell(Word::Forget(forgotten));
        // An error says that the thread has ended.
        let _ = heard.recv();
        signals.stop.store(false, Ordering::SeqCst);
        // A SIGTERM or SIGHUP that came meanwhile has asked for something else.
        signals.stop.fetch_or(self.left_alone(), Ordering::SeqCst);
    }

    /// Ends the thread. If the emergency stop was asked for, this waits until the arm has confirmed it or its time is over.
    pub fn end(mut self) -> Ending {
        self.join()
    }

    fn tell(&self, word: Word) {
        // The thread takes words as they come, and ends with the last one.
        let _ = self.words.send(word);
        // If the pipe is full, the thread has been woken already.
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
        self.resident = None;
        // What has come since then does what it does in any program.
        self.elsewhere = None;
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
        // Reached when the program fails before it drives; the caller prints that error.
        if let Some(words) = self.join().words() {
            log::error!("{words}");
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
    let unasked = if realtime::may_raise(UNASKED) { UNASKED } else { 0 };
    let priority = if most == 0 { unasked } else { realtime::above(most) };
    Raised::new(("realtime", priority), ("realtime", &[]))
}
