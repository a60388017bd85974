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
        /// From the moment in which the thread heard of it until the first bytes were given to the port; `None` if another thread gives
        /// them.
        sent_after: Option<Duration>,
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
            } => {
                let ms = |after: Duration| 1e3 * after.as_secs_f64();
                let sent =
                    sent_after.map_or_else(String::new, |after| format!("sent after {:.1} ms, ", ms(after)));
                Some(format!(
                    "emergency stop: {} ({sent}confirmed after {:.1} ms)",
                    super::words(*stopped),
                    ms(*confirmed_after)
                ))
            }
            Self::NotConfirmed(why) => Some(format!("{}: {why}", super::NOT_CONFIRMED)),
        }
    }
}
