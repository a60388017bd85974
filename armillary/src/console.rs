//! What the program prints goes through threads of its own, one for each of its outputs.
//!
//! A terminal that was stopped with Ctrl-S, a pager, a pipe that nobody reads, and a full disk make whoever writes to them wait, or fail.
//! While an arm is driven nobody may wait for that: lines for which there is no room are left out and counted ([`drive`]). Otherwise
//! whoever prints waits until there is room, so that nothing is lost on a slow pipe. Nobody ever fails because nobody reads.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::signals::Elsewhere;

/// Lines that wait to be printed, at most.
const LINES: usize = 1024;

/// How long a program that has driven an arm waits for its last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a thread that panics waits for its message.
const PANIC: Duration = Duration::from_millis(100);

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Results: standard output.
    Out,
    /// What goes on: standard error.
    Err,
}

enum Line {
    Text(String),
    /// All that came before is to be printed.
    Flush(Sender<()>),
}

struct Console {
    out: Sender<Line>,
    err: Sender<Line>,
    /// Whether the program drives an arm, or did.
    drives: AtomicBool,
    left_out: AtomicU64,
}

impl Console {
    fn lines(&self, to: To) -> &Sender<Line> {
        match to {
            To::Out => &self.out,
            To::Err => &self.err,
        }
    }
}

static CONSOLE: OnceLock<Console> = OnceLock::new();

/// Prints a line to standard output, as `println!` does.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        $crate::console::print($crate::console::To::Out, format!("{}\n", format_args!($($words)*)))
    };
}

/// Prints a line to standard error, as `eprintln!` does.
#[macro_export]
macro_rules! tell {
    ($($words:tt)*) => {
        $crate::console::print($crate::console::To::Err, format!("{}\n", format_args!($($words)*)))
    };
}

/// Starts the threads that print. From here on the program's log and the messages of panics go through it as well.
///
/// # Errors
/// No thread, or a second call.
pub fn start(level: log::LevelFilter) -> Result<(), Box<dyn std::error::Error>> {
    let (out, to_out) = bounded(LINES);
    let (err, to_err) = bounded(LINES);
    let console = Console {
        out,
        err,
        drives: AtomicBool::new(false),
        left_out: AtomicU64::new(0),
    };
    let console = match CONSOLE.set(console) {
        Ok(()) => CONSOLE.get().ok_or("the console is gone")?,
        Err(_) => return Err("the console was started before".into()),
    };
    for (to, name, lines) in [(To::Out, "output", to_out), (To::Err, "messages", to_err)] {
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A terminal that takes nothing, and the disk behind an output, must not hold up a signal.
            let _elsewhere = Elsewhere::new();
            write_all(to, &lines, &console.left_out);
        })?;
    }
    log::set_logger(&Logger).map_err(|error| error.to_string())?;
    log::set_max_level(level);
    std::panic::set_hook(Box::new(|panic| {
        tell!("{panic}");
        // A panic of the main thread ends the program before another thread would have printed it.
        flush(Some(PANIC));
    }));
    Ok(())
}

/// Prints `text` as it is.
pub fn print(to: To, text: String) {
    let Some(console) = CONSOLE.get() else {
        // A program that uses this library and has not started the threads.
        return write(to, &text);
    };
    let line = Line::Text(text);
    let lines = console.lines(to);
    // Once an arm was driven, whoever was to read may be gone: the rest of the program does not wait either.
    let printed = if console.drives.load(Ordering::SeqCst) {
        lines.try_send(line).is_ok()
    } else {
        lines.send(line).is_ok()
    };
    if !printed {
        console.left_out.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until all is printed, or for `patience`.
pub fn flush(patience: Option<Duration>) {
    let Some(console) = CONSOLE.get() else { return };
    for to in [To::Err, To::Out] {
        let (done, printed) = bounded(1);
        // What ends the wait is either the thread or the time: no failure in both cases.
        match patience {
            None => {
                let _ = console.lines(to).send(Line::Flush(done));
                let _ = printed.recv();
            }
            Some(patience) => {
                let _ = console.lines(to).send_timeout(Line::Flush(done), patience);
                let _ = printed.recv_timeout(patience);
            }
        }
    }
}

/// Waits until all is printed. A program that has driven an arm does not wait long: nobody may read.
pub fn finish() {
    let drives = CONSOLE
        .get()
        .is_some_and(|console| console.drives.load(Ordering::SeqCst));
    flush(drives.then_some(LAST_WORDS));
}

/// An arm is driven from here on: nobody waits for a terminal any more.
pub fn drive() {
    if let Some(console) = CONSOLE.get() {
        console.drives.store(true, Ordering::SeqCst);
    }
}

fn write_all(to: To, lines: &Receiver<Line>, left_out: &AtomicU64) {
    for line in lines {
        let count = match to {
            To::Out => 0,
            To::Err => left_out.swap(0, Ordering::SeqCst),
        };
        if count > 0 {
            let text = format!("({count} lines were left out: the terminal did not take them)\n");
            write(To::Err, &text);
        }
        match line {
            Line::Text(text) => write(to, &text),
            Line::Flush(done) => {
                // Whoever waits may have gone.
                let _ = done.send(());
            }
        }
    }
}

fn write(to: To, text: &str) {
    // Whoever reads may have seen enough (`| head`): that is no failure.
    let _ = match to {
        To::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        To::Err => std::io::stderr().lock().write_all(text.as_bytes()),
    };
}

/// The program's log, on standard error.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            tell!(
                "{time} {:<5} [{}] {}",
                record.level(),
                record.target(),
                record.args()
            );
        }
    }

    fn flush(&self) {}
}
