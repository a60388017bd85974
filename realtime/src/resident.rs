//! Keeping the program's code in memory.
//!
//! A machine that is short of memory gives the pages of a program's file back, since it can read them again from the disk. Code that has not run
//! for a long time, such as that of an emergency stop, goes first. Its next use then waits for the disk, which may be slow, or hang.

use std::fs;
use std::io;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use nix::sys::mman::mlock;

/// How often pages are read that may not be locked.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The least page that a machine has, in bytes.
const PAGE_BYTES: usize = 4096;

/// Beginnings of the names of libraries that all code of a program uses.
const LIBRARIES: [&str; 4] = ["libc.", "libc-", "ld-", "libgcc_s."];

/// A part of a file as it lies in memory, which is read and not written, until the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapped {
    begin: usize,
    bytes: usize,
}

/// The program's code and constants.
#[derive(Debug)]
struct Code {
    parts: Vec<Mapped>,
    /// Whether the system has locked them, which lasts until the program ends.
    locked: bool,
}

/// Of this program. It is the same whenever it is looked for.
static CODE: OnceLock<Code> = OnceLock::new();

/// Keeps the program's code in memory while it lives: locked where the system allows it. Otherwise a thread reads it every second, so that it is
/// always in use and among the last to be given back.
#[derive(Debug)]
pub struct Resident {
    stop: Arc<AtomicBool>,
    reads: Option<Thread>,
}

impl Resident {
    /// Begins with all of the program's code and constants, and those of the system's library.
    ///
    /// # Errors
    /// A system that does not say where they are, or gives no thread.
    pub fn new() -> io::Result<Self> {
        let code = match CODE.get() {
            Some(code) => code,
            None => {
                let own = fs::read_link("/proc/self/exe")?;
                let parts = parts(&fs::read_to_string("/proc/self/maps")?, &own.to_string_lossy());
                CODE.get_or_init(|| Code {
                    locked: parts.iter().all(lock),
                    parts,
                })
            }
        };
        let mut resident = Self {
            stop: Arc::default(),
            reads: None,
        };
        if !code.locked {
            let stop = Arc::clone(&resident.stop);
            let read = move || {
                while !stop.load(Ordering::Relaxed) {
                    code.parts.iter().for_each(touch);
                    std::thread::park_timeout(READ_EVERY);
                }
            };
            let thread = std::thread::Builder::new().name("resident".to_owned());
            resident.reads = Some(thread.spawn(read)?.thread().clone());
        }
        Ok(resident)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It is not waited for: it may wait for a disk that hangs.
        if let Some(thread) = &self.reads {
            thread.unpark();
        }
    }
}

/// Code and constants of the file `own` and of the system's library, of what `/proc/self/maps` says.
fn parts(maps: &str, own: &str) -> Vec<Mapped> {
    maps.lines()
        .filter_map(|line| {
            // begin-end rights offset device inode path
            let mut words = line.split_ascii_whitespace();
            let (begin, end) = words.next()?.split_once('-')?;
            let rights = words.next()?;
            let path = line.get(line.find('/')?..)?;
            let name = path.rsplit('/').next()?;
            let used = path == own || LIBRARIES.iter().any(|library| name.starts_with(library));
            let (begin, end) = (
                usize::from_str_radix(begin, 16).ok()?,
                usize::from_str_radix(end, 16).ok()?,
            );
            (used && rights.starts_with('r') && !rights.contains('w')).then(|| Mapped {
                begin,
                bytes: end.saturating_sub(begin),
            })
        })
        .collect()
}

fn lock(part: &Mapped) -> bool {
    let begin = NonNull::new(part.begin as *mut c_void);
    // SAFETY: these pages belong to the program until it ends, and locking them changes nothing of what is in them.
    begin.is_some_and(|begin| unsafe { mlock(begin, part.bytes) }.is_ok())
}

/// Reads a byte of each page.
fn touch(part: &Mapped) {
    for page in (part.begin..part.begin + part.bytes).step_by(PAGE_BYTES) {
        // SAFETY: the pages may be read, nobody writes to them, and they belong to the program until it ends.
        unsafe { (page as *const u8).read_volatile() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0a0000000-55d0a0010000 r--p 00000000 fd:00 123 /opt/my robots/armillary
55d0a0010000-55d0a0050000 r-xp 00010000 fd:00 123 /opt/my robots/armillary
55d0a0050000-55d0a0060000 rw-p 00050000 fd:00 123 /opt/my robots/armillary
55d0a1000000-55d0a1021000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000001000 ---p 00000000 fd:00 9 /usr/lib/libc.so.6
7f0000001000-7f0000003000 r-xp 00000000 fd:00 9 /usr/lib/libc.so.6
7f0000003000-7f0000009000 r-xp 00000000 fd:00 8 /usr/lib/libtorch_cpu.so
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
";

    #[test]
    fn code_and_constants_of_the_program_and_the_systems_library_are_kept() {
        let part = |begin, bytes| Mapped { begin, bytes };
        assert_eq!(
            parts(MAPS, "/opt/my robots/armillary"),
            [
                part(0x55d0_a000_0000, 0x1_0000),
                part(0x55d0_a001_0000, 0x4_0000),
                part(0x7f00_0000_1000, 0x2000),
            ]
        );
        assert_eq!(parts("", "/a"), []);
    }

    /// Of this very program: it is locked, or a thread reads it.
    #[test]
    fn the_code_of_this_program_is_kept() {
        let resident = Resident::new().expect("the system says where it is");
        let code = CODE.get().expect("it was looked for");
        let bytes: usize = code.parts.iter().map(|part| part.bytes).sum();
        assert!(bytes > 100_000, "{bytes}");
        assert_eq!(code.locked, resident.reads.is_none());
        let status = fs::read_to_string("/proc/self/status").expect("there");
        let locked_kb: usize = status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmLck:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .expect("the system says it");
        if code.locked {
            assert!(locked_kb >= bytes / 1024, "{locked_kb} kB");
        }
    }
}
