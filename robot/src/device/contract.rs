//! Where the limits that an arm keeps by itself are not those that the robot file allows.

use std::fmt;

/// One limit of an arm that the robot file does not allow.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractProblem {
    /// Which limit.
    pub term: ContractTerm,
    /// The joint, if it is a joint's limit.
    pub joint: Option<String>,
    /// What the arm says, in the unit of the term.
    pub arm: f64,
    /// What the robot file says, in the same unit.
    pub file: f64,
}

/// The limits that an arm promises in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractTerm {
    /// Smallest set point, in radians: the arm's is smaller.
    PositionMin,
    /// Largest set point, in radians: the arm's is larger.
    PositionMax,
    /// Largest speed, in radians a second: the arm's is larger.
    Velocity,
    /// Largest acceleration, in radians a second squared: the arm's is larger.
    Acceleration,
    /// Silence after which a moving arm stops, in seconds: the arm waits for longer.
    Watchdog,
    /// The same, where the arm would stop between two commands; the robot file's number is its control period.
    WatchdogShort,
    /// Silence after which a holding arm lets go, in seconds: the arm's is another.
    TorqueGrace,
    /// Farthest first command, in radians a joint: the arm's is farther.
    Jump,
    /// Longest validity of a command, in seconds: the arm's is shorter than what the control loop asks for.
    Validity,
}

impl fmt::Display for ContractProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (arm, file) = (Rounded(self.arm), Rounded(self.file));
        if let Some(joint) = &self.joint {
            write!(f, "joint {joint}: ")?;
        }
        match self.term {
            ContractTerm::PositionMin => write!(
                f,
                "the arm goes down to {arm} rad, field `position_rad` of the robot file allows {file}"
            ),
            ContractTerm::PositionMax => write!(
                f,
                "the arm goes up to {arm} rad, field `position_rad` of the robot file allows {file}"
            ),
            ContractTerm::Velocity => write!(
                f,
                "the arm moves at up to {arm} rad/s, field `velocity_max_rad_s` of the robot file allows {file}"
            ),
            ContractTerm::Acceleration => write!(
                f,
                "the arm accelerates by up to {arm} rad/s^2, field `acceleration_max_rad_s2` of the robot file allows {file}"
            ),
            ContractTerm::Watchdog => write!(
                f,
                "the arm stops after {arm} s of silence, field `link.watchdog_periods` of the robot file asks for {file} s"
            ),
            ContractTerm::WatchdogShort => write!(
                f,
                "the arm stops after {arm} s of silence, and by field `period_s` of the robot file commands come every {file} s"
            ),
            ContractTerm::TorqueGrace => write!(
                f,
                "the arm lets go after {arm} s of silence, field `link.torque_grace_s` of the robot file says {file} s"
            ),
            ContractTerm::Jump => write!(
                f,
                "the arm takes a first command up to {arm} rad away, and at most {file} rad are allowed"
            ),
            ContractTerm::Validity => write!(
                f,
                "the arm takes commands that are valid for up to {arm} s, and by field `period_s` of the robot file they are valid \
                 for {file} s"
            ),
        }
    }
}

/// A number as a person would write it: that of an `f32` is not told to 16 digits.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0 as f32).fmt(f)
    }
}

/// The sentences of `problems`.
pub(super) fn told(problems: &[ContractProblem]) -> String {
    let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}
