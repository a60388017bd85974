//! What an emergency stop came to, for a program that ends.

use std::time::Duration;

use robot::device::Stopped;

/// What became of the emergency stop of a program that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nobody asked for it.
    NotAsked,
    /// The arm has confirmed it.
    Confirmed {
        /// How the arm stands now.
        stopped: Stopped,
        /// From the moment in which the thread heard of it until the first bytes were given to the port.
        sent_after: Duration,
        /// And until the arm had confirmed.
        confirmed_after: Duration,
    },
    /// The arm has not confirmed it, for this reason.
    NotConfirmed(String),
}

impl Ending {
    /// What a person is told, if it was asked for.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::NotAsked => None,
            Self::Confirmed {
                stopped,
                sent_after,
                confirmed_after,
            } => Some(format!(
                "emergency stop: {} (sent after {:.1} ms, confirmed after {:.1} ms)",
                super::words(*stopped),
                1e3 * sent_after.as_secs_f64(),
                1e3 * confirmed_after.as_secs_f64()
            )),
            Self::NotConfirmed(why) => Some(format!("{}: {why}", super::NOT_CONFIRMED)),
        }
    }
}
