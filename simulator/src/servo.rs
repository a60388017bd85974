//! Position servos as a first-order lag: each closes a fixed share of its error per unit of time.

use crate::trig;

/// `N` servos. `Copy`: planning restores them thousands of times a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Servos<const N: usize> {
    pub(crate) position_rad: [f32; N],
    pub(crate) velocity_rad_s: [f32; N],
    /// The step length that `share` belongs to: an exponential a step would cost more than the step.
    share_dt_s: f32,
    share: f32,
}

/// What kind of servo it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Time in which a servo closes all but 1/e of its error.
    pub(crate) time_constant_s: f32,
    /// Fastest a servo turns.
    pub(crate) speed_max_rad_s: f32,
}

impl<const N: usize> Servos<N> {
    /// At zero, at rest.
    pub(crate) fn new() -> Self {
        Self {
            position_rad: [0.0; N],
            velocity_rad_s: [0.0; N],
            share_dt_s: 0.0,
            share: 0.0,
        }
    }

    /// At this pose, at rest.
    pub(crate) fn place(&mut self, position_rad: [f32; N]) {
        self.position_rad = position_rad;
        self.velocity_rad_s = [0.0; N];
    }

    /// Follows the set points within `ranges_rad`; without torque the joints stay where they are, as nothing pulls at them.
    #[inline]
    pub(crate) fn step(
        &mut self,
        kind: Kind,
        ranges_rad: &[(f32, f32); N],
        set_point_rad: &[f32],
        torque_on: bool,
        dt_s: f32,
    ) {
        if dt_s.is_nan() || dt_s <= 0.0 {
            return;
        }
        if !torque_on {
            self.velocity_rad_s = [0.0; N];
            return;
        }
        if dt_s != self.share_dt_s {
            self.share_dt_s = dt_s;
            self.share = 1.0 - trig::exp(-dt_s / kind.time_constant_s);
        }
        let most = kind.speed_max_rad_s * dt_s;
        for (index, &(low, high)) in ranges_rad.iter().enumerate() {
            let before = self.position_rad[index];
            // A missing or meaningless set point holds the joint.
            let wanted = set_point_rad
                .get(index)
                .copied()
                .filter(|angle| angle.is_finite())
                .unwrap_or(before);
            let change = ((wanted - before) * self.share).clamp(-most, most);
            let after = (before + change).clamp(low, high);
            self.position_rad[index] = after;
            self.velocity_rad_s[index] = (after - before) / dt_s;
        }
    }
}
