//! One binary: the codec and the firmware core.

mod acceleration;
mod bench;
mod codec;
mod common;
mod edges;
mod firmware;
mod sessions;
