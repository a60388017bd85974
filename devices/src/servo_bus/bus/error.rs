//! What goes wrong on a bus: counted where it is expected, an error where it is not.

use crate::servo_bus::line::LineError;
use crate::servo_bus::protocol::EncodeError;

/// What a bus has met since it was made. Counters wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Requests sent.
    pub requests: u32,
    /// Answers that were believed.
    pub answers: u32,
    /// Requests heard again by the one who sent them.
    pub echoes: u32,
    /// Answers of a wrong id or length, or given twice.
    pub foreign: u32,
    /// Answers that were not believed for the noise behind them.
    pub suspect: u32,
    /// Servos that were asked again.
    pub retries: u32,
    /// Servos that did not answer in an exchange.
    pub misses: u32,
    /// Bytes that nobody had asked for.
    pub unasked_bytes: u32,
}

/// Why nothing can be said about a servo.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The line is at fault.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The request is.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It does not answer.
    #[error("{line}: servo {id} does not answer; check its cable, its power and its id")]
    Silent {
        /// The line.
        line: String,
        /// Its id.
        id: u8,
    },
    /// It refuses.
    #[error("{line}: servo {id} refuses (reason {reason} of its protocol)")]
    Refused {
        /// The line.
        line: String,
        /// Its id.
        id: u8,
        /// The number that it gave.
        reason: u8,
    },
}
