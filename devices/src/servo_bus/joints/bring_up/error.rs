//! Why an arm is not brought up.

use super::super::mapping::SettingsError;
use crate::servo_bus::{BusError, ValueOutOfRange};

/// Why an arm cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum BringUpError {
    /// The bus is at fault, or a servo is silent.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The settings are.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A number that does not fit its register.
    #[error(transparent)]
    Value(#[from] ValueOutOfRange),
    /// Another kind of servo than was expected.
    #[error(
        "joint {joint}: servo {id} is of model {model}, which is not one of {known}; is this the right arm and protocol?"
    )]
    Model {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// What it says.
        model: u16,
        /// What is known.
        known: String,
    },
    /// More than one servo answers.
    #[error(
        "joint {joint}: more than one servo answers to id {id}, or something disturbs the bus; give each an id of its own"
    )]
    Twins {
        /// The joint.
        joint: String,
        /// The id.
        id: u8,
    },
    /// Its homing offset is not that of the calibration.
    #[error(
        "joint {joint}: servo {id} stores a homing offset of {stored} ticks, and the calibration of this arm has {calibrated}: it is another servo, or \
         another program has calibrated it; make the calibration anew with `armillary calibrate joints`"
    )]
    OtherHoming {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// What the servo stores.
        stored: i64,
        /// What the calibration has.
        calibrated: i64,
    },
    /// It does not keep what is written.
    #[error(
        "joint {joint}: servo {id} does not keep {register}: {wanted} was written, {found} was read back"
    )]
    NotKept {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// The register.
        register: &'static str,
        /// What was written, in steps.
        wanted: i64,
        /// What was read.
        found: i64,
    },
    /// It holds, and what it keeps has to be changed, for which it would have to let go.
    #[error(
        "joint {joint}: servo {id} holds, and its {register} has to be changed: lay the arm down, switch its power off and on, then try again"
    )]
    Holding {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// The first register that differs.
        register: &'static str,
    },
    /// It is where it should not be.
    #[error(
        "joint {joint} is at {position_rad:.2} rad, outside of its limits: move it back by hand before torque is switched on, or calibrate it anew"
    )]
    OutsideLimits {
        /// The joint.
        joint: String,
        /// Where it is.
        position_rad: f32,
    },
}
