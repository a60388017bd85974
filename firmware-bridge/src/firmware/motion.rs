//! The set point between commands: interpolation, the limits of speed and acceleration, and slowing down.

use super::FirmwareLimits;
use crate::wire::{JointVec, MAX_JOINTS};

/// The speed limit's slack: what rounding adds to a move at exactly full speed must not make the set point lag.
const SPEED_SLACK: f32 = 1.001;

/// The acceleration limit's slack, likewise.
const ACCELERATION_SLACK: f32 = 1.01;

/// What rounding may add to a step, in units of the last place of the position.
const ROUNDING_STEPS: f32 = 8.0;

/// A set point in motion towards a target.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    set_point_rad: JointVec,
    velocity_rad_s: JointVec,
    from_rad: JointVec,
    target_rad: JointVec,
    /// Speed of the straight line to the target, within the limits.
    line_rad_s: JointVec,
    /// Lowest and highest speed that the move may have; 0 lies between them.
    pace_rad_s: heapless::Vec<(f32, f32), MAX_JOINTS>,
    start_us: u64,
    move_time_us: u32,
    /// Whether it is on its way to a target of the host.
    aimed: bool,
}

impl Motion {
    pub(super) fn at_rest(position_rad: &JointVec) -> Self {
        let zeros: JointVec = position_rad.iter().map(|_| 0.0).collect();
        Self {
            set_point_rad: position_rad.clone(),
            velocity_rad_s: zeros.clone(),
            from_rad: position_rad.clone(),
            target_rad: position_rad.clone(),
            line_rad_s: zeros,
            pace_rad_s: position_rad.iter().map(|_| (0.0, 0.0)).collect(),
            start_us: 0,
            move_time_us: 0,
            aimed: false,
        }
    }

    pub(super) fn set_point_rad(&self) -> &JointVec {
        &self.set_point_rad
    }

    /// Heads for `target_rad`, to arrive `move_time_us` from now.
    ///
    /// A move has one speed, that of its straight line, so that acceleration can only be limited from one move to the next: the speed
    /// may gain `acceleration_max_rad_s2` over the move time, or over the time since the last command if that is longer, but never
    /// over more than `window_max_us`. A move may be as slow as it likes. A command that keeps the host's envelope is not touched.
    pub(super) fn aim(
        &mut self,
        now_us: u64,
        move_time_us: u32,
        target_rad: JointVec,
        limits: &FirmwareLimits,
        window_max_us: u64,
    ) {
        let since_us = now_us.saturating_sub(self.start_us);
        let window_us = match (move_time_us, self.aimed) {
            // A control that is in force at once has no line.
            (0, _) => window_max_us,
            (_, true) => since_us.max(move_time_us.into()).min(window_max_us),
            (_, false) => u64::from(move_time_us).min(window_max_us),
        };
        let rested_s = seconds(since_us.saturating_sub(self.move_time_us.into()));
        for (joint, limit) in limits.joints().iter().enumerate() {
            let at = self.set_point_rad[joint];
            let acceleration = limit.acceleration_max_rad_s2;
            let before = if !self.aimed {
                0.0
            } else if at == self.target_rad[joint] {
                // It has been at rest there since it arrived.
                towards_zero(self.line_rad_s[joint], acceleration * rested_s)
            } else {
                self.line_rad_s[joint]
            };
            // Also of the speed that is kept for the next command: else rounding would add up from one to the next.
            let rounding = match move_time_us {
                0 => 0.0,
                _ => rounding_rad(at, target_rad[joint]) / seconds(move_time_us.into()),
            };
            let gain = acceleration * seconds(window_us) * ACCELERATION_SLACK + rounding;
            let (lowest, highest) = ((before - gain).min(0.0), (before + gain).max(0.0));
            self.pace_rad_s[joint] = (lowest, highest);
            let most = limit.velocity_max_rad_s;
            self.line_rad_s[joint] = if move_time_us == 0 {
                0.0
            } else {
                ((target_rad[joint] - at) / seconds(move_time_us.into()))
                    .clamp(lowest, highest)
                    .clamp(-most, most)
            };
        }
        self.from_rad = self.set_point_rad.clone();
        self.target_rad = target_rad;
        self.start_us = now_us;
        self.move_time_us = move_time_us;
        self.aimed = true;
    }

    /// Moves along the straight line to the target, no faster than the limits of speed and acceleration. A target too far for its move
    /// time is reached late.
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
            let (lowest, highest) = self.pace_rad_s[joint];
            let rounding = rounding_rad(now, desired);
            let low = (lowest * dt_s - rounding).max(-most);
            let high = (highest * dt_s + rounding).min(most);
            let step = desired - now;
            let next = if (low..=high).contains(&step) {
                desired
            } else {
                now + step.clamp(low, high)
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
            let slower = towards_zero(self.velocity_rad_s[joint], limit.acceleration_max_rad_s2 * dt_s);
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

/// What rounding may add to a step between two positions.
fn rounding_rad(from: f32, to: f32) -> f32 {
    ROUNDING_STEPS * f32::EPSILON * from.abs().max(to.abs()).max(1.0)
}

/// `speed`, less by `loss`, but not beyond zero.
fn towards_zero(speed: f32, loss: f32) -> f32 {
    (speed.abs() - loss).max(0.0).copysign(speed)
}

fn seconds(us: u64) -> f32 {
    us as f32 * 1e-6
}
