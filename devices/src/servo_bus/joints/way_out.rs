//! The way out: hold, then slowly to the rest pose, then torque off. Never a drop.
//!
//! ```text
//!  Holding --hold_s--> Ramping --arrived, measured at rest--> Released
//!                         \----not there patience_s after the ramp's end----> Stuck (torque stays on)
//! ```

use robot::JointVec;

use super::per_joint;

/// How an arm is brought to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct WayOutSettings {
    /// How long it holds before it moves, in seconds.
    pub hold_s: f32,
    /// Most speed of any joint on the way, in radians a second.
    pub velocity_rad_s: f32,
    /// Where it can lie without torque.
    pub rest_rad: JointVec,
    /// How near to it every joint must be measured before torque goes, in radians.
    pub tolerance_rad: f32,
    /// How long that may take after the end of the ramp, in seconds.
    pub patience_s: f32,
}

/// Where an arm is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOutState {
    /// It holds where it was.
    Holding,
    /// It moves to its rest pose, or is awaited there.
    Ramping,
    /// It lies in its rest pose; torque is off.
    Released,
    /// It did not get there; torque stays on and a person has to look.
    Stuck,
}

/// The way out of one arm. Time comes from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct WayOut {
    settings: WayOutSettings,
    start_rad: JointVec,
    begun_us: u64,
    ramp_s: f32,
    state: WayOutState,
}

impl WayOut {
    /// Begins at `now_us` with an arm whose set point is `set_point_rad`. Where settings and set point do not fit each other or are no
    /// numbers, the arm is [`WayOutState::Stuck`] at once, and holds.
    pub fn begin(settings: WayOutSettings, set_point_rad: &[f32], now_us: u64) -> Self {
        let start_rad = per_joint(set_point_rad.iter().copied());
        let furthest_rad = start_rad
            .iter()
            .zip(&settings.rest_rad)
            .map(|(start, rest)| (rest - start).abs())
            .fold(0.0, f32::max);
        // Half as fast again in its middle as on average.
        let ramp_s = 1.5 * furthest_rad / settings.velocity_rad_s;
        let sound = start_rad.len() == settings.rest_rad.len()
            && start_rad
                .iter()
                .chain(&settings.rest_rad)
                .all(|position_rad| position_rad.is_finite())
            && settings.velocity_rad_s > 0.0
            && ramp_s.is_finite()
            && settings.hold_s >= 0.0
            && settings.patience_s >= 0.0;
        let state = if sound {
            WayOutState::Holding
        } else {
            WayOutState::Stuck
        };
        Self {
            settings,
            start_rad,
            begun_us: now_us,
            ramp_s,
            state,
        }
    }

    /// Where it is.
    pub fn state(&self) -> WayOutState {
        self.state
    }

    /// Whether the servos are to hold.
    pub fn torque_on(&self) -> bool {
        self.state != WayOutState::Released
    }

    /// The set point at `now_us`, given where joints are measured; `None` for one that is not known.
    pub fn step(&mut self, measured_rad: &[Option<f32>], now_us: u64) -> JointVec {
        let since_s = now_us.saturating_sub(self.begun_us) as f32 * 1e-6;
        let ramping_s = since_s - self.settings.hold_s;
        if self.state == WayOutState::Holding && ramping_s >= 0.0 {
            self.state = WayOutState::Ramping;
        }
        if self.state == WayOutState::Ramping && ramping_s >= self.ramp_s {
            let arrived = measured_rad.len() == self.settings.rest_rad.len()
                && measured_rad
                    .iter()
                    .zip(&self.settings.rest_rad)
                    .all(|(measured, rest)| {
                        measured
                            .is_some_and(|measured| (measured - rest).abs() <= self.settings.tolerance_rad)
                    });
            if arrived {
                self.state = WayOutState::Released;
            } else if ramping_s > self.ramp_s + self.settings.patience_s {
                self.state = WayOutState::Stuck;
            }
        }
        let share = match self.state {
            WayOutState::Holding => 0.0,
            WayOutState::Ramping if self.ramp_s > 0.0 => (ramping_s / self.ramp_s).clamp(0.0, 1.0),
            WayOutState::Ramping | WayOutState::Released => 1.0,
            // From a stuck beginning it never left.
            WayOutState::Stuck if ramping_s > self.ramp_s => 1.0,
            WayOutState::Stuck => 0.0,
        };
        let smooth = share * share * (3.0 - 2.0 * share);
        if smooth == 0.0 {
            return self.start_rad.clone();
        }
        per_joint(
            self.start_rad
                .iter()
                .zip(&self.settings.rest_rad)
                .map(|(start, rest)| start + (rest - start) * smooth),
        )
    }
}
