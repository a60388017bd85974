//! Servos that are none: registers, a motor and a wire, in virtual time, with every fault on request. For tests, for a demonstration
//! and for whoever has no arm yet. Beside them is a USB webcam of software, for the kernel's own driver.
//!
//! [`EmulatedBus`] is the wire with the servos on it. [`MemoryLine`] puts it behind a [`crate::servo_bus::Line`] whose clock moves only
//! when somebody waits; [`serve`] puts it behind a pseudo-terminal, in real time, and [`EmulatedArm`] a whole arm.

mod arm;
mod faults;
mod layout;
mod memory_line;
mod motor;
mod pty;
mod servo;
#[cfg(target_os = "linux")]
pub mod usb_camera;
mod wire;

pub use arm::{EmulatedArm, FaultSwitch};
pub use faults::Faults;
pub use layout::Emulated;
pub use memory_line::MemoryLine;
pub use motor::Motor;
pub use pty::{PtyEnd, serve};
pub use servo::EmulatedServo;
pub use wire::EmulatedBus;
