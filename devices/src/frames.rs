//! The near end of a frame socket: pictures, resets and rewards from another program on this machine. The messages are
//! [`firmware_bridge::frames`].

mod settings;
mod socket;
mod split;

pub use settings::Settings;
pub use socket::{Delivered, FrameError, FrameSocket};
pub use split::{SocketCamera, SocketTask};
