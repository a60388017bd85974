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
            // Halves first: the sum of two large bounds is infinite.
            let home = 0.5 * actuator.low + 0.5 * actuator.high;
            // From one end of its range to the other and back within a period: its range is its only limit. Where that is
            // beyond what a robot file may say, the nearest number that it may say takes its place.
            let speed = (4.0 * (actuator.high - actuator.low) / self.period_s).clamp(SPEED_MIN, f32::MAX);
            let change = (4.0 * speed / self.period_s).clamp(CHANGE_MIN, f32::MAX);
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
        // What a person called it may hold anything, but a comment is one line.
        let comment: String = self
            .comment
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        fill(
            TEMPLATE,
            &[
                ("comment", &comment),
                ("name", &format!("{:?}", self.name)),
                ("period", &format!("{:?}", self.period_s)),
                ("max_age", &format!("{:?}", 1.5 * self.period_s)),
                ("ticks", &self.episode_ticks.to_string()),
                ("joints", &joints),
                ("simulator", &simulator.unwrap_or_default()),
            ],
        )
    }
}

/// `template` with each `{field}` replaced once: what is put in is not looked at again, whatever braces it holds.
fn fill(template: &str, fields: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(2 * template.len());
    for (index, part) in template.split('{').enumerate() {
        let field = part.split_once('}').and_then(|(name, rest)| {
            let (_, value) = fields.iter().find(|(field, _)| *field == name)?;
            Some((*value, rest))
        });
        match field {
            Some((value, rest)) => text.extend([value, rest]),
            None if index == 0 => text.push_str(part),
            None => text.extend(["{", part]),
        }
    }
    text
}

/// Smallest `velocity_max_rad_s` that a robot file may have.
const SPEED_MIN: f32 = 1e-3;

/// Smallest `acceleration_max_rad_s2`.
const CHANGE_MIN: f32 = 1e-2;

/// The world waits by default, so that plans take the time they take; the trust monitor is off: what a model that is still
/// learning finds surprising stops no simulation.
const TEMPLATE: &str = include_str!("made.ron");
