//! Another rate on the same line.

use super::{Bus, BusError, Timing};
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
    /// The same bus, with other times; the rate stays.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = Timing {
            baud: self.timing.baud,
            ..timing
        };
        self.owed = true;
        self
    }
}
