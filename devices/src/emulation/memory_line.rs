//! The host's end of an emulated wire, in virtual time.

use super::layout::Emulated;
use super::wire::EmulatedBus;
use crate::servo_bus::{Line, LineError, RatedLine};

/// A [`Line`] whose clock moves only while somebody waits.
#[derive(Debug)]
pub struct MemoryLine<P> {
    bus: EmulatedBus<P>,
    now_us: u64,
    /// Whether the adapter is plugged in.
    pub plugged_in: bool,
}

impl<P: Emulated> MemoryLine<P> {
    /// The end of `bus`.
    pub fn new(bus: EmulatedBus<P>) -> Self {
        Self {
            bus,
            now_us: 0,
            plugged_in: true,
        }
    }

    /// The wire.
    pub fn bus(&mut self) -> &mut EmulatedBus<P> {
        &mut self.bus
    }

    /// Lets time pass.
    pub fn advance(&mut self, by_us: u64) {
        self.now_us += by_us;
        self.bus.advance(self.now_us);
    }

    fn check(&self) -> Result<(), LineError> {
        if self.plugged_in {
            Ok(())
        } else {
            Err(LineError::Closed {
                line: self.name().to_owned(),
            })
        }
    }
}

impl<P: Emulated> Line for MemoryLine<P> {
    fn name(&self) -> &str {
        "emulated bus"
    }

    fn now_us(&self) -> u64 {
        self.now_us
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.check()?;
        self.bus.write(bytes, self.now_us);
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LineError> {
        self.check()?;
        Ok(self.bus.read(into, self.now_us))
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LineError> {
        self.check()?;
        let until_us = self.now_us + timeout_us.max(1);
        let arrival_us = self.bus.next_arrival_us().unwrap_or(u64::MAX);
        self.now_us = until_us.min(arrival_us.max(self.now_us));
        Ok(())
    }
}

impl<P: Emulated> RatedLine for MemoryLine<P> {
    fn set_baud(&mut self, baud: u32) -> Result<(), LineError> {
        self.check()?;
        self.bus.set_host_baud(baud);
        Ok(())
    }
}
