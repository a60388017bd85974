//! The traits of what is outside: an arm's joints, a camera, and a task.
//!
//! There are two sides. A *plant* ([`Joints`], [`View`], [`Task`]) is what moves and is seen: a simulator, an environment in another
//! process, a servo bus. The control loop does not reach it directly: between them are a firmware, which keeps the arm's limits, and a
//! camera's thread. What the loop holds is a [`JointBus`], a [`FrameSource`] and perhaps a [`Task`].

mod bus;
mod contract;
pub mod e_stop;
mod lockstep;
mod motors;
mod picture;
mod refused;
mod signals;

pub use bus::{ArmReport, ArmState, DeviceInfo, JointBus, LinkError, Overdue};
pub use contract::{ContractProblem, ContractTerm};
pub use e_stop::{EStopLine, Stopped};
pub use lockstep::{Lockstep, Observation};
pub use motors::{Motor, MotorTrouble, Motors, TroubleKind};
pub use picture::{Picture, PixelFormat};
pub use refused::RefusedReports;
pub use signals::Signals;

use crate::{Frame, JointState};

/// Why a device could not do as asked. The text names the device and the remedy.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DeviceError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl DeviceError {
    /// What went wrong, with its remedy.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// What went wrong, if it is an `E`.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl From<LinkError> for DeviceError {
    fn from(error: LinkError) -> Self {
        Self::new(error)
    }
}

/// Joints that go where they are told: what a firmware drives.
pub trait Joints: Send {
    /// How many joints there are.
    fn joint_count(&self) -> usize;

    /// Moves by `dt_s` seconds towards `set_point_rad`. Without torque the joints coast and come to rest.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError>;

    /// Joints as their encoders reported them last.
    fn joints(&self) -> JointState;
}

/// A camera that draws a picture when it is asked to: that of a simulator.
pub trait View: Send {
    /// Draws what the camera sees now.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError>;
}

/// What an arm is to do: how an episode begins, and how good each state is.
pub trait Task: Send {
    /// Starts a new episode: a start pose and a target drawn from `seed`.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError>;

    /// Reward of the state that was shown last. `None` where nobody gives one, or the world has been reset and has not moved yet.
    fn reward(&self) -> Option<f32>;

    /// Whether the episode has ended by itself. What comes after the end has nothing to do with what is asked for.
    fn ended(&self) -> bool {
        false
    }
}

/// An arm with a camera and a task, all three in one: a simulated one. Stepping is deterministic: the same seed, set points and step
/// lengths give the same frames, joints and rewards to the last bit.
pub trait Plant: Joints + View + Task {}

impl<P: Joints + View + Task + ?Sized> Plant for P {}

impl<T: Joints + ?Sized> Joints for Box<T> {
    fn joint_count(&self) -> usize {
        (**self).joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        (**self).step(set_point_rad, torque_on, dt_s)
    }

    fn joints(&self) -> JointState {
        (**self).joints()
    }
}

impl<T: View + ?Sized> View for Box<T> {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        (**self).render(frame)
    }
}

impl<T: Task + ?Sized> Task for Box<T> {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        (**self).reset(seed)
    }

    fn reward(&self) -> Option<f32> {
        (**self).reward()
    }

    fn ended(&self) -> bool {
        (**self).ended()
    }
}

/// Brightest level, from 0 to 255, of a picture in which nothing is to be seen. A lens with its cap on shows some noise.
pub const BLACK_LEVEL: u8 = 24;

/// Number and age of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStamp {
    /// Increases with every picture of a source. Gaps are pictures that were dropped in favour of newer ones, or damaged.
    pub seq: u64,
    /// Nanoseconds from capture until the picture was handed over. Subtract it from any monotonic clock's present to get the
    /// capture time on that clock. [`FrameStamp::IN_THE_FUTURE`] where the stamp lies in the future, so that nobody knows the age.
    pub age_ns: u64,
}

impl FrameStamp {
    /// The age of a picture that is stamped in the future. Such a picture is not used.
    pub const IN_THE_FUTURE: u64 = u64::MAX;
}

/// A camera, real or simulated, that never makes its caller wait.
pub trait FrameSource: Send {
    /// Drains what has arrived to the newest picture. If that is newer than the last one handed over, copies it into `into`. Never
    /// blocks, and allocates nothing once pictures of one size come.
    ///
    /// # Errors
    /// [`DeviceError`] when the camera is gone.
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError>;

    /// Pixels a row and rows of the pictures that will come, where that is known before the first.
    fn size(&self) -> Option<(u32, u32)> {
        None
    }

    /// How the pixels of the pictures that will come are coded, where that is known before the first.
    fn format(&self) -> Option<PixelFormat> {
        None
    }

    /// What became of its pictures so far, and what their ages are from, for a report: a name and a value each. Not for the tick.
    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
