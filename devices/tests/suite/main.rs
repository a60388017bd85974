//! One binary: the link, the serial port, environments in a process, and the bridge end to end.

mod bridge;
mod common;
mod link;
mod process;
mod serial;
