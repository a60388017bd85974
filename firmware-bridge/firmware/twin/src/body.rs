//! The arm and the board's surroundings, emulated: what the code of the board cannot tell from real ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use board::{Arm, Feedback, Panel, Servo, ServoPins};

/// Silence after which the emulated hardware watchdog resets the board, in microseconds; that of the Pico's firmware.
pub const WATCHDOG_US: u64 = 100_000;

/// How fast an emulated servo turns, in radians a second.
const SERVO_RAD_S: f32 = 4.0;

/// How fast a joint sinks towards its lower limit without torque, in radians a second.
const SINK_RAD_S: f32 = 0.3;

/// Counts of an input whose wire is broken: the chip pulls it down.
const BROKEN_COUNTS: f32 = 0.0;

/// What is emulated; clones are the same arm.
#[derive(Debug, Clone)]
pub struct Body(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    joints: Vec<EmulatedJoint>,
    supply_on: bool,
    /// Times the supply was switched on since the arm was made.
    supply_count: u32,
    stop_pressed: bool,
    /// The memory that a reset does not clear and a loss of power does.
    latch: bool,
    reset_by_watchdog: bool,
    /// Board time at the last sign of life.
    fed_us: u64,
    now_us: u64,
    /// The board's program hangs.
    hung: bool,
    power_cycle: bool,
    boots: u32,
}

#[derive(Debug)]
struct EmulatedJoint {
    servo: Servo,
    feedback: Feedback,
    lowest_rad: f32,
    position_rad: f32,
    pulse_us: u16,
    wire_broken: bool,
}

impl Body {
    /// `arm` without power, in the middle of its joints' ranges.
    pub fn new(arm: &Arm) -> Self {
        let joints = arm
            .joints
            .iter()
            .map(|joint| EmulatedJoint {
                servo: joint.servo,
                feedback: joint.feedback,
                lowest_rad: joint.limits.position_min_rad,
                position_rad: f32::midpoint(joint.limits.position_min_rad, joint.limits.position_max_rad),
                pulse_us: 0,
                wire_broken: false,
            })
            .collect();
        Self(Arc::new(Mutex::new(Inside {
            joints,
            supply_on: false,
            supply_count: 0,
            stop_pressed: false,
            latch: false,
            reset_by_watchdog: false,
            fed_us: 0,
            now_us: 0,
            hung: false,
            power_cycle: false,
            boots: 0,
        })))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the joints really are, in radians, base first.
    pub fn position_rad(&self) -> Vec<f32> {
        self.inside()
            .joints
            .iter()
            .map(|joint| joint.position_rad)
            .collect()
    }

    /// Puts the joints somewhere by hand, in radians, base first.
    pub fn place(&self, position_rad: &[f32]) {
        for (joint, rad) in self.inside().joints.iter_mut().zip(position_rad) {
            joint.position_rad = *rad;
        }
    }

    /// Whether the servos have supply.
    pub fn supply_on(&self) -> bool {
        self.inside().supply_on
    }

    /// How often the servos' supply was switched on.
    pub fn supply_count(&self) -> u32 {
        self.inside().supply_count
    }

    /// How often the board has booted.
    pub fn boots(&self) -> u32 {
        self.inside().boots
    }

    /// Presses the stop button, or lets it go.
    pub fn press_stop(&self, pressed: bool) {
        self.inside().stop_pressed = pressed;
    }

    /// Breaks the feedback wire of a joint, or mends it.
    pub fn break_wire(&self, joint: usize, broken: bool) {
        if let Some(joint) = self.inside().joints.get_mut(joint) {
            joint.wire_broken = broken;
        }
    }

    /// Takes the board's power away for a moment, as a supply that breaks down under its servos does.
    pub fn power_cycle(&self) {
        self.inside().power_cycle = true;
    }

    /// Makes the board's program hang; its hardware watchdog then resets it.
    pub fn hang(&self) {
        self.inside().hung = true;
    }

    /// A board with this arm starts: the chip's pins are as after a reset.
    pub(crate) fn boot(&self) {
        let mut inside = self.inside();
        inside.boots += 1;
        inside.hung = false;
        inside.power_cycle = false;
        inside.fed_us = 0;
        inside.now_us = 0;
    }

    /// Whether the board must be reset now; its pins are then already as a reset leaves them.
    pub(crate) fn take_reset(&self, now_us: u64) -> bool {
        let mut inside = self.inside();
        let timed_out = inside.hung && now_us.saturating_sub(inside.fed_us) > WATCHDOG_US;
        if !inside.power_cycle && !timed_out {
            return false;
        }
        // A resistor holds the output of the supply low while nobody drives it.
        inside.supply_on = false;
        inside.joints.iter_mut().for_each(|joint| joint.pulse_us = 0);
        inside.reset_by_watchdog = timed_out;
        inside.latch &= !inside.power_cycle;
        true
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.inside().hung
    }

    /// Lets time pass up to board time `now_us`.
    pub(crate) fn advance(&self, now_us: u64) {
        let mut inside = self.inside();
        let dt_s = now_us.saturating_sub(inside.now_us) as f32 * 1e-6;
        inside.now_us = now_us;
        let supply_on = inside.supply_on;
        for joint in &mut inside.joints {
            let (aim_rad, most_rad) = if supply_on && joint.pulse_us > 0 {
                let aim_rad = (f32::from(joint.pulse_us) - joint.servo.zero_us) / joint.servo.us_per_rad;
                (aim_rad, SERVO_RAD_S * dt_s)
            } else {
                (joint.lowest_rad.min(joint.position_rad), SINK_RAD_S * dt_s)
            };
            joint.position_rad += (aim_rad - joint.position_rad).clamp(-most_rad, most_rad);
        }
    }
}

impl ServoPins for Body {
    fn pulse(&mut self, joint: usize, pulse_us: u16) {
        self.inside().joints[joint].pulse_us = pulse_us;
    }

    fn supply(&mut self, on: bool) {
        let mut inside = self.inside();
        inside.supply_count += u32::from(on && !inside.supply_on);
        inside.supply_on = on;
    }

    fn feedback_counts(&mut self, joint: usize) -> f32 {
        let joint = &self.inside().joints[joint];
        match joint.feedback {
            Feedback::Wire {
                zero_counts,
                counts_per_rad,
                ..
            } if !joint.wire_broken => (zero_counts + counts_per_rad * joint.position_rad)
                .round()
                .clamp(0.0, 4095.0),
            _ => BROKEN_COUNTS,
        }
    }
}

impl Panel for Body {
    fn stop_pressed(&mut self) -> bool {
        self.inside().stop_pressed
    }

    fn latched(&mut self) -> bool {
        let inside = self.inside();
        inside.latch || inside.reset_by_watchdog
    }

    fn keep_latch(&mut self, latched: bool) {
        self.inside().latch = latched;
    }

    fn feed(&mut self) {
        let mut inside = self.inside();
        inside.fed_us = inside.now_us;
    }
}
