//! The motion by which delays are measured.

use std::f64::consts::TAU;

/// Periods of the two waves, in seconds. No shift but none brings their sum onto itself within the delays that are looked at.
const WAVES_S: [f64; 2] = [2.8, 1.2];

/// And in control periods at least, so that a spline through the edges follows them.
const WAVES_TICKS: [f64; 2] = [28.0, 12.0];

/// Share of the greatest motion that each wave has.
const SHARES: [f64; 2] = [0.65, 0.35];

/// The most motion, from end to end, in radians.
const MOTION_RAD: f64 = 0.3;

/// The most speed, as a share of the joint's limit.
const SPEED: f64 = 0.6;

/// A joint that moves to one side and back, by two waves at once, from rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wiggle {
    /// From end to end, in radians; below zero where it moves that way.
    motion_rad: f64,
    waves_s: [f64; 2],
}

impl Wiggle {
    /// For a joint at `from_rad` that may be from `low_rad` to `high_rad` and no faster than `speed_rad_s`, every `period_s` seconds. It moves towards the
    /// middle of its range, by the half of the way to the other end at most.
    pub fn of(from_rad: f32, (low_rad, high_rad): (f32, f32), speed_rad_s: f32, period_s: f32) -> Self {
        let waves_s = [0, 1].map(|wave| WAVES_S[wave].max(WAVES_TICKS[wave] * f64::from(period_s)));
        let (below, above) = (f64::from(from_rad - low_rad), f64::from(high_rad - from_rad));
        let room = below.max(above).max(0.0) / 2.0;
        // The speed of a wave of height h is at most h pi / its period.
        let speed: f64 = (0..2).map(|wave| SHARES[wave] * TAU / 2.0 / waves_s[wave]).sum();
        let by_speed = SPEED * f64::from(speed_rad_s) / speed;
        let motion = MOTION_RAD.min(room).min(by_speed);
        Self {
            motion_rad: if above >= below { motion } else { -motion },
            waves_s,
        }
    }

    /// How far the joint is from where it began, `time_s` seconds later, in radians.
    pub fn at(&self, time_s: f64) -> f64 {
        (0..2)
            .map(|wave| {
                let phase = TAU * time_s / self.waves_s[wave];
                self.motion_rad * SHARES[wave] * (1.0 - phase.cos()) / 2.0
            })
            .sum()
    }
}
