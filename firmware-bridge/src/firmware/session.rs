//! What the firmware remembers of one host.

/// From one Hello to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// A Hello of our protocol version has been answered.
    pub(super) open: bool,
    pub(super) received_seq: Option<u32>,
    pub(super) accepted_seq: Option<u32>,
    pub(super) host_time_echo_us: u64,
    pub(super) echo_received_us: u64,
}

impl Session {
    pub(super) fn echo(&mut self, now_us: u64, host_time_us: u64) {
        self.host_time_echo_us = host_time_us;
        self.echo_received_us = now_us;
    }
}

/// Refusals since boot, by reason.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) sequence: u32,
    pub(super) age: u32,
    pub(super) content: u32,
    pub(super) state: u32,
    pub(super) clamped: u32,
}
