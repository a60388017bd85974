//! What whoever started this program had it do with signals, and the one that would end it in the middle of a write.

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
