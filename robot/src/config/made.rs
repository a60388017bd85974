//! The robot file of something that describes itself: actuators with ranges, and no geometry.

use std::fmt::Write as _;

/// An actuator: an action of 1 sets it to `high`, of -1 to `low`.
#[derive(Debug, Clone, PartialEq)]
pub struct Actuator {
    /// Its name.
    pub name: String,
    /// Lower end of its range, in its own unit.
    pub low: f32,
    /// Upper end.
    pub high: f32,
}

/// What else a file is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Made<'a> {
    /// First line: where this comes from.
    pub comment: &'a str,
    /// The robot's name.
    pub name: &'a str,
    /// Control period, in seconds.
    pub period_s: f32,
    /// Control periods in an episode.
    pub episode_ticks: u32,
    /// The actuators.
    pub actuators: &'a [Actuator],
    /// The simulated task that it is, if any.
    pub simulator: Option<&'a str>,
}

impl Made<'_> {
    /// The robot file, for a person to change where wanted.
    pub fn text(&self) -> String {
        let mut joints = String::new();
        for actuator in self.actuators {
            let home = 0.5 * (actuator.low + actuator.high);
            // From one end of its range to the other and back within a period: its range is its only limit.
            let speed = 4.0 * (actuator.high - actuator.low) / self.period_s;
            let change = 4.0 * speed / self.period_s;
            let _ = writeln!(
                joints,
                "        (name: {:?}, position_rad: ({:?}, {:?}), velocity_max_rad_s: {speed:?}, \
                 acceleration_max_rad_s2: {change:?}, home_rad: {home:?}),",
                actuator.name, actuator.low, actuator.high
            );
        }
        let simulator = self
            .simulator
            .map(|task| format!("    simulator: (task: {task:?}, substeps: 1),\n"));
        TEMPLATE
            .replace("{comment}", self.comment)
            .replace("{name}", &format!("{:?}", self.name))
            .replace("{period}", &format!("{:?}", self.period_s))
            .replace("{max_age}", &format!("{:?}", 1.5 * self.period_s))
            .replace("{ticks}", &self.episode_ticks.to_string())
            .replace("{joints}", &joints)
            .replace("{simulator}", &simulator.unwrap_or_default())
    }
}

/// The world waits by default, so that plans take the time they take; the trust monitor is off: what a model that is still
/// learning finds surprising stops no simulation.
const TEMPLATE: &str = include_str!("made.ron");
