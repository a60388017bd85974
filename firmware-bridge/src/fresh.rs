//! Numbers that nobody has had before: nonces of hosts, boot ids of arms that run on this machine.

use std::hash::{BuildHasher, RandomState};

/// A number that is not 0, from the operating system's random numbers. Unlike a number from a clock or a counter it does not come again
/// after a restart.
pub fn id() -> u64 {
    // The standard library keys each map anew, with keys of the operating system.
    RandomState::new().hash_one(0_u8).max(1)
}
