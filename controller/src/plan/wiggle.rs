//! A small motion of one joint to and fro, by which delays are measured.

use calibration::latency::Wiggle;
use robot::{Envelope, JointVec, SetPoint, joint};

/// Start of the policy's name in logs; the joint's name follows.
pub const WIGGLE: &str = "wiggle ";

/// Leads one joint along a [`Wiggle`] from where it is when the episode begins.
#[derive(Debug, Clone)]
pub struct Wiggler {
    joint: usize,
    name: String,
    period_s: f32,
    /// The motion, and where the joint was.
    begun: Option<(Wiggle, f32)>,
}

impl Wiggler {
    /// For the joint at this place of the robot file, with this name.
    pub fn new(joint: usize, name: &str, period_s: f32) -> Self {
        Self {
            joint,
            name: name.to_owned(),
            period_s,
            begun: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{WIGGLE}{}", self.name)
    }

    pub(super) fn reset(&mut self) {
        self.begun = None;
    }

    /// The action of the period that starts at `from`.
    pub(super) fn next(&mut self, tick: u32, from: &SetPoint, envelope: &Envelope) -> JointVec {
        let mut action = joint::zeros(envelope.joints().len());
        let (Some(moved), Some(at_rad), Some(shape)) = (
            action.get_mut(self.joint),
            from.position_rad.get(self.joint),
            envelope.joints().get(self.joint),
        ) else {
            return action;
        };
        let (wiggle, begun_rad) = *self.begun.get_or_insert_with(|| {
            let range = (shape.position_min_rad, shape.position_max_rad);
            let wiggle = Wiggle::of(*at_rad, range, shape.velocity_max_rad_s, self.period_s);
            (wiggle, *at_rad)
        });
        // By where the set point is, not by the step: what a skipped period left out is made up for.
        let target_rad = begun_rad + wiggle.at(f64::from(tick + 1) * f64::from(self.period_s)) as f32;
        let step_max_rad = shape.velocity_max_rad_s * self.period_s;
        *moved = ((target_rad - at_rad) / step_max_rad).clamp(-1.0, 1.0);
        action
    }
}
