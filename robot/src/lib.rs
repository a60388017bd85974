//! The vocabulary every other crate speaks: joints and their limits, the [`Envelope`], kinematics, frames, clocks,
//! the traits of what is outside ([`device`]), and the robot file. No I/O beyond reading that file.
//!
//! Time convention, used everywhere: `action[t]` is the action that **caused** `observation[t]` and `reward[t]`.
//! Index 0 of an episode has action zero.

pub mod clock;
mod complaint;
pub mod config;
pub mod device;
pub mod envelope;
pub mod frame;
pub mod joint;
pub mod kinematics;
pub mod philox;
pub mod reward;
pub mod trig;

pub use clock::{Clock, MonotonicNs, SystemClock, VirtualClock};
pub use complaint::complaint;
pub use config::{Config, ConfigError, text_sha256};
pub use device::{DeviceError, Plant};
pub use envelope::{Clamped, Envelope, LimitHits, SetPoint};
pub use frame::Frame;
pub use joint::{ActionMode, Joint, JointState, JointVec, MAX_JOINTS};
pub use kinematics::{Chain, Link};
pub use reward::RewardRule;
