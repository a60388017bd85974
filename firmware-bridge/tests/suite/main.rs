//! One binary: the codec, the firmware core, the link, and the bridge end to end.

mod bridge;
mod codec;
mod common;
mod firmware;
mod link;
mod process;
mod serial;
