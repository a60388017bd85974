//! What whoever started this program had it do with signals, which threads take them, and the one that would end it in the middle of a write.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Makes a write beyond the size that files may have (`ulimit -f`) an error, as on a full disk. Otherwise it is a signal that ends the
/// program: an arm that is driven would be left to its watchdog.
///
/// # Errors
/// What the operating system says.
pub fn survive_file_limits() -> std::io::Result<()> {
    extern "C" fn nothing(_signal: i32) {}
    // A handler and not `SIG_IGN`: what is ignored is ignored by other programs that this one starts, too.
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing, which is safe wherever it interrupts.
    unsafe { sigaction(Signal::SIGXFSZ, &action)? };
    Ok(())
}

/// Whether whoever started this program had it ignore `signal`: `nohup` does, and a script that starts a program beside itself.
pub fn is_ignored(signal: i32) -> bool {
    // Where the system has no such file, nothing is taken to be ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Signals by which a person asks for a stop.
const STOPS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// What a program in the background of a terminal gets when it writes to it, or reads from it. It would stand still, its emergency stop with it.
/// A thread that takes neither writes all the same, and reads nothing.
const BACKGROUND: [Signal; 2] = [Signal::SIGTTOU, Signal::SIGTTIN];

fn stops() -> SigSet {
    STOPS.into_iter().collect()
}

/// Keeps signals that ask for a stop, and those that make a program in the background stand still, from the calling thread, and from those that it
/// starts meanwhile, until this is dropped in the same thread.
///
/// The operating system gives a signal of the program to any one thread that takes it, and prefers the main one. A thread that waits for a
/// disk that hangs takes none before the disk answers, and holds the signal up for all others.
#[derive(Debug)]
pub struct Elsewhere {
    before: Option<SigSet>,
}

impl Elsewhere {
    /// From here on.
    pub fn new() -> Self {
        let before = SigSet::thread_get_mask().ok();
        let kept: SigSet = STOPS.into_iter().chain(BACKGROUND).collect();
        if let Err(problem) = kept.thread_block() {
            log::warn!("{problem}: a thread that waits for a disk may hold up signals");
        }
        Self { before }
    }
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was the mask of this thread before.
            let _ = before.thread_set_mask();
        }
    }
}

/// Makes the calling thread the one that takes signals which ask for a stop.
///
/// # Errors
/// The operating system's.
pub fn take_stops() -> std::io::Result<()> {
    Ok(stops().thread_unblock()?)
}
