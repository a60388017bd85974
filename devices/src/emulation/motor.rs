//! A motor that follows its goal with limited speed and acceleration.

/// Step of the integration, in seconds.
const STEP_S: f64 = 1e-3;

/// A motor and its encoder, in ticks of the encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Motor {
    /// Where it is.
    pub position_ticks: f64,
    /// How fast it turns, in ticks a second.
    pub velocity_ticks_s: f64,
    /// The most speed it has, in ticks a second.
    pub velocity_max_ticks_s: f64,
    /// The most acceleration it has, in ticks a second, a second.
    pub acceleration_max_ticks_s2: f64,
}

impl Motor {
    /// At rest at `position_ticks`, with the speed and acceleration of a servo of 5 rad/s.
    pub fn at(position_ticks: f64) -> Self {
        Self {
            position_ticks,
            velocity_ticks_s: 0.0,
            velocity_max_ticks_s: 3_260.0,
            acceleration_max_ticks_s2: 25_400.0,
        }
    }

    /// Turns towards `goal_ticks` for `dt_s` seconds, within its own limits and those given (ticks a second, and that a second; 0 =
    /// none); without a goal it comes to rest.
    pub fn advance(
        &mut self,
        goal_ticks: Option<f64>,
        velocity_ticks_s: f64,
        acceleration_ticks_s2: f64,
        dt_s: f64,
    ) {
        let limit = |asked: f64, own: f64| if asked > 0.0 { asked.min(own) } else { own };
        let speed = limit(velocity_ticks_s, self.velocity_max_ticks_s);
        let acceleration = limit(acceleration_ticks_s2, self.acceleration_max_ticks_s2);
        let mut left_s = dt_s;
        while left_s > 0.0 {
            let step_s = left_s.min(STEP_S);
            left_s -= step_s;
            let change = acceleration * step_s;
            let wanted = goal_ticks.map_or(0.0, |goal| {
                let error = goal - self.position_ticks;
                // The speed from which it can still stop at the goal, and no more than takes it there in a step.
                let stopping = (2.0 * acceleration * error.abs())
                    .sqrt()
                    .min(error.abs() / step_s);
                stopping.min(speed).copysign(error)
            });
            let arrives = goal_ticks.is_some_and(|goal| {
                (goal - self.position_ticks).abs() <= change * step_s
                    && self.velocity_ticks_s.abs() <= 2.0 * change
            });
            if let (true, Some(goal)) = (arrives, goal_ticks) {
                (self.position_ticks, self.velocity_ticks_s) = (goal, 0.0);
                continue;
            }
            self.velocity_ticks_s += (wanted - self.velocity_ticks_s).clamp(-change, change);
            self.position_ticks += self.velocity_ticks_s * step_s;
        }
    }
}
