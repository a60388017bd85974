//! What must be known of an arm before it is driven.

use super::health::HealthLimits;
use super::mapping::{Mapping, SettingsError};
use crate::servo_bus::{Family, SERVOS_MAX};

/// Which way a joint's angle grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// With the encoder's ticks.
    Forward,
    /// Against them.
    Reversed,
}

/// What is done about the homing offset that a servo stores: the difference, in ticks, between its encoder and what it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Homing {
    /// It stays as it is.
    #[default]
    AsFound,
    /// It must be this one. Positions mean something else with another one, so such an arm is refused.
    Compared(i64),
    /// It becomes this one.
    Written(i64),
}

impl Homing {
    /// The offset that the servo has in the end, in ticks, where that is known.
    pub fn offset_ticks(self) -> Option<i64> {
        match self {
            Self::AsFound => None,
            Self::Compared(ticks) | Self::Written(ticks) => Some(ticks),
        }
    }
}

/// One joint and the servo that moves it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServoJoint {
    /// Its name, for messages.
    pub name: String,
    /// Its servo.
    pub id: u8,
    /// The servo's position, in ticks, where the joint's angle is 0.
    pub zero_ticks: i64,
    /// Which way its angle grows.
    pub direction: Direction,
    /// Least angle.
    pub position_min_rad: f32,
    /// Greatest angle.
    pub position_max_rad: f32,
    /// The servo's homing offset.
    pub homing: Homing,
    /// How the servo itself is set.
    pub tuning: Tuning,
}

/// How a servo itself is set. What is `None` is left as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tuning {
    /// Proportional, integral and derivative gain of its position, in its own steps.
    pub gains: Option<[u16; 3]>,
    /// Its own limit of torque, as a share of the most, in the place of that of the arm.
    pub torque_limit: Option<f32>,
    /// Current at which it protects itself, in amperes.
    pub protection_current_a: Option<f32>,
    /// Torque that is an overload, as a share of the most.
    pub overload_torque: Option<f32>,
}

/// An arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmSettings {
    /// Base first.
    pub joints: Vec<ServoJoint>,
    /// How long a period's exchanges may take, in microseconds.
    pub budget_us: u64,
    /// How long one question may take while the arm is brought up, in microseconds.
    pub bring_up_us: u64,
    /// The servos' own limit of acceleration, in radians a square second; 0 = as fast as they can.
    pub acceleration_rad_s2: f32,
    /// The servos' own limit of speed, in radians a second; 0 = as fast as they can.
    pub velocity_rad_s: f32,
    /// The servos' own limit of torque, as a share of the most, where they have one.
    pub torque_limit: f32,
    /// Silence of the host after which servos stop by themselves, where they can, in seconds; 0 = never.
    pub watchdog_s: f32,
    /// Periods in a row that a servo may be silent. Three at most: beyond, a late answer could not be told by its length.
    pub misses_max: u32,
    /// The most speed that a reading may show, in radians a second; a faster one is believed once a second one confirms it.
    pub plausible_rad_s: f32,
    /// How far outside of its limits a joint may be when torque is switched on, in radians.
    pub start_tolerance_rad: f32,
    /// Limits of temperature, voltage and load.
    pub limits: HealthLimits,
}

impl ArmSettings {
    /// An arm of these joints, with everything else as is usual for small servos.
    pub fn new(joints: Vec<ServoJoint>) -> Self {
        Self {
            joints,
            budget_us: 10_000,
            bring_up_us: 50_000,
            acceleration_rad_s2: 30.0,
            velocity_rad_s: 0.0,
            torque_limit: 1.0,
            watchdog_s: 0.5,
            misses_max: 3,
            plausible_rad_s: 15.0,
            start_tolerance_rad: 0.1,
            limits: HealthLimits::default(),
        }
    }

    /// The joints' mappings, checked.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn mappings<P: Family>(&self) -> Result<Vec<Mapping>, SettingsError> {
        if self.joints.is_empty() || self.joints.len() > SERVOS_MAX {
            return Err(SettingsError::JointCount {
                joints: self.joints.len(),
            });
        }
        if !(1..=3).contains(&self.misses_max) {
            return Err(SettingsError::Misses {
                misses_max: self.misses_max,
            });
        }
        for (index, joint) in self.joints.iter().enumerate() {
            let twin = self.joints[..index].iter().find(|other| other.id == joint.id);
            if let Some(twin) = twin {
                return Err(SettingsError::SameId {
                    id: joint.id,
                    joints: [twin.name.clone(), joint.name.clone()],
                });
            }
        }
        self.joints.iter().map(Mapping::new::<P>).collect()
    }

    /// Ticks a second that no joint exceeds.
    pub(super) fn jump_ticks<P: Family>(&self) -> f32 {
        self.plausible_rad_s * f32::from(P::TICKS_PER_TURN) / std::f32::consts::TAU
    }
}
