//! Feetech STS servos (SO-100, SO-101): packets and registers.

mod family;
mod maker;
mod packet;
pub mod registers;

pub use packet::{Feetech, status};
