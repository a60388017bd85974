//! What the microcontroller of an arm does, without the chip: it reads bytes from the host, ticks the firmware core, drives servos, and
//! sends telemetry. `no_std`, no allocation, no clock of its own.
//!
//! ```text
//!  host ── bytes ──> Board ── Drive ──> HobbyServos ── pulses, supply ──> ServoPins   (a chip, or the twin)
//!       <─ frames ──   │    <─ angles ──            <─ counts ──────────
//!                      └── button, latch, watchdog ──────────────────────> Panel      (a chip, or the twin)
//! ```
//!
//! [`arm::ARM`] is the arm that is built in: its limits, pulses and feedback wires. `firmware-bridge/firmware/pico` implements the two
//! traits for a Raspberry Pi Pico, `firmware-bridge/firmware/twin` for a computer. Another chip needs the same two.
//!
//! # Safe state
//!
//! **The servos have no supply.** One output of the chip switches it, and a resistor holds that output low while the chip does not drive
//! it: before it boots, while it resets, when it is gone. The board switches the supply on with the first accepted command of a session,
//! and off as soon as the core takes torque off.
#![no_std]

mod angle;
pub mod arm;
mod run;
mod servos;

pub use angle::{Feedback, Servo};
pub use arm::{Arm, Joint};
pub use run::{Actuators, Board, Panel};
pub use servos::{HobbyServos, ServoPins};
