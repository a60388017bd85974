//! Hobby servos: pulses, a supply that can be switched, and feedback wires.

use firmware_bridge::Drive;
use firmware_bridge::wire::JointVec;

use crate::angle::{Feedback, wire_rad};
use crate::arm::Joint;
use crate::run::Actuators;

/// What a chip does for hobby servos. No call waits for longer than some microseconds.
pub trait ServoPins {
    /// Gives joint `joint` a pulse of so many microseconds every 20 ms from now on; no pulse for 0.
    fn pulse(&mut self, joint: usize, pulse_us: u16);

    /// Switches the supply of all servos.
    fn supply(&mut self, on: bool);

    /// What the feedback wire of `joint` gives now, in counts of a 12-bit input; the mean of several readings if the chip has time for
    /// them. Not asked for a joint without a wire.
    fn feedback_counts(&mut self, joint: usize) -> f32;
}

/// The servos of an arm.
#[derive(Debug)]
pub struct HobbyServos<P> {
    pins: P,
    joints: &'static [Joint],
    torque_on: bool,
    /// Where the joints without a wire are taken to be, and where they were told to be.
    assumed_rad: JointVec,
    set_point_rad: JointVec,
}

impl<P: ServoPins> HobbyServos<P> {
    /// Servos without pulses and without supply.
    pub fn new(mut pins: P, joints: &'static [Joint]) -> Self {
        let assumed_rad: JointVec = joints
            .iter()
            .map(|joint| match joint.feedback {
                Feedback::Assumed { rest_rad, .. } => rest_rad,
                Feedback::Wire { .. } => f32::NAN,
            })
            .collect();
        pins.supply(false);
        (0..joints.len()).for_each(|joint| pins.pulse(joint, 0));
        Self {
            pins,
            joints,
            torque_on: false,
            set_point_rad: assumed_rad.clone(),
            assumed_rad,
        }
    }
}

impl<P: ServoPins> Actuators for HobbyServos<P> {
    fn measure(&mut self, elapsed_us: u64) -> JointVec {
        let elapsed_s = elapsed_us as f32 * 1e-6;
        let (pins, torque_on) = (&mut self.pins, self.torque_on);
        let assumed = self.assumed_rad.iter_mut().zip(&self.set_point_rad);
        self.joints
            .iter()
            .zip(assumed)
            .enumerate()
            .map(|(index, (joint, (assumed, set_point)))| match joint.feedback {
                Feedback::Wire {
                    zero_counts,
                    counts_per_rad,
                    counts_min,
                    counts_max,
                } => wire_rad(
                    pins.feedback_counts(index),
                    zero_counts,
                    counts_per_rad,
                    counts_min,
                    counts_max,
                ),
                Feedback::Assumed { speed_rad_s, .. } => {
                    if torque_on {
                        let most = speed_rad_s * elapsed_s;
                        *assumed += (set_point - *assumed).clamp(-most, most);
                    }
                    *assumed
                }
            })
            .collect()
    }

    fn drive(&mut self, drive: &Drive) {
        if !drive.torque_on {
            self.pins.supply(false);
            (0..self.joints.len()).for_each(|joint| self.pins.pulse(joint, 0));
            self.torque_on = false;
            return;
        }
        for (index, (joint, &rad)) in self.joints.iter().zip(&drive.set_point_rad).enumerate() {
            // No pulse for what is no number: a servo without pulses does not turn.
            self.pins.pulse(index, joint.servo.pulse_us(rad).unwrap_or(0));
        }
        self.set_point_rad.clone_from(&drive.set_point_rad);
        // After the pulses: a servo that gets its supply first may turn to anywhere.
        if !self.torque_on {
            self.pins.supply(true);
            self.torque_on = true;
        }
    }
}
