//! The firmware of an arm's board on this computer: [`board::Board`] over a pseudo-terminal, with servos, wires, button and supply that
//! are emulated ([`Body`]). What runs here is what runs on the board, but for the chip's registers.
//!
//! [`Twin`] serves the port. [`Body`] is what a person at the arm could see and do: positions and supply, the button, a wire that
//! breaks, the power switch. [`differences`] holds a robot file against the arm that is built in.

mod body;
mod check;
mod serve;

pub use body::{Body, WATCHDOG_US};
pub use check::differences;
pub use serve::{SERIAL_NUMBER, Twin};
