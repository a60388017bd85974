//! What whoever started this program had it do with signals.

/// Whether whoever started this program had it ignore `signal`: `nohup` does, and a script that starts a program beside itself.
pub fn is_ignored(signal: i32) -> bool {
    // Where the system has no such file, nothing is taken to be ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
