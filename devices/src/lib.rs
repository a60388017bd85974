//! What is plugged in, each behind a trait of [`robot::device`]: an arm on a serial port, webcams, the camera and the task at the other end of a
//! frame socket, servo buses, environments in a Python process, and an arm in memory with a world that waits. Fakes and emulations lie
//! beside the real things and are named as such.

pub mod arms;
pub mod cameras;
pub mod dynamixel;
pub mod emulation;
pub mod fake;
pub mod fault;
pub mod feetech;
pub mod folder;
pub mod frames;
pub mod hosted;
pub mod let_go;
pub mod link;
pub mod lockstep;
pub mod playback;
pub mod portable;
pub mod process;
pub mod serial;
pub mod servo_bus;
pub mod servos;
pub mod setup;
pub mod survey;
mod table;
#[cfg(target_os = "linux")]
pub mod webcam;

pub use arms::{Arm, Opening};
pub use cameras::{Camera, OpenCamera};
pub use frames::{FrameError, FrameSocket, SocketCamera, SocketTask};
pub use lockstep::{LockstepError, LockstepLink, Loopback};
pub use process::{ProcessError, ProcessPlant};
pub use serial::{SerialLink, SerialOptions};
