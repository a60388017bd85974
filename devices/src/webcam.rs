//! Webcams by the kernel's own video interface (V4L2).
//!
//! A [`Webcam`] is a [`robot::device::FrameSource`]: a thread of its own owns the camera, takes what has arrived, keeps the newest picture,
//! and opens the camera again after it was gone. Whoever polls never waits for it.
//!
//! | where | what |
//! |---|---|
//! | `abi`, `kernel`, `linux` | the kernel's structures; what is asked of a kernel; the real one |
//! | `fake` | one with a camera of its own and any fault at any picture, in virtual time |
//! | `identity` | which camera is which |
//! | `device`, `controls` | format, size, rate; exposure, white balance, focus, gain |
//! | `stream` | buffers, order, age |
//! | `judge` | black, frozen and torn pictures |
//! | `driver` | what the thread does, a turn at a time |
//! | `source` | the thread, and the way to whoever polls |
//!
//! **No picture older than was agreed is handed over**, and none of unknown age: what waited in the driver's queue while this program was
//! held up is dropped.

pub mod abi;
mod controls;
pub mod device;
mod driver;
pub mod emulated;
pub mod fake;
pub mod identity;
mod judge;
pub mod kernel;
mod linux;
mod settings;
mod source;
mod stream;

pub use driver::Driver;
pub use judge::{Judge, Verdict};
pub use linux::{BootClock, Linux};
pub use settings::{Format, Lock, Settings};
pub(crate) use settings::{black_level, frozen_after};
pub use source::Webcam;

use std::path::PathBuf;

use nix::errno::Errno;

/// Why a webcam cannot be used, or is gone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WebcamError {
    /// A field of the settings.
    #[error("{field}: {problem}; {remedy}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The driver chose otherwise.
    #[error(
        "{field}: the camera takes {chose} instead of {asked}; write {chose}, or one of what it offers: {offers}"
    )]
    Chose {
        /// The field.
        field: &'static str,
        /// What the settings say.
        asked: String,
        /// What the driver made of it.
        chose: String,
        /// All that the camera offers.
        offers: String,
    },
    /// No camera of that name, or several.
    #[error(transparent)]
    Find(#[from] identity::FindError),
    /// It is there and cannot be opened.
    #[error("device: {} cannot be opened ({}); {}", .node.display(), .errno.desc(), opening(.errno))]
    Open {
        /// Its node.
        node: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// It is something else.
    #[error("device: {} does not deliver pictures; `/sys/class/video4linux` lists those that may", .node.display())]
    NoCamera {
        /// Its node.
        node: PathBuf,
    },
    /// The kernel refused what every camera can do, or the camera went away.
    #[error("the camera failed at {doing} ({}); check the cable, and that nothing else uses the camera", .errno.desc())]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The driver named a buffer that it did not have.
    #[error(
        "the camera's driver handed over buffer {index}, which it did not have; unplug the camera and plug it in again"
    )]
    Buffer {
        /// The number.
        index: u32,
    },
    /// No picture for so long that the camera is opened anew.
    #[error("the camera has delivered nothing for {silent_ms} ms; check the cable")]
    Silent {
        /// For how long, in milliseconds.
        silent_ms: u64,
    },
    /// The operating system gives no thread.
    #[error("no thread for the camera: {0}")]
    Thread(String),
}

impl WebcamError {
    fn kernel(doing: &'static str, errno: Errno) -> Self {
        Self::Kernel { doing, errno }
    }
}

fn opening(errno: &Errno) -> &'static str {
    match errno {
        Errno::EACCES | Errno::EPERM => {
            "join the group `video`: sudo usermod -aG video $USER, then log in again"
        }
        Errno::EBUSY => "another program uses it: close that",
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => "it was unplugged: check the cable",
        _ => "unplug it and plug it in again",
    }
}

/// What became of pictures. All that the camera took are accounted for, but for those that a loss of the camera swallowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Offered to whoever polls.
    pub delivered: u64,
    /// Replaced by a newer one that was there at the same time.
    pub superseded: u64,
    /// Marked as damaged by the driver.
    pub flagged: u64,
    /// Of the wrong length, or with a part missing.
    pub torn: u64,
    /// Black.
    pub black: u64,
    /// The same as several before.
    pub frozen: u64,
    /// Older than agreed, or of unknown age after this program was held up.
    pub stale: u64,
    /// Handed over by the driver after a newer one.
    pub disordered: u64,
    /// Numbers that the driver left out: pictures lost on the way.
    pub gaps: u64,
    /// Delivered with the driver's own capture time.
    pub driver_stamps: u64,
    /// Delivered with their time of arrival, because the driver's time stamps are none, or make no sense.
    pub arrival_stamps: u64,
    /// Waits in which nothing came.
    pub timeouts: u64,
    /// How often the camera was gone, silent or broken.
    pub losses: u64,
    /// How often it was opened, the first time included.
    pub openings: u64,
}
