//! An arm at the far end of a real pseudo-terminal, in real time, which takes note of what arrives and when.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use devices::link::ByteStream;
use firmware_bridge::wire::{Decoder, HostToArm};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use realtime::Raised;

use crate::virtual_arm::VirtualArm;

/// Above everything that the program under test asks for: what is measured is when bytes arrive, not when somebody looks.
const PRIORITY: u8 = 95;

/// What has arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrived {
    /// When the first emergency stop did.
    pub(crate) e_stop: Option<Instant>,
    /// Commands so far.
    pub(crate) commands: u64,
    /// When the last one did, by the arm's clock.
    pub(crate) last_command_us: u64,
    /// When torque was first seen to be off after the emergency stop.
    pub(crate) off: Option<Instant>,
}

#[derive(Debug, Default)]
struct Flags {
    over: AtomicBool,
    /// It reads nothing.
    deaf: AtomicBool,
    /// What it says is lost.
    mute: AtomicBool,
    arrived: Mutex<Arrived>,
}

/// The arm, and the thread that takes care of it.
pub(crate) struct FarEnd {
    pub(crate) arm: VirtualArm,
    /// The port's path.
    pub(crate) port: PathBuf,
    flags: Arc<Flags>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the port open, so that it outlives whoever opens it.
    slave: OwnedFd,
}

impl FarEnd {
    /// `arm` at a pseudo-terminal of its own.
    pub(crate) fn start(arm: VirtualArm) -> Self {
        let pair = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let mut termios = tcgetattr(&pair.slave).expect("its settings");
        cfmakeraw(&mut termios);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &termios).expect("its settings");
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("its flags");
        let port = nix::unistd::ttyname(&pair.slave).expect("its name");
        let flags = Arc::new(Flags::default());
        let (its_arm, its_flags) = (arm.clone(), Arc::clone(&flags));
        let thread = std::thread::Builder::new()
            .name("far end".to_owned())
            .spawn(move || {
                let _raised = Raised::new(("faults", PRIORITY), ("faults", &[]));
                serve(&its_arm, &pair.master, &its_flags);
            })
            .expect("a thread");
        Self {
            arm,
            port,
            flags,
            thread: Some(thread),
            slave: pair.slave,
        }
    }

    /// Makes it read nothing from here on, or read again.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.flags.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Loses what it says from here on, or no longer.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.flags.mute.store(mute, Ordering::SeqCst);
    }

    /// What has arrived so far.
    pub(crate) fn arrived(&self) -> Arrived {
        let arrived = self.flags.arrived.lock();
        arrived.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fills the port, as a host does whose bytes nobody reads.
    pub(crate) fn fill(&self) {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        // One that another program has opened exclusively cannot be opened again, but by a privileged user; this one was open before.
        let mut another = match open(&self.port, flags, Mode::empty()) {
            Ok(another) => File::from(another),
            Err(_) => {
                fcntl(&self.slave, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("its flags");
                File::from(self.slave.try_clone().expect("a descriptor"))
            }
        };
        // What was written is moved on by the operating system in its own time, which makes room again.
        let mut full = 0;
        while full < 5 {
            let mut written = 0;
            for length in [1024, 64, 1] {
                while let Ok(count) = another.write(&[0; 1024][..length]) {
                    written += count;
                }
            }
            full = if written == 0 { full + 1 } else { 0 };
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// A second name of the port.
    pub(crate) fn link(&self, name: &Path) {
        std::os::unix::fs::symlink(&self.port, name).expect("a link");
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.flags.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It panicked only if the arm did, and the row has failed then.
            let _ = thread.join();
        }
    }
}

fn serve(arm: &VirtualArm, master: &OwnedFd, flags: &Flags) {
    let origin = Instant::now();
    let begun_us = arm.now_us();
    let mut decoder: Decoder<HostToArm> = Decoder::default();
    let (mut bytes, mut unsent) = ([0; 4096], Vec::new());
    let mut line = arm.clone();
    while !flags.over.load(Ordering::SeqCst) {
        let deaf = flags.deaf.load(Ordering::SeqCst);
        if deaf {
            std::thread::park_timeout(Duration::from_millis(1));
        } else {
            // What is there is found out by reading.
            let _ = poll(
                &mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)],
                PollTimeout::from(1_u8),
            );
        }
        let now = Instant::now();
        let count = match deaf {
            true => 0,
            false => nix::unistd::read(master, &mut bytes).unwrap_or(0),
        };
        {
            let mut arrived = flags.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            for byte in &bytes[..count] {
                match decoder.push(*byte) {
                    Some(HostToArm::EStop) => {
                        arrived.e_stop.get_or_insert(now);
                    }
                    Some(HostToArm::Command(_)) => {
                        arrived.commands += 1;
                        arrived.last_command_us = arm.now_us();
                    }
                    _ => {}
                }
            }
        }
        arm.hears(&bytes[..count]);
        let elapsed_us = now.duration_since(origin).as_micros() as u64;
        while arm.now_us() < begun_us + elapsed_us {
            arm.step();
        }
        if !arm.lock().torque_on {
            let mut arrived = flags.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            if arrived.e_stop.is_some() {
                arrived.off.get_or_insert_with(Instant::now);
            }
        }
        let count = line.read(&mut bytes).unwrap_or(0);
        // What the host does not take for long is dropped, as a port does.
        if !flags.mute.load(Ordering::SeqCst) && unsent.len() < 4096 {
            unsent.extend_from_slice(&bytes[..count]);
        }
        if let Ok(count) = nix::unistd::write(master, &unsent) {
            unsent.drain(..count);
        }
    }
}
