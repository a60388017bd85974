//! One binary: the link, the serial port, environments in a process, devices that robot files name, servo buses, and the bridge end to
//! end.

mod bridge;
mod common;
mod contract;
mod folder;
mod hostile;
mod link;
mod named;
mod playback;
mod portable;
mod process;
mod reports;
mod serial;
mod servos;
#[cfg(target_os = "linux")]
mod usb_camera;
