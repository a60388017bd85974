//! A robot file against the arm that is built into the firmware.

use board::Arm;
use robot::Config;

/// Radians, and radians a second, that rounding may make of each other.
const ROUNDING: f32 = 1e-4;

/// What of `config` the firmware of `arm` would not do, and what of the firmware `armillary run` would refuse, a sentence each, with what to
/// change. Empty if they fit.
pub fn differences(arm: &Arm, config: &Config) -> Vec<String> {
    let asked = config.envelope.joints();
    if asked.len() != arm.joints.len() {
        return vec![format!(
            "joints: the robot file has {}, the firmware {}; list the same joints in both, base first",
            asked.len(),
            arm.joints.len()
        )];
    }
    let mut found = Vec::new();
    for (asked, built_in) in asked.iter().zip(arm.joints) {
        let (name, limits) = (&asked.name, built_in.limits);
        if name != built_in.name {
            found.push(format!(
                "joint {name}: is called {} in the firmware; give it the same name in both",
                built_in.name
            ));
        }
        if asked.position_min_rad < limits.position_min_rad - ROUNDING
            || asked.position_max_rad > limits.position_max_rad + ROUNDING
        {
            found.push(format!(
                "joint {name}: position_rad {} to {} in the robot file goes beyond {} to {} in the firmware, which cuts off what is beyond; \
                 narrow the robot file, or widen the firmware's arm.rs if the joint can go there",
                asked.position_min_rad, asked.position_max_rad, limits.position_min_rad, limits.position_max_rad
            ));
        }
        for (field, built_in, asked) in [
            (
                "position_rad (lower end)",
                -limits.position_min_rad,
                -asked.position_min_rad,
            ),
            (
                "position_rad (upper end)",
                limits.position_max_rad,
                asked.position_max_rad,
            ),
            (
                "velocity_max_rad_s",
                limits.velocity_max_rad_s,
                asked.velocity_max_rad_s,
            ),
            (
                "acceleration_max_rad_s2",
                limits.acceleration_max_rad_s2,
                asked.acceleration_max_rad_s2,
            ),
        ] {
            if built_in > asked + ROUNDING {
                found.push(format!(
                    "joint {name}: the firmware allows {:.4} more than {field} of the robot file, and would be refused; write the same number \
                     into both",
                    built_in - asked
                ));
            }
        }
        if asked.velocity_max_rad_s > limits.velocity_max_rad_s + ROUNDING {
            found.push(format!(
                "joint {name}: velocity_max_rad_s {} in the robot file is more than {} in the firmware, which would lag behind; lower the \
                 robot file's",
                asked.velocity_max_rad_s, limits.velocity_max_rad_s
            ));
        }
    }
    let silence_s = config.period_s * config.watchdog_periods;
    let watchdog_s = arm.watchdog_us as f32 * 1e-6;
    if watchdog_s < 1.5 * config.period_s {
        found.push(format!(
            "period_s: the firmware stops the arm after {watchdog_s} s without a command, and commands come every {} s; raise watchdog_us in \
             the firmware's arm.rs to {:.0}",
            config.period_s,
            silence_s * 1e6
        ));
    } else if watchdog_s > silence_s + ROUNDING {
        found.push(format!(
            "link.watchdog_periods: the robot file wants the arm to stop after {silence_s} s of silence, and the firmware stops it after \
             {watchdog_s} s; lower watchdog_us in the firmware's arm.rs to {:.0}",
            silence_s * 1e6
        ));
    }
    let grace_s = arm.torque_grace_us as f32 * 1e-6;
    if (grace_s - config.torque_grace_s).abs() > ROUNDING {
        found.push(format!(
            "link.torque_grace_s: the robot file says that a holding arm lets go after {} s, and the firmware lets go after {grace_s} s; set \
                     torque_grace_us in the firmware's arm.rs to {:.0}, or write {grace_s} into the robot file",
            config.torque_grace_s,
            config.torque_grace_s * 1e6
        ));
    }
    found
}
