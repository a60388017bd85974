//! Threads of another program that do not go on: as those that wait for a disk, a camera or a lock that never comes.
//!
//! The operating system's interface for debuggers stops a single thread and leaves the others alone. It needs no privilege for a program of
//! one's own. All calls for a held thread must come from the thread that holds it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::ptr;

use libc::{c_int, c_long, pid_t};

/// Held threads. They go on when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<pid_t>);

/// A debugger's request that returns a status.
fn request(request: libc::c_uint, thread: pid_t, data: c_long) -> Result<(), String> {
    // SAFETY: these requests take numbers alone, and read or write no memory of ours.
    let result = unsafe { libc::ptrace(request, thread, ptr::null_mut::<libc::c_void>(), data) };
    match result {
        -1 => Err(format!(
            "thread {thread} cannot be held: {}",
            std::io::Error::last_os_error()
        )),
        _ => Ok(()),
    }
}

/// Waits until a thread has stopped, and returns its status.
fn stopped(thread: pid_t) -> Result<c_int, String> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let result = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    match result {
        found if found == thread && libc::WIFSTOPPED(status) => Ok(status),
        _ => Err(format!("thread {thread} has ended")),
    }
}

/// Threads of `process` whose names are as asked for.
fn threads(process: u32, chosen: impl Fn(&str) -> bool) -> Result<Vec<pid_t>, String> {
    let folder = format!("/proc/{process}/task");
    let found = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let threads = found.filter_map(|thread| {
        let thread = thread.ok()?;
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        let id = thread.file_name().to_str()?.parse().ok()?;
        chosen(name.trim()).then_some(id)
    });
    Ok(threads.collect())
}

/// Holds the threads of `process` whose names are as asked for; the main one has the name of the program. Fails if there is none.
pub(crate) fn hold(process: u32, chosen: impl Fn(&str) -> bool) -> Result<Held, String> {
    let mut held = Held::default();
    for thread in threads(process, chosen)? {
        request(libc::PTRACE_SEIZE, thread, 0)?;
        held.0.push(thread);
        request(libc::PTRACE_INTERRUPT, thread, 0)?;
        stopped(thread)?;
    }
    match held.0.is_empty() {
        true => Err(format!("process {process} has no such thread")),
        false => Ok(held),
    }
}

/// Holds the main thread of `process` as soon as it asks for a file whose path contains `name`: a disk that does not answer. `watched` is
/// called once nothing that the thread asks for is missed any more.
pub(crate) fn hold_at_file(process: u32, name: &str, watched: impl FnOnce()) -> Result<Held, String> {
    let thread = pid_t::try_from(process).map_err(|error| error.to_string())?;
    request(
        libc::PTRACE_SEIZE,
        thread,
        c_long::from(libc::PTRACE_O_TRACESYSGOOD),
    )?;
    let held = Held(vec![thread]);
    request(libc::PTRACE_INTERRUPT, thread, 0)?;
    let memory = fs::File::open(format!("/proc/{process}/mem")).map_err(|error| error.to_string())?;
    let mut watched = Some(watched);
    loop {
        let status = stopped(thread)?;
        let what = libc::WSTOPSIG(status);
        let mut signal = 0;
        if what == libc::SIGTRAP | 0x80 {
            if opens(thread, &memory)?.is_some_and(|path| path.contains(name)) {
                return Ok(held);
            }
        } else if status >> 16 == 0 {
            // A signal on its way to the thread.
            signal = what;
        }
        request(libc::PTRACE_SYSCALL, thread, c_long::from(signal))?;
        if let Some(watched) = watched.take() {
            watched();
        }
    }
}

/// The path that a thread is about to open, if it is.
fn opens(thread: pid_t, memory: &fs::File) -> Result<Option<String>, String> {
    // SAFETY: the structure is plain numbers, of which all bits may be zero.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the operating system writes `size` bytes at most, into `info`, which outlives the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) };
    if result == -1 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: of the union, that is the part for the entry into a call of the system.
    let entry = unsafe { info.u.entry };
    if entry.nr != libc::SYS_openat as u64 {
        return Ok(None);
    }
    let mut bytes = [0; 512];
    let count = memory.read_at(&mut bytes, entry.args[1]).unwrap_or(0);
    let end = bytes[..count].iter().position(|byte| *byte == 0).unwrap_or(count);
    Ok(Some(String::from_utf8_lossy(&bytes[..end]).into_owned()))
}

impl Drop for Held {
    fn drop(&mut self) {
        for thread in &self.0 {
            // It may have ended.
            let _ = request(libc::PTRACE_DETACH, *thread, 0);
        }
    }
}
