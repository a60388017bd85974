//! The wire between the controller and an arm: frame codec, firmware core, serial host, frame socket, and the bridge
//! that puts a simulated arm at the far end of both.
//!
//! [`wire`] and [`firmware`] are `no_std` and never allocate: the same code runs on a microcontroller and behind the
//! simulator's pty. Everything else needs the `std` feature, which is on by default.
//!
//! ```text
//!  controller                      arm, or SimulatorBridge
//!  HostLink --- serial / pty ----- FirmwareCore --- Plant or motors
//!  FrameSocket -- Unix socket ---- camera
//! ```
#![cfg_attr(not(feature = "std"), no_std)]

pub mod firmware;
pub mod wire;

#[cfg(feature = "std")]
pub mod arm;
#[cfg(feature = "std")]
pub mod bridge;
#[cfg(feature = "std")]
pub mod bus;
#[cfg(feature = "std")]
pub mod fake;
#[cfg(feature = "std")]
pub mod fault;
#[cfg(feature = "std")]
pub mod frames;
#[cfg(feature = "std")]
pub mod link;
#[cfg(feature = "std")]
pub mod process;
#[cfg(feature = "std")]
pub mod rig;
#[cfg(feature = "std")]
pub mod serial;

pub use firmware::{Drive, FirmwareCore, FirmwareLimits, FirmwareOptions, JointLimits};
pub use wire::{FirmwareState, PROTOCOL_VERSION, StopReason, Telemetry};

#[cfg(feature = "std")]
pub use bridge::{BridgeError, BridgeMode, BridgeOptions, Ended, SimulatorBridge};
#[cfg(feature = "std")]
pub use bus::{DeviceInfo, JointBus, LinkError};
#[cfg(feature = "std")]
pub use frames::{FrameError, FrameSocket, SocketCamera, SocketTask};
#[cfg(feature = "std")]
pub use process::{ProcessError, ProcessPlant};
#[cfg(feature = "std")]
pub use rig::{Lockstep, LockstepLink, Loopback, Observation, RigError};
#[cfg(feature = "std")]
pub use serial::{SerialLink, SerialOptions};
