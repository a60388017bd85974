//! Dynamixel servos of protocol 2 (Koch: XL430 and XL330): packets and registers.

mod crc;
mod family;
mod maker;
mod packet;
pub mod registers;
mod stuffing;

pub use packet::{Dynamixel, hardware_error};
