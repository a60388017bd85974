//! Joint angles to pulses, and voltages at a feedback wire to joint angles.

/// The pulse that a hobby servo takes for each angle of its joint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Servo {
    /// Length of the pulse at which the joint is at 0 rad, in microseconds.
    pub zero_us: f32,
    /// Microseconds a radian; negative if the servo turns the other way.
    pub us_per_rad: f32,
    /// Shortest pulse that the servo may get, in microseconds.
    pub pulse_min_us: f32,
    /// Longest pulse that the servo may get, in microseconds.
    pub pulse_max_us: f32,
}

impl Servo {
    /// The pulse for `position_rad`, in whole microseconds, within the servo's limits. `None` for an angle that is no number.
    pub fn pulse_us(&self, position_rad: f32) -> Option<u16> {
        if !position_rad.is_finite() {
            return None;
        }
        let pulse_us =
            (self.zero_us + position_rad * self.us_per_rad).clamp(self.pulse_min_us, self.pulse_max_us);
        // Half a microsecond more, and the fraction cut off: `round` needs `std`.
        Some((pulse_us + 0.5) as u16)
    }

    /// Whether the servo reaches `position_rad` with a pulse that it may get.
    pub(crate) const fn reaches(&self, position_rad: f32) -> bool {
        let pulse_us = self.zero_us + position_rad * self.us_per_rad;
        self.pulse_min_us <= pulse_us && pulse_us <= self.pulse_max_us
    }
}

/// How the board knows where a joint is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Feedback {
    /// A wire from the servo's potentiometer to an analog input. Inputs have 12 bits: 0 to 4095 counts.
    Wire {
        /// Counts at 0 rad.
        zero_counts: f32,
        /// Counts a radian; negative if the voltage falls with the angle.
        counts_per_rad: f32,
        /// Fewest counts that a wire in order gives.
        counts_min: f32,
        /// Most counts that a wire in order gives.
        counts_max: f32,
    },
    /// No wire. The joint is taken to be at `rest_rad` at boot, and to follow its set point at `speed_rad_s` while it has torque. For
    /// joints that nothing else moves: where such a joint really is, the board does not know.
    Assumed {
        /// Where the joint is put by hand before the power is switched on, in radians.
        rest_rad: f32,
        /// How fast the servo turns, in radians a second.
        speed_rad_s: f32,
    },
}

/// The angle at `counts`, in radians; not a number if no wire in order gives so many counts.
pub(crate) fn wire_rad(
    counts: f32,
    zero_counts: f32,
    counts_per_rad: f32,
    counts_min: f32,
    counts_max: f32,
) -> f32 {
    if (counts_min..=counts_max).contains(&counts) {
        (counts - zero_counts) / counts_per_rad
    } else {
        f32::NAN
    }
}
