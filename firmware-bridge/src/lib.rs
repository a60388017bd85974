//! The wire between the controller and an arm: frame codec, firmware core, the frame socket's messages, and the bridge that puts a
//! simulated arm at the far end of a serial port and a frame socket. The near end is in the crate `devices`.
//!
//! [`wire`] and [`firmware`] are `no_std` and never allocate: the same code runs on a microcontroller and behind the
//! simulator's pty. Everything else needs the `std` feature, which is on by default.
//!
//! ```text
//!  controller                      arm, or SimulatorBridge
//!  HostLink --- serial / pty ----- FirmwareCore --- Joints
//!  FrameSocket -- Unix socket ---- camera and task
//! ```
#![cfg_attr(not(feature = "std"), no_std)]

pub mod firmware;
pub mod wire;

#[cfg(feature = "std")]
pub mod arm;
#[cfg(feature = "std")]
pub mod bridge;
#[cfg(feature = "std")]
pub mod faults;
#[cfg(feature = "std")]
pub mod frames;
#[cfg(feature = "std")]
pub mod fresh;
#[cfg(feature = "std")]
mod report;

pub use firmware::{Drive, FirmwareCore, FirmwareLimits, FirmwareOptions, Identity, JointLimits};
pub use wire::{FirmwareState, PROTOCOL_VERSION, StopReason, Telemetry};

#[cfg(feature = "std")]
pub use bridge::{BridgeError, BridgeMode, BridgeOptions, Ended, Line, Pieces, Pty, SimulatorBridge};
