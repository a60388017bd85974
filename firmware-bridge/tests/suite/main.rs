//! One binary: the codec and the firmware core.

mod codec;
mod common;
mod firmware;
