//! What can be learned of servos without telling them anything: who answers, who they are, what they measure. Nothing here writes to a
//! servo.

mod facts;
mod maker;
mod presence;

pub(crate) use facts::steps;
pub use facts::{ServoFacts, fault_names, look};
pub use maker::Maker;
pub use presence::{Presence, presence, sweep};
