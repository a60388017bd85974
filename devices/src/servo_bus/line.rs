//! Bytes to and from servos.

/// A line that carries bytes, and the clock that goes with it.
pub trait Line: Send {
    /// What to call it in messages: the port's path.
    fn name(&self) -> &str;

    /// Microseconds of a monotonic clock.
    fn now_us(&self) -> u64;

    /// Sends all of `bytes` (one packet), or fails within a few milliseconds. Need not wait until they are on the wire.
    ///
    /// # Errors
    /// [`LineError`].
    fn write(&mut self, bytes: &[u8]) -> Result<(), LineError>;

    /// Reads what has arrived, without waiting; 0 if nothing has.
    ///
    /// # Errors
    /// [`LineError`].
    fn read(&mut self, into: &mut [u8]) -> Result<usize, LineError>;

    /// Returns when something can be read, or after `timeout_us`.
    ///
    /// # Errors
    /// [`LineError`].
    fn wait(&mut self, timeout_us: u64) -> Result<(), LineError>;
}

/// A line whose rate can be changed while it is open.
pub trait RatedLine: Line {
    /// Sends and reads at `baud` bits a second from here on. What was read at the old rate and not taken is lost.
    ///
    /// # Errors
    /// [`LineError`], also for a rate that the adapter does not have.
    fn set_baud(&mut self, baud: u32) -> Result<(), LineError>;
}

/// Why a line carries nothing.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The other end is gone: unplugged, or the program behind it ended.
    #[error("{line}: closed by the other side; check the cable and the arm's power, then start again")]
    Closed {
        /// The line.
        line: String,
    },
    /// It takes no bytes.
    #[error("{line}: accepts no bytes; unplug the adapter and plug it in again")]
    WriteTimeout {
        /// The line.
        line: String,
    },
    /// Anything else that the operating system reports.
    #[error("{line}: {source}; check the cable and the arm's power, then start again")]
    Io {
        /// The line.
        line: String,
        /// What it said.
        source: std::io::Error,
    },
}
