//! Cameras by a portable library (nokhwa: Linux, macOS, Windows), behind a fence.
//!
//! The library is easy to have and hard to trust. What it does that a control loop cannot bear, and what the fence does about it:
//!
//! | the library | the fence |
//! |---|---|
//! | waits for ever when the camera stops delivering | a thread of its own for each opened camera; the camera is lost after a deadline, the thread is left behind, and another one opens the camera again; at most [`HUNG_MAX`] threads are left behind |
//! | hands over pictures that the driver marked as damaged | [`crate::webcam::Judge`] looks at each: torn, black and frozen ones are dropped and counted |
//! | hands over old pictures first after a stall | [`Arrivals`] believes the age of a picture only if it was waited for; others are dropped and counted |
//! | stamps pictures with the wall clock | no age depends on those stamps: ages are from arrival, on the monotonic clock, and the report says so |
//! | panics | the panic ends in the thread of the camera, which is then lost |
//!
//! Two things cannot be told through the library: a picture that the driver marked as damaged and that looks sound, and a program that is
//! held up at every single picture, which looks like a slow camera. On Linux, [`crate::webcam`] sees the mark and the driver's own time
//! stamps: it is the better choice there.
//!
//! | where | what |
//! |---|---|
//! | `settings` | what a robot file says |
//! | `library` | the library itself, in programs built with the feature `nokhwa` |
//! | `worker` | the thread that waits for pictures |
//! | `fence` | what opens, watches and gives up such threads |
//! | `source` | the way of pictures to whoever polls |
//! | `arrivals` | which pictures are fresh |
//! | `fake` | a library that does all of the above on request |

mod arrivals;
pub mod fake;
mod fence;
#[cfg(feature = "nokhwa")]
mod library;
mod settings;
mod source;
mod worker;

use std::time::Duration;

use robot::device::Picture;

pub use arrivals::Arrivals;
pub use fence::{Fence, HUNG_MAX};
pub use settings::{Listed, Settings, list, opener};
pub use source::PortableCamera;

/// What a camera agreed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreed {
    /// What the camera is called.
    pub name: String,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub rate_hz: f64,
}

/// What the library says of a failure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct GrabError(pub String);

/// Opens a camera. It is called on the thread that then grabs, since some systems bind a camera to its thread.
pub trait Opener: Send + Sync {
    /// Opens the camera. It may take for ever.
    ///
    /// # Errors
    /// [`GrabError`], if there is no such camera or it cannot do as asked.
    fn open(&self) -> Result<Box<dyn Grabber>, GrabError>;
}

/// An open camera that makes its caller wait.
pub trait Grabber {
    /// What it agreed to.
    fn agreed(&self) -> Agreed;

    /// Waits for the next picture, perhaps for ever, and copies it into `into`. Returns the library's own time stamp if there is one: it
    /// is compared with the arrival for the report, and never used.
    ///
    /// # Errors
    /// [`GrabError`], if the camera is gone: it must be opened again.
    fn grab(&mut self, into: &mut Picture) -> Result<Option<Duration>, GrabError>;
}

/// Why a portable camera cannot be used, or is gone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PortableError {
    /// A field of the settings.
    #[error("field `camera.{field}` {problem}; {remedy}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The program has no camera library.
    #[error(
        "this program was built without the camera library nokhwa, which `camera: portable(..)` needs; build it with `--features nokhwa` \
         (on Linux that needs libclang), or, on Linux, write `camera: webcam(..)`, which `armillary find-cameras` does for you"
    )]
    NotBuilt,
    /// The library failed to open the camera.
    #[error("the camera cannot be opened: {0}")]
    Open(GrabError),
    /// The library does not come back from opening the camera.
    #[error(
        "the camera library has not opened the camera in {waited_ms} ms; close other programs that use the camera, or unplug it and plug \
         it in again"
    )]
    Opening {
        /// For how long, in milliseconds.
        waited_ms: u64,
    },
    /// The library said that the camera failed.
    #[error("the camera failed: {0}; check the cable, and that nothing else uses the camera")]
    Grab(GrabError),
    /// No picture for so long that the camera is opened again.
    #[error("the camera has delivered nothing for {silent_ms} ms; check the cable")]
    Silent {
        /// For how long, in milliseconds.
        silent_ms: u64,
    },
    /// The library panicked.
    #[error(
        "the camera library panicked: its message is printed above; unplug the camera and plug it in again"
    )]
    Panicked,
    /// So many threads wait in the library that no more are started.
    #[error(
        "{HUNG_MAX} threads wait for the camera library and do not come back; unplug the camera and plug it in again, or start this \
         program again"
    )]
    Hung,
    /// The operating system gives no thread.
    #[error("no thread for the camera: {0}")]
    Thread(String),
}

/// What became of pictures and of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Offered to whoever polls.
    pub delivered: u64,
    /// Perhaps older than two periods: they came after a stall, or faster than they were taken.
    pub old: u64,
    /// Of the wrong size or length, or with a part missing.
    pub torn: u64,
    /// Black.
    pub black: u64,
    /// The same as several before.
    pub frozen: u64,
    /// How often the library's time stamps and the arrivals disagreed by more than a second: the wall clock was set, or the
    /// program was held up.
    pub stamp_jumps: u64,
    /// How often the camera was gone, silent or broken.
    pub losses: u64,
    /// How often it was opened, the first time included.
    pub openings: u64,
    /// Threads that were left behind in the library.
    pub abandoned: u64,
}
