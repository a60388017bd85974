//! Radians to ticks and back.

use super::settings::{Direction, ServoJoint};
use crate::servo_bus::Family;

/// Settings that no arm can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// None, or more than a bus takes.
    #[error("an arm of {joints} joints; give 1 to {}", crate::servo_bus::SERVOS_MAX)]
    JointCount {
        /// Joints given.
        joints: usize,
    },
    /// Two joints name one servo.
    #[error("joints {} and {} both name servo {id}; give each its own", joints[0], joints[1])]
    SameId {
        /// The servo.
        id: u8,
        /// The joints.
        joints: [String; 2],
    },
    /// An id that no servo has.
    #[error("joint {joint}: no servo has id {id}")]
    Id {
        /// The joint.
        joint: String,
        /// The id.
        id: u8,
    },
    /// Limits that are none.
    #[error(
        "joint {joint}: {position_min_rad} to {position_max_rad} rad is no range; give finite limits, the smaller first"
    )]
    Range {
        /// The joint.
        joint: String,
        /// Least angle.
        position_min_rad: f32,
        /// Greatest angle.
        position_max_rad: f32,
    },
    /// Limits beyond the encoder's turn.
    #[error(
        "joint {joint}: its limits are ticks {low} to {high}, and the servo turns from 0 to {most}; move its zero or narrow its limits"
    )]
    BeyondTurn {
        /// The joint.
        joint: String,
        /// Least position.
        low: i64,
        /// Greatest position.
        high: i64,
        /// The last tick of a turn.
        most: i64,
    },
    /// A homing offset that the servo cannot hold.
    #[error(
        "joint {joint}: a homing offset of {offset} ticks; the servo holds {most} at most, either way: mount its horn elsewhere"
    )]
    Homing {
        /// The joint.
        joint: String,
        /// The offset.
        offset: i64,
        /// The most there is.
        most: i64,
    },
    /// More periods of silence than can be told from late answers.
    #[error("{misses_max} periods of silence allowed; give 1 to 3")]
    Misses {
        /// As given.
        misses_max: u32,
    },
}

/// Where a joint's angles are among its servo's ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mapping {
    zero_ticks: i64,
    /// Ticks a radian, negative if reversed.
    slope: f64,
    low: i64,
    high: i64,
}

impl Mapping {
    /// The mapping of a joint. Its limits in ticks are rounded inwards.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new<P: Family>(joint: &ServoJoint) -> Result<Self, SettingsError> {
        let name = || joint.name.clone();
        if joint.id > P::ID_MAX {
            return Err(SettingsError::Id {
                joint: name(),
                id: joint.id,
            });
        }
        if let Some(offset) = joint
            .homing
            .offset_ticks()
            .filter(|offset| offset.unsigned_abs() > P::HOMING_MAX_TICKS.unsigned_abs())
        {
            return Err(SettingsError::Homing {
                joint: name(),
                offset,
                most: P::HOMING_MAX_TICKS,
            });
        }
        let ServoJoint {
            position_min_rad,
            position_max_rad,
            ..
        } = *joint;
        let is_range = position_min_rad.is_finite()
            && position_max_rad.is_finite()
            && position_min_rad < position_max_rad;
        if !is_range {
            return Err(SettingsError::Range {
                joint: name(),
                position_min_rad,
                position_max_rad,
            });
        }
        let sign = match joint.direction {
            Direction::Forward => 1.0,
            Direction::Reversed => -1.0,
        };
        let slope = sign * f64::from(P::TICKS_PER_TURN) / std::f64::consts::TAU;
        let end = |position_rad: f32| joint.zero_ticks as f64 + slope * f64::from(position_rad);
        let (one, other) = (end(position_min_rad), end(position_max_rad));
        let (low, high) = (one.min(other).ceil() as i64, one.max(other).floor() as i64);
        let most = i64::from(P::TICKS_PER_TURN) - 1;
        if low < 0 || high > most || low >= high {
            return Err(SettingsError::BeyondTurn {
                joint: name(),
                low,
                high,
                most,
            });
        }
        Ok(Self {
            zero_ticks: joint.zero_ticks,
            slope,
            low,
            high,
        })
    }

    /// The goal, in ticks, for a finite angle; the nearest within the limits.
    pub fn ticks(&self, position_rad: f32) -> i64 {
        let ticks = self.zero_ticks as f64 + self.slope * f64::from(position_rad);
        // Infinite and huge angles saturate; a NaN, which nobody should send, becomes 0 ticks, and the lower limit.
        (ticks.round() as i64).clamp(self.low, self.high)
    }

    /// The angle at a position.
    pub fn radians(&self, ticks: i64) -> f32 {
        ((ticks - self.zero_ticks) as f64 / self.slope) as f32
    }

    /// The joint's speed at a speed of the servo, in ticks a second.
    pub fn radians_a_second(&self, ticks_s: f32) -> f32 {
        (f64::from(ticks_s) / self.slope) as f32
    }

    /// Least and greatest goal, in ticks.
    pub fn limits_ticks(&self) -> (i64, i64) {
        (self.low, self.high)
    }
}
