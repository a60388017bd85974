//! The emergency stop of a program that drives an arm.
//!
//! ```text
//!  Ctrl-\ (SIGQUIT) ──────────────┐
//!                                 ├──> thread "e-stop" ──> the arm's EStopLine ──> bytes on the wire
//!  `armillary e-stop`, by socket ─┘         │
//!                                           └──> Signals::e_stop, which the control loop looks at
//! ```
//!
//! The thread does nothing else. It prints nothing, takes no lock, and opens nothing but the port of an arm that nobody has open, so nothing that the rest of the program waits for
//! (a terminal, a disk, a camera) delays it. It presses until the arm confirms, and until then the program does not end.
//!
//! | where | what |
//! |---|---|
//! | `watch` | signals, and the handle of the thread |
//! | `turns` | what the thread does: hears, presses, answers, sleeps |
//! | `ending` | what it came to, in words |
//! | `opening` | opens an arm; the way to one that could not be opened, or was closed again |
//! | `channel` | the socket by which other programs ask for the emergency stop, and get the answer |

pub mod channel;
mod ending;
mod opening;
mod turns;
mod watch;

pub use ending::Ending;
pub use opening::{Unopened, open};
pub use watch::Watch;

use robot::device::Stopped;

/// What a person is told of an arm that confirmed.
pub fn words(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Latched => "latched: torque is off and stays off until `armillary clear-e-stop`",
        Stopped::LetGo => {
            "torque is off; this arm has no latch: the next program that drives it switches torque on again"
        }
    }
}

/// What a person is told of an arm that did not.
pub const NOT_CONFIRMED: &str = "emergency stop NOT confirmed: cut the arm's power";
