//! An emulated wire behind a pseudo-terminal, in real time: any program that opens a serial port can speak to it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::layout::Emulated;
use super::wire::EmulatedBus;

/// How long the thread looks away, at most.
const NAP: Duration = Duration::from_millis(20);

/// Changes that may wait for the thread.
const CHANGES: usize = 16;

/// Something that is done to a wire while it is served.
type Change<P> = Box<dyn FnOnce(&mut EmulatedBus<P>) + Send>;

/// A pseudo-terminal with servos behind it. Dropping it ends the thread that serves it.
pub struct PtyEnd<P> {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    changes: Sender<Change<P>>,
    thread: Option<std::thread::JoinHandle<EmulatedBus<P>>>,
    /// Keeps the terminal open while nobody else has it open.
    _host: File,
}

impl<P> std::fmt::Debug for PtyEnd<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PtyEnd")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<P> PtyEnd<P> {
    /// The port to open.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Does something to the wire soon: plugs a servo in, or makes one faulty.
    pub fn change(&self, change: impl FnOnce(&mut EmulatedBus<P>) + Send + 'static) {
        // A thread that has ended serves nobody any more.
        let _ = self.changes.send(Box::new(change));
    }

    /// Ends the thread and gives the wire back, to see what became of it. `None` if the thread failed.
    pub fn finish(mut self) -> Option<EmulatedBus<P>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl<P> Drop for PtyEnd<P> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Serves `bus` behind a new pseudo-terminal, from the time on that it has reached. The rate of its wire is that of `bus`, or the one
/// that the host sets ([`EmulatedBus::follows_host`]).
///
/// # Errors
/// What the operating system says.
pub fn serve<P: Emulated>(mut bus: EmulatedBus<P>) -> io::Result<PtyEnd<P>> {
    let pty = nix::pty::openpty(None, None)?;
    let mut terminal = nix::sys::termios::tcgetattr(&pty.slave)?;
    nix::sys::termios::cfmakeraw(&mut terminal);
    nix::sys::termios::tcsetattr(&pty.slave, nix::sys::termios::SetArg::TCSANOW, &terminal)?;
    // By default a group may write to a terminal.
    let owner_only = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    nix::sys::stat::fchmod(&pty.slave, owner_only)?;
    let path = nix::unistd::ttyname(&pty.slave)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (changes, to_do) = bounded::<Change<P>>(CHANGES);
    let mut port = File::from(pty.master);
    let thread = std::thread::Builder::new()
        .name("emulated servos".to_owned())
        .spawn(move || {
            let origin = Instant::now();
            let begun_us = bus.now_us();
            let now = || begun_us + origin.elapsed().as_micros() as u64;
            let mut bytes = [0; 256];
            while !stopped.load(Ordering::Relaxed) {
                for change in to_do.try_iter() {
                    change(&mut bus);
                }
                let now_us = now();
                let until_us = bus.next_arrival_us().unwrap_or(u64::MAX);
                let nap = Duration::from_micros(until_us.saturating_sub(now_us)).min(NAP);
                // A whole millisecond is the least a poll waits; what is due sooner is spun for.
                let nap_ms = PollTimeout::try_from(nap.as_millis()).unwrap_or(PollTimeout::ZERO);
                let ready = poll(&mut [PollFd::new(port.as_fd(), PollFlags::POLLIN)], nap_ms);
                let now_us = now();
                bus.advance(now_us);
                if ready.is_ok_and(|count| count > 0) {
                    if bus.follows_host
                        && let Some(baud) = host_baud(&port)
                    {
                        bus.set_host_baud(baud);
                    }
                    match port.read(&mut bytes) {
                        Ok(count) if count > 0 => bus.write(&bytes[..count], now_us),
                        _ => break,
                    }
                }
                let count = bus.read(&mut bytes, now_us);
                if count > 0 && port.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            bus
        })?;
    Ok(PtyEnd {
        path,
        stop,
        changes,
        thread: Some(thread),
        _host: File::from(pty.slave),
    })
}

/// The rate that the host has set at its end.
#[cfg(target_os = "linux")]
fn host_baud(port: &File) -> Option<u32> {
    use std::os::fd::AsRawFd;

    nix::ioctl_read_bad!(get_termios2, nix::libc::TCGETS2, nix::libc::termios2);
    // SAFETY: plain numbers, for which all zeros are a value.
    let mut terminal: nix::libc::termios2 = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the structure is the one that this call fills.
    unsafe { get_termios2(port.as_raw_fd(), &raw mut terminal) }.ok()?;
    Some(terminal.c_ospeed)
}

/// Other systems have no such call: the rate stays that of the wire.
#[cfg(not(target_os = "linux"))]
fn host_baud(_port: &File) -> Option<u32> {
    None
}
