//! What is plugged in: cameras, servo buses and serial ports, each behind a trait of [`robot::device`].

pub mod dynamixel;
pub mod emulation;
pub mod feetech;
pub mod servo_bus;
