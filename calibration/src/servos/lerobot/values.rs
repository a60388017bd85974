//! LeRobot's numbers for positions (its `MotorsBus._normalize` and `_unnormalize`, and `apply_calibration` of the old format).

use super::file::{CalibMode, Motor, Old};

/// The greatest tick of a turn.
const TICK_MAX: f64 = 4095.0;

/// Half a turn, in ticks, in the old format.
const HALF_TURN_TICKS: f64 = 2048.0;

/// What LeRobot makes of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Degrees from the middle of the range (`MotorNormMode.DEGREES`). Not kept within the range; `drive_mode` does not count.
    Degrees,
    /// From -100 at one end of the range to 100 at the other (`RANGE_M100_100`).
    PlusMinus100,
    /// From 0 to 100 (`RANGE_0_100`): grippers.
    ZeroTo100,
}

impl Norm {
    /// LeRobot's number for a position in ticks.
    pub fn value(self, motor: &Motor, tick: i64) -> f64 {
        let (low, high) = (motor.range_min as f64, motor.range_max as f64);
        let share = (tick.clamp(motor.range_min, motor.range_max) as f64 - low) / (high - low);
        match self {
            Self::Degrees => (tick as f64 - 0.5 * (low + high)) * 360.0 / TICK_MAX,
            Self::PlusMinus100 if motor.drive_mode => -(200.0 * share - 100.0),
            Self::PlusMinus100 => 200.0 * share - 100.0,
            Self::ZeroTo100 if motor.drive_mode => 100.0 - 100.0 * share,
            Self::ZeroTo100 => 100.0 * share,
        }
    }

    /// The position, in ticks, that LeRobot sends for its number. Degrees may lead out of the range: keep the goal within it before it is sent.
    pub fn tick(self, motor: &Motor, value: f64) -> i64 {
        let (low, high) = (motor.range_min as f64, motor.range_max as f64);
        let ticks = match self {
            Self::Degrees => value * TICK_MAX / 360.0 + 0.5 * (low + high),
            Self::PlusMinus100 => {
                let value = if motor.drive_mode { -value } else { value };
                (value.clamp(-100.0, 100.0) + 100.0) / 200.0 * (high - low) + low
            }
            Self::ZeroTo100 => {
                let value = if motor.drive_mode { 100.0 - value } else { value };
                value.clamp(0.0, 100.0) / 100.0 * (high - low) + low
            }
        };
        // Python's `int`.
        ticks.trunc() as i64
    }
}

impl Old {
    /// The old format's number for a position of motor `index`, in ticks: degrees, or a share of 100. `None` if there is no such motor.
    pub fn value(&self, index: usize, tick: i64) -> Option<f64> {
        Some(match self.calib_mode.get(index)? {
            CalibMode::Degree => {
                let offset = *self.homing_offset.get(index)? as f64;
                let tick = if *self.drive_mode.get(index)? != 0 {
                    -(tick as f64)
                } else {
                    tick as f64
                };
                (tick + offset) / HALF_TURN_TICKS * 180.0
            }
            CalibMode::Linear => {
                let (start, end) = (
                    *self.start_pos.get(index)? as f64,
                    *self.end_pos.get(index)? as f64,
                );
                (tick as f64 - start) / (end - start) * 100.0
            }
        })
    }
}
