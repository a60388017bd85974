//! Another rate and another patience on the same line.

use super::{Bus, BusError};
use crate::servo_bus::line::{Line, RatedLine};
use crate::servo_bus::protocol::Protocol;

impl<P: Protocol, L: RatedLine> Bus<P, L> {
    /// Speaks at `baud` bits a second from here on.
    ///
    /// # Errors
    /// A line error, also for a rate that the adapter does not have.
    pub fn set_baud(&mut self, baud: u32) -> Result<(), BusError> {
        if self.timing.baud != baud {
            self.line.set_baud(baud)?;
            self.timing.baud = baud;
            // Whoever answers late answers at the old rate: that is noise now.
            self.owed = true;
        }
        Ok(())
    }
}

impl<P: Protocol, L: Line> Bus<P, L> {
    /// Waits so long for the beginning of an answer from here on, in microseconds. Returns how long it was before.
    pub fn set_turnaround_us(&mut self, turnaround_us: u64) -> u64 {
        std::mem::replace(&mut self.timing.turnaround_us, turnaround_us)
    }
}
