//! What the firmware remembers of one host.

use super::Identity;
use crate::wire::NO_SESSION;

/// From one Hello to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// [`NO_SESSION`] while no Hello of our protocol version has been answered.
    nonce: u64,
    /// What the Hello that opened it brought.
    host_nonce: u64,
    /// The arm was stopped since: nothing of this session moves it any more.
    pub(super) stopped: bool,
    pub(super) received_seq: Option<u32>,
    pub(super) accepted_seq: Option<u32>,
    pub(super) host_time_echo_us: u64,
    pub(super) echo_received_us: u64,
}

impl Session {
    /// Opens session number `count` since boot.
    pub(super) fn open(identity: &Identity, count: u32, host_nonce: u64) -> Self {
        let arm = identity
            .serial_number
            .bytes()
            .fold(mixed(identity.boot_id), |arm, byte| mixed(arm ^ u64::from(byte)));
        let nonce = mixed(mixed(arm ^ mixed(u64::from(count))) ^ host_nonce);
        Self {
            // One of 2^64 numbers is taken.
            nonce: if nonce == NO_SESSION { 1 } else { nonce },
            host_nonce,
            ..Self::default()
        }
    }

    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Whether a message with `nonce` belongs to it.
    pub(super) fn has(&self, nonce: u64) -> bool {
        self.nonce != NO_SESSION && self.nonce == nonce
    }

    /// Whether a Hello with `host_nonce` is the one that opened it, come again before any command: a line repeated it.
    pub(super) fn was_opened_by(&self, host_nonce: u64) -> bool {
        self.nonce != NO_SESSION && self.host_nonce == host_nonce && self.received_seq.is_none()
    }

    /// Keeps what is to be echoed, unless a newer message came before: one that was overtaken on its way.
    pub(super) fn echo(&mut self, now_us: u64, host_time_us: u64) {
        if host_time_us >= self.host_time_echo_us {
            self.host_time_echo_us = host_time_us;
            self.echo_received_us = now_us;
        }
    }
}

/// Spreads every bit of `value` over all others (the finalizer of SplitMix64; one to one).
fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Refusals since boot, by reason.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) sequence: u32,
    pub(super) age: u32,
    pub(super) content: u32,
    pub(super) state: u32,
    pub(super) clamped: u32,
    pub(super) session: u32,
    pub(super) validity: u32,
}
