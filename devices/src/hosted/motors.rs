//! What the motors said last, from the core's thread to the control loop's. Neither waits for the other.

use std::sync::Mutex;

use robot::device::Motors;

/// The newest word of the motors.
#[derive(Debug, Default)]
pub(super) struct MotorsSlot(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    motors: Motors,
    /// Whether the control loop has not seen it yet.
    new: bool,
}

impl MotorsSlot {
    /// Replaces what was told before. Of turns that nobody looked at, the longest time is kept. Where the other thread is looking just now,
    /// this word is lost: another comes with the next turn.
    pub(super) fn tell(&self, mut motors: Motors) {
        if let Ok(mut told) = self.0.try_lock() {
            if told.new {
                motors.exchange_us = motors.exchange_us.max(told.motors.exchange_us);
            }
            *told = Told { motors, new: true };
        }
    }

    /// Copies what was told last, if it is new. If it is not, `into` keeps the readings, and no exchange was finished since.
    pub(super) fn hear(&self, into: &mut Motors) {
        into.exchange_us = 0;
        if let Ok(mut told) = self.0.try_lock()
            && std::mem::take(&mut told.new)
        {
            into.clone_from(&told.motors);
        }
    }
}
