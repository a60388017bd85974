//! What a person asks for while a program runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a person asks for. The control loop looks at it once a tick, and so does whatever waits for a device. Nothing here is sent to an
/// arm: that is the work of whoever holds the arm's [`super::EStopLine`].
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// A controlled stop.
    pub stop: Arc<AtomicBool>,
    /// Torque off at once, latched.
    pub e_stop: Arc<AtomicBool>,
}
