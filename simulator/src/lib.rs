//! The arm that needs no hardware: three reaching tasks with a camera and a reward, behind [`robot::Plant`].
//!
//! | task | joints | camera | physics | a step of 20 ms |
//! |---|---|---|---|---|
//! | `reach-planar` | shoulder, elbow | straight above | first-order position servos | nanoseconds |
//! | `reach` | yaw, shoulder, elbow | in front, 58 degrees up | rapier multibody, gravity on | microseconds |
//! | `so101` | the six of an SO-101 | in front, 58 degrees up | first-order position servos | a microsecond |
//!
//! Each is described by an MJCF file of primitive shapes (`assets/`), from which come geometry, masses, servo gains,
//! joint ranges, colours, camera and light. The kinematic chain that a robot file repeats is in [`kinematics`].
//!
//! **Invariant:** the same seed, set points and step lengths give the same joints, rewards and pixels to the last bit,
//! on fresh instances, on clones and after [`Simulator::copy_state_from`]. So nothing here calls the platform's
//! mathematical library, reads a clock or depends on an address.

pub mod kinematics;

mod camera;
mod error;
mod late;
mod planar;
mod render;
mod scene;
mod servo;
mod shape;
mod simulator;
mod so101;
mod spatial;
mod task;
mod trig;

pub use error::SimulatorError;
pub use kinematics::{chain, joint_ranges_rad};
pub use simulator::Simulator;
pub use task::{Task, UnknownTask};
