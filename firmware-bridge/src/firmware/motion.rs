//! The set point between commands: interpolation, the speed limit, and slowing down.

use super::FirmwareLimits;
use crate::wire::JointVec;

/// The speed limit's slack: what rounding adds to a move at exactly full speed must not make the set point lag.
const SPEED_SLACK: f32 = 1.001;

/// A set point in motion towards a target.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    set_point_rad: JointVec,
    velocity_rad_s: JointVec,
    from_rad: JointVec,
    target_rad: JointVec,
    start_us: u64,
    move_time_us: u32,
}

impl Motion {
    pub(super) fn at_rest(position_rad: &JointVec) -> Self {
        Self {
            set_point_rad: position_rad.clone(),
            velocity_rad_s: position_rad.iter().map(|_| 0.0).collect(),
            from_rad: position_rad.clone(),
            target_rad: position_rad.clone(),
            start_us: 0,
            move_time_us: 0,
        }
    }

    pub(super) fn set_point_rad(&self) -> &JointVec {
        &self.set_point_rad
    }

    /// Heads for `target_rad`, to arrive `move_time_us` from now.
    pub(super) fn aim(&mut self, now_us: u64, move_time_us: u32, target_rad: JointVec) {
        self.from_rad = self.set_point_rad.clone();
        self.target_rad = target_rad;
        self.start_us = now_us;
        self.move_time_us = move_time_us;
    }

    /// Moves along the straight line to the target, no faster than the speed limit. A target too far for its move time
    /// is reached late, at full speed.
    pub(super) fn follow(&mut self, now_us: u64, dt_us: u64, limits: &FirmwareLimits) {
        if dt_us == 0 {
            return;
        }
        let dt_s = seconds(dt_us);
        let elapsed_us = now_us.saturating_sub(self.start_us);
        for (joint, limit) in limits.joints().iter().enumerate() {
            let (from, target) = (self.from_rad[joint], self.target_rad[joint]);
            // At the end the target itself, not what rounding makes of it: host and arm agree to the last bit.
            let desired = if elapsed_us >= u64::from(self.move_time_us) {
                target
            } else {
                from + (target - from) * (elapsed_us as f32 / self.move_time_us as f32)
            };
            let now = self.set_point_rad[joint];
            let most = limit.velocity_max_rad_s * dt_s * SPEED_SLACK;
            let next = if (desired - now).abs() <= most {
                desired
            } else {
                now + most.copysign(desired - now)
            };
            self.set_point_rad[joint] = next;
            self.velocity_rad_s[joint] = (next - now) / dt_s;
        }
    }

    /// Decelerates every joint within its limit; returns whether all are at rest.
    pub(super) fn slow_down(&mut self, dt_us: u64, limits: &FirmwareLimits) -> bool {
        let dt_s = seconds(dt_us);
        let mut at_rest = true;
        for (joint, limit) in limits.joints().iter().enumerate() {
            let speed = self.velocity_rad_s[joint];
            let slower = (speed.abs() - limit.acceleration_max_rad_s2 * dt_s)
                .max(0.0)
                .copysign(speed);
            let now = self.set_point_rad[joint];
            // A stop runs on no farther than a position limit; a pose already outside is not pulled back while stopping.
            let low = limit.position_min_rad.min(now);
            let high = limit.position_max_rad.max(now);
            self.set_point_rad[joint] = (now + slower * dt_s).clamp(low, high);
            self.velocity_rad_s[joint] = slower;
            at_rest &= slower == 0.0;
        }
        at_rest
    }
}

fn seconds(us: u64) -> f32 {
    us as f32 * 1e-6
}
