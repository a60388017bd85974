//! What an arm's motors say of themselves beyond where they are, where they say anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::MAX_JOINTS;

/// What all motors of an arm said last. Of fixed size: it is copied in the tick.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Motors {
    /// Longest time that a turn of questions and answers on the bus took since the last look, in microseconds.
    pub exchange_us: u32,
    /// One a joint, base first; none where the arm says nothing of its motors.
    pub joints: heapless::Vec<Motor, MAX_JOINTS>,
    /// What is beyond a limit now; the first if there are several.
    pub trouble: Option<MotorTrouble>,
}

/// What one motor said last. `None` until it has, or if it never does.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Motor {
    /// Turns of the bus since its position was read: 0 = it is of the last one.
    pub missed: u32,
    /// Supply, in volts.
    pub voltage_v: Option<f32>,
    /// Temperature, in degrees Celsius.
    pub temperature_c: Option<f32>,
    /// How hard it pulls, as a share of the most it can, either way.
    pub load: Option<f32>,
    /// Current, in amperes, either way.
    pub current_a: Option<f32>,
}

/// Something beyond a limit, and where.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MotorTrouble {
    /// The joint, counted from the base.
    pub joint: u8,
    /// The motor's id on its bus.
    pub id: u8,
    /// What it is.
    pub kind: TroubleKind,
    /// The reading, in the unit of the kind, if there is one.
    pub value: Option<f32>,
}

/// What can be wrong with a motor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Hotter than allowed, in degrees Celsius, or so it says itself.
    OverTemperature,
    /// Less supply than allowed, in volts.
    LowVoltage,
    /// More supply than allowed, in volts.
    HighVoltage,
    /// It complains of its supply.
    Voltage,
    /// It has let go, being overloaded.
    Overload,
    /// It pulls harder than allowed, as a share of the most it can.
    Load,
    /// It complains of too much current.
    OverCurrent,
    /// Its encoder is at fault.
    Encoder,
    /// Its own watchdog has stopped it: the bus was silent.
    Watchdog,
}

impl fmt::Display for MotorTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, unit) = match self.kind {
            TroubleKind::OverTemperature => ("is too hot", " C"),
            TroubleKind::LowVoltage => ("has too little supply", " V"),
            TroubleKind::HighVoltage => ("has too much supply", " V"),
            TroubleKind::Voltage => ("complains of its supply", " V"),
            TroubleKind::Overload => ("was overloaded and has let go", ""),
            TroubleKind::Load => ("pulls too hard", " of 1"),
            TroubleKind::OverCurrent => ("complains of too much current", ""),
            TroubleKind::Encoder => ("has a fault of its encoder", ""),
            TroubleKind::Watchdog => ("was stopped by its own watchdog, the bus being silent", ""),
        };
        write!(f, "servo {} {what}", self.id)?;
        match self.value {
            Some(value) => write!(f, " ({value:.1}{unit})"),
            None => Ok(()),
        }
    }
}

impl Motors {
    /// Whether the arm says nothing of its motors.
    pub fn is_silent(&self) -> bool {
        self.joints.is_empty()
    }
}
