//! What `armillary doctor` finds out about a machine, the devices of a robot, and an arm that may move. Each check says what was seen and
//! what to do; printing is the command's own.
//!
//! [`machine`], [`ports`], [`camera`] and [`arm`] move nothing and write nothing to a servo. [`full`] moves the arm, on a [`rig`].

pub mod arm;
pub mod camera;
pub(crate) mod drive;
mod finding;
pub mod full;
pub mod machine;
pub mod ports;
pub mod rig;
mod servos;
mod stand_in;
mod system;
mod watch;

pub use finding::{Examination, Finding, State};
pub use system::System;
