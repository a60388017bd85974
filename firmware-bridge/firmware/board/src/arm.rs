//! The arm that is built into the firmware. **This file is what you change for your own arm**: the board trusts no host, so its limits
//! are compiled in and nothing that is sent changes them.

use firmware_bridge::firmware::VALIDITY_WATCHDOGS;
use firmware_bridge::wire::{fitted_serial_number, joint_names_hash};
use firmware_bridge::{FirmwareLimits, FirmwareOptions, Identity, JointLimits};

use crate::angle::{Feedback, Servo};

/// One joint: what it may do, and what drives and measures it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Its name, as the robot file has it: an arm whose joints have other names is refused by the host.
    pub name: &'static str,
    /// Limits of the set point.
    pub limits: JointLimits,
    /// Angle to pulse.
    pub servo: Servo,
    /// How its angle is known.
    pub feedback: Feedback,
}

/// An arm, base first, and its times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    /// The joints, base first.
    pub joints: &'static [Joint],
    /// Time between two ticks, in microseconds.
    pub tick_us: u32,
    /// Telemetry every so many ticks.
    pub telemetry_every_ticks: u32,
    /// Silence after which a moving arm stops, in microseconds.
    pub watchdog_us: u32,
    /// Silence after which a holding arm lets go, in microseconds.
    pub torque_grace_us: u32,
    /// Farthest a first command may lie from where a joint is, in radians.
    pub jump_max_rad: f32,
    /// Reported in the handshake: major, minor, patch.
    pub version: [u8; 3],
}

/// A joint of a hobby servo that turns by 180 degrees for pulses of 500 to 2500 us, with a feedback wire of 900 counts a radian.
const fn joint(
    name: &'static str,
    position_min_rad: f32,
    position_max_rad: f32,
    zero_us: f32,
    zero_counts: f32,
) -> Joint {
    Joint {
        name,
        limits: JointLimits {
            position_min_rad,
            position_max_rad,
            velocity_max_rad_s: 0.8,
            acceleration_max_rad_s2: 10.0,
        },
        servo: Servo {
            zero_us,
            us_per_rad: 636.6,
            pulse_min_us: 500.0,
            pulse_max_us: 2500.0,
        },
        feedback: Feedback::Wire {
            zero_counts,
            counts_per_rad: 900.0,
            counts_min: 300.0,
            counts_max: 3800.0,
        },
    }
}

/// The arm of `configs/sim-arm.ron`, built of three hobby servos. Limits, watchdog and grace time are those of that file: a host refuses an arm
/// whose own are wider than its robot file allows.
pub const ARM: Arm = Arm {
    joints: &[
        joint("yaw", -1.5, 1.5, 1500.0, 2048.0),
        joint("shoulder", -0.1, 1.5, 1000.0, 1341.0),
        joint("elbow", 0.1, 2.6, 600.0, 776.0),
    ],
    tick_us: 5_000,
    telemetry_every_ticks: 2,
    // 2.5 control periods of 0.1 s, as `link.watchdog_periods` says there.
    watchdog_us: 250_000,
    torque_grace_us: 1_000_000,
    jump_max_rad: 0.25,
    version: [0, 1, 0],
};

// A table that is wrong does not compile.
const _: () = assert!(
    ARM.is_sound(),
    "a joint's limits, pulses or feedback wire do not belong together"
);

impl Arm {
    /// Whether every limit is a number of the right sign, every position within limits has a pulse that the servo may get, and every
    /// such position gives counts that are taken for those of a wire in order.
    pub const fn is_sound(&self) -> bool {
        let mut joint = 0;
        while joint < self.joints.len() {
            if !self.joints[joint].is_sound() {
                return false;
            }
            joint += 1;
        }
        !self.joints.is_empty()
            && self.joints.len() <= firmware_bridge::wire::MAX_JOINTS
            && self.tick_us > 0
            // Two ticks at least from the last command to the stop.
            && self.watchdog_us >= 2 * self.tick_us
            && self.jump_max_rad > 0.0
    }

    /// What the firmware core is made of; `None` for an arm that is not sound. The serial number is the board's (what of it has no room in
    /// the handshake is cut off). The boot id must be another at each boot, and random: a host's recorded session fits no other.
    pub fn options(&self, serial_number: &str, boot_id: u64) -> Option<FirmwareOptions> {
        if !self.is_sound() {
            return None;
        }
        let mut limits = [self.joints[0].limits; firmware_bridge::wire::MAX_JOINTS];
        for (limit, joint) in limits.iter_mut().zip(self.joints) {
            *limit = joint.limits;
        }
        Some(FirmwareOptions {
            limits: FirmwareLimits::new(&limits[..self.joints.len()])?,
            watchdog_us: self.watchdog_us.into(),
            torque_grace_us: self.torque_grace_us.into(),
            jump_max_rad: self.jump_max_rad,
            telemetry_every_ticks: self.telemetry_every_ticks,
            validity_max_us: u64::from(self.watchdog_us) * VALIDITY_WATCHDOGS,
            firmware_version: self.version,
            identity: Identity {
                serial_number: fitted_serial_number(serial_number),
                boot_id,
                joint_names_hash: joint_names_hash(self.joints.iter().map(|joint| joint.name)),
            },
        })
    }
}

impl Joint {
    const fn is_sound(&self) -> bool {
        let JointLimits {
            position_min_rad: low,
            position_max_rad: high,
            velocity_max_rad_s,
            acceleration_max_rad_s2,
        } = self.limits;
        let feedback = match self.feedback {
            Feedback::Wire {
                zero_counts,
                counts_per_rad,
                counts_min,
                counts_max,
            } => {
                let (first, last) = (
                    zero_counts + low * counts_per_rad,
                    zero_counts + high * counts_per_rad,
                );
                counts_min <= first && first <= counts_max && counts_min <= last && last <= counts_max
                    // An input of 12 bits must be able to give too few and too many: that is what a broken wire does.
                    && counts_min > 0.0 && counts_max < 4095.0
                    && first != last
            }
            Feedback::Assumed {
                rest_rad,
                speed_rad_s,
            } => low <= rest_rad && rest_rad <= high && speed_rad_s > 0.0,
        };
        low < high
            && velocity_max_rad_s > 0.0
            && acceleration_max_rad_s2 > 0.0
            && self.servo.pulse_min_us > 0.0
            // The next pulse comes after 20 ms.
            && self.servo.pulse_max_us < 20_000.0
            && self.servo.reaches(low)
            && self.servo.reaches(high)
            && feedback
    }
}
